"""All measurements of a machine, task by task and block by block: the work of `benchmarks.speed`."""

from __future__ import annotations

import argparse
import functools
import json
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers

from benchmarks.speed import commands, device, report, steps, trials
from benchmarks.speed.bench import Bench
from benchmarks.trial import models
from benchmarks.trial.protocol import check
from fisher.common.errors import first_line, require
from fisher.common.files import require_writable, write_file

Blocks = list[tuple[str, Callable[[], dict[str, Any]]]]


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything that was asked for, task by task; after each block all figures so far are kept.

    A block that fails is told under `errors` with its task, and the next one is measured.
    """
    found: dict[str, Any] = {
        "model": models.find_model(arguments.model, offline=arguments.offline).label,
        "machine": device.label(arguments.device, arguments.precision),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "matmul": device.matmul_rate(arguments.device, arguments.precision),
        "tasks": {},
        "errors": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        for task in arguments.tasks:
            bench = Bench(
                arguments.model,
                task,
                arguments.fraction,
                Path(folder),
                arguments.data_dir,
                arguments.offline,
                device=arguments.device,
                precision=arguments.precision,
            )
            for name, block in blocks(arguments, bench, Path(folder)):
                run_block(found, bench.task.name, name, block)
                keep(found, arguments.output)
                device.free()
        if arguments.commands:
            found["commands"] = commands.measure(Path(folder), arguments.rounds, demo=arguments.demo)
            keep(found, arguments.output)
    return found


def blocks(arguments: argparse.Namespace, bench: Bench, folder: Path) -> Blocks:
    """What is measured of a task: (name in the figures, its work)."""
    made: Blocks = [("tokens", bench.tokens)]
    if arguments.batches:
        made.append(("exact", functools.partial(steps.float64_differences, bench)))
        made.append(("steps", functools.partial(steps.measure, bench, arguments.batches)))
    if arguments.trials:
        made.append(("trials", functools.partial(trials.measure, bench, arguments.rounds)))
    for count in arguments.trials_per_device:
        made.append(("throughput", functools.partial(trials.throughput, bench, count, folder)))
    if arguments.compile:
        made.append(("compiled", functools.partial(trials.measure_compiled, bench)))
    return made


def run_block(found: dict[str, Any], task: str, name: str, block: Callable[[], dict[str, Any]]) -> None:
    """Measure one block, put its figures into `found` and show them."""
    entry = found["tasks"].setdefault(task, {})
    try:
        figures = block()
    except Exception as error:  # such as memory that ran out, a compiler that is missing, a model without sites
        traceback.print_exc()
        found["errors"][f"{task}, {name}"] = f"{type(error).__name__}: {first_line(error)}"
        return
    entry.setdefault(name, {}).update(figures)
    shown = report.tables({"matmul": found["matmul"], "tasks": {task: {name: figures}}})
    print(*shown, sep="\n\n", end="\n\n", file=sys.stderr, flush=True)


def keep(found: dict[str, Any], path: Path | None) -> None:
    """Write all figures so far."""
    if path is not None:
        write_file(path, (json.dumps(found, indent=1) + "\n").encode())


def run(arguments: argparse.Namespace) -> int:
    """Check, measure, keep, print the tables; 1 where a block failed."""
    require(0 < arguments.fraction <= 1, "--fraction must be in (0, 1]", f"{arguments.fraction:g}")
    require(arguments.commands or not arguments.demo, "--demo must go with --commands, got it alone")
    check("precision", arguments.precision)
    require(not arguments.compile or arguments.device == "cuda", "--compile must go with --device cuda, got it alone")
    if arguments.output is not None:
        require_writable(arguments.output)
    device.settle(arguments.device)
    found = measure(arguments)
    print(report.markdown(found))
    return 1 if found["errors"] else 0
