"""What lies around the training: from the first keystroke to a refusal, a plan, a worker's first step and a board."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.executors.local import LocalExecutor, find_devices
from benchmarks.executors.outcome import Work
from benchmarks.speed.bench import Bench
from fisher.common.errors import InputError
from fisher.common.measure import summary

PUBLISHED = Path(__file__).parents[2] / "leaderboard" / "published"  # in a checkout; it is no part of the package
DEMO = "the demo suite, trials and tables"
WORKER = "start of a worker until its first step"


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


def measure(folder: Path, rounds: int, *, demo: bool) -> dict[str, Any]:
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
