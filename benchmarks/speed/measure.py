"""All measurements of a machine, task by task and block by block: the work of `benchmarks.speed`.

At the end what lies around the training: a first keystroke, a refusal, a plan, a worker's first step and a board.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers

from benchmarks.executors.local import LocalExecutor, find_devices
from benchmarks.executors.outcome import Work
from benchmarks.speed import device, report, steps, trials
from benchmarks.speed.bench import Bench
from benchmarks.trial import models
from benchmarks.trial.protocol import check
from fisher.common.errors import InputError, first_line, require
from fisher.common.files import require_writable, write_file
from fisher.common.measure import summary

PUBLISHED = Path(__file__).parents[2] / "leaderboard" / "published"  # in a checkout; it is no part of the package
DEMO = "the demo suite, trials and tables"
WORKER = "start of a worker until its first step"
Blocks = list[tuple[str, Callable[[], dict[str, Any]]]]


def run(arguments: argparse.Namespace) -> int:
    """Measure everything that was asked for, task by task, and print the tables; 1 where a block failed.

    After each block all figures so far are kept. One that fails is told under `errors` with its task, and the next one
    is measured.
    """
    require(0 < arguments.fraction <= 1, "--fraction must be in (0, 1]", f"{arguments.fraction:g}")
    require(arguments.commands or not arguments.demo, "--demo must go with --commands, got it alone")
    check("precision", arguments.precision)
    require(not arguments.compile or arguments.device == "cuda", "--compile must go with --device cuda, got it alone")
    if arguments.output is not None:
        require_writable(arguments.output)
    device.settle(arguments.device)
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
            found["commands"] = time_commands(Path(folder), arguments.rounds, demo=arguments.demo)
            keep(found, arguments.output)
    print(report.markdown(found))
    return 1 if found["errors"] else 0


def blocks(arguments: argparse.Namespace, bench: Bench, folder: Path) -> Blocks:
    """What is measured of a task: (name in the figures, its work)."""
    made: Blocks = [("tokens", bench.tokens)]
    if arguments.batches:
        exact = functools.partial(steps.float64_differences, bench)
        made += [("exact", exact), ("steps", functools.partial(steps.measure, bench, arguments.batches))]
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


def commands(folder: Path, *, demo: bool) -> dict[str, tuple[list[str], int]]:
    """{line of the table: (arguments of `regbench`, exit code)}; their files go to `folder`."""
    board = ["build", str(PUBLISHED), "--output", str(folder / "board")]
    found = {
        "regbench run --help": (["run", "--help"], 0),
        "an unknown task refused": (["run", "--tasks", "unknown"], 2),
        "a missing file refused": (["run", "--task-file", str(folder / "missing.toml")], 2),
        "a hyperparameter out of range refused": (["run", "--strategies", "mixout(w_pre, 2)"], 2),
        "the pocket suite planned (--dry-run)": (["run", "--dry-run", "--output", str(folder / "pocket")], 0),
    }
    if PUBLISHED.is_dir():
        found["the published board, without figures"] = ([*board, "--without-figures"], 0)
        found["the published board, with figures"] = (board, 0)
    if demo:
        found[DEMO] = (["run", "--suite", "demo", "--output", str(folder / "demo")], 0)
    return found


def time_commands(folder: Path, rounds: int, *, demo: bool) -> dict[str, Any]:
    """Seconds of every command, by the clock and of processor time, round by round; the demo once.

    Raises InputError for a command that ends otherwise than it must.
    """
    clock: dict[str, list[float]] = {}
    processor: dict[str, list[float]] = {}
    for at in range(rounds):
        for name, (arguments, code) in commands(folder, demo=demo and at == 0).items():
            seconds, used = _timed(arguments, code)
            clock.setdefault(name, []).append(seconds)
            processor.setdefault(name, []).append(used)
        clock.setdefault(WORKER, []).append(worker_start(folder / f"worker-{at}"))
    return {
        "seconds": {name: summary(values) for name, values in clock.items()},
        "processor_seconds": {name: summary(values) for name, values in processor.items()},
    }


def _timed(arguments: list[str], code: int) -> tuple[float, float]:
    """Seconds of one `regbench` command and of all its processes' processor time."""
    before, started = os.times(), time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "benchmarks", *arguments], capture_output=True, text=True, check=False)
    seconds, after = time.perf_counter() - started, os.times()
    if done.returncode != code:
        last = (done.stderr.strip().splitlines() or ["nothing on stderr"])[-1]
        raise InputError(f"regbench {' '.join(arguments)} must exit with {code}, got {done.returncode}: {last}")
    return seconds, sum(after[2:4]) - sum(before[2:4])  # user and system time of children that have ended


def worker_start(folder: Path) -> float:
    """Seconds by which a trial takes longer in a new worker than the same trial after it: the process, its imports,
    the model and the data."""
    bench = Bench("pocket", "pocket-cola", 0.02, folder.parent, None, offline=True)
    config = bench.config("none", epochs=1)
    executor = LocalExecutor(find_devices(1, 1, 1), threads=1, timeout=None)
    seconds = []
    try:
        for attempt in (1, 2):
            started = time.perf_counter()
            outcome = executor.submit(Work(config.to_json(), bench.resources, str(folder), attempt)).result()
            if not outcome.status.is_done:
                raise InputError(f"a trial in a new worker must have a result, got {outcome.status}: {outcome.reason}")
            seconds.append(time.perf_counter() - started)
    finally:
        executor.close()
    return seconds[0] - seconds[1]
