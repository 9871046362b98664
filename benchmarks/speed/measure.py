"""All measurements of a machine, task by task: the work of `benchmarks.speed`."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers

from benchmarks.speed import commands, report, steps, trials
from benchmarks.speed.bench import Bench
from benchmarks.trial import models
from benchmarks.trial.environment import isolated
from fisher.common.errors import InputError
from fisher.common.files import require_writable, write_file


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
                entry["exact"] = steps.float64_differences(bench)
                entry["steps"] = steps.measure(bench, arguments.batches)
            if arguments.trials:
                entry["trials"] = trials.measure(bench, arguments.rounds)
            found["tasks"][bench.task.name] = entry
            print(f"{bench.task.name} measured", file=sys.stderr)
        if arguments.commands:
            found["commands"] = commands.measure(Path(folder), arguments.rounds, demo=arguments.demo)
    return found


def run(arguments: argparse.Namespace) -> None:
    """Check, measure, keep, print the tables."""
    if not 0 < arguments.fraction <= 1:
        raise InputError(f"--fraction must be in (0, 1], got {arguments.fraction:g}")
    if arguments.demo and not arguments.commands:
        raise InputError("--demo must go with --commands, got it alone")
    if arguments.output is not None:
        require_writable(arguments.output)
    found = measure(arguments)
    if arguments.output is not None:
        write_file(arguments.output, (json.dumps(found, indent=1) + "\n").encode())
    print(report.markdown(found))
