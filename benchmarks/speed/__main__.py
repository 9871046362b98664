"""`python -m benchmarks.speed`: what a step and a trial cost here, as ratios on the same work.

    python -m benchmarks.speed                                                  # the embedded model and tasks
    python -m benchmarks.speed --model FOLDER --data-dir GLUE --tasks rte cola mrpc --trials --output speed.json

One process, one thread, times in seconds of processor time. All candidates take the same batches in turn; a ratio is
formed batch by batch (or trial by trial), and its minimum, median and maximum are shown. It is a measurement, not a
test: the exit status says nothing about speed. Exit status: 0 measured; 2 the request was wrong.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from benchmarks.speed import exact, report, steps, trials
from benchmarks.speed.bench import Bench
from benchmarks.trial import models
from benchmarks.trial.trial import isolated
from fisher.common.command import carry_out
from fisher.common.errors import InputError
from fisher.common.files import require_writable, write_atomically


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__.split("\n")[0])
    p.add_argument("--model", default="pocket", metavar="HUB_ID|FOLDER")
    p.add_argument("--data-dir", metavar="DIR", help="folder in the original GLUE layout")
    p.add_argument("--tasks", nargs="+", metavar="TASK", default=["pocket-rte", "pocket-cola"])
    p.add_argument("--fraction", type=float, default=0.1, metavar="F", help="share of the training data (default 0.1)")
    p.add_argument("--batches", type=int, default=6, metavar="N", help="batches that every candidate takes (default 6)")
    p.add_argument("--trials", action="store_true", help="measure whole trials against the Hugging Face Trainer too")
    p.add_argument("--rounds", type=int, default=3, metavar="N", help="whole trials of each candidate (default 3)")
    p.add_argument("--offline", action="store_true", help="use local files and caches only")
    p.add_argument("--output", type=Path, metavar="FILE", help="write every figure as JSON")
    return p


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything that was asked for, task by task."""
    torch.set_num_threads(1)
    found: dict[str, Any] = {
        "model": models.find_model(arguments.model, offline=arguments.offline).label,
        "machine": f"{platform.machine()}, one thread",
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "matmul": steps.matmul_rate(),
        "tasks": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        for task in arguments.tasks:
            bench = Bench(
                arguments.model, task, arguments.fraction, Path(folder), arguments.data_dir, arguments.offline
            )
            entry: dict[str, Any] = {"tokens": bench.tokens()}
            with isolated(0):
                entry["exact"] = exact.errors(bench)
                entry["steps"] = steps.measure(bench, arguments.batches)
            if arguments.trials:
                entry["trials"] = trials.measure(bench, arguments.rounds)
            found["tasks"][bench.task.name] = entry
            print(f"{bench.task.name} measured", file=sys.stderr)
    return found


def run(arguments: argparse.Namespace) -> None:
    """Check, measure, keep, print the tables."""
    for name in ("batches", "rounds"):
        if getattr(arguments, name) < 1:
            raise InputError(f"--{name} must be at least 1, got {getattr(arguments, name)}")
    if not 0 < arguments.fraction <= 1:
        raise InputError(f"--fraction must be in (0, 1], got {arguments.fraction:g}")
    if arguments.output is not None:
        require_writable(arguments.output)
    found = measure(arguments)
    if arguments.output is not None:
        write_atomically(arguments.output, (json.dumps(found, indent=1) + "\n").encode())
    print(report.markdown(found))


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, run the request, return the exit status."""
    return carry_out(parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
