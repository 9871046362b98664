"""Trials per hour with several at a time on the device, through the executor that runs suites."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.executors.local import LocalExecutor, find_devices
from benchmarks.executors.outcome import Outcome, Work
from benchmarks.speed.bench import Bench
from benchmarks.speed.trials import STRATEGY, WARM_UP
from benchmarks.trial.config import TrialConfig

TRIALS = 2  # per worker


def measure(
    bench: Bench, count: int, folder: Path, *, clock: Callable[[], float] = time.perf_counter
) -> dict[str, dict[str, Any]]:
    """{number of workers: what they did}: `count` workers on the one device, each started and warmed by a short trial.

    seconds: from submitting `TRIALS` trials per worker, equal but for their restart, to the last outcome;
    trials_per_hour: of those with a result; without_result: how many of the others ended how; reasons: of these, trials
    that warm up included; start_seconds: until the workers were warm; peak_memory: bytes, the most that one trial took.
    """
    folder = folder / f"throughput-{bench.task.name}-{count}"
    executor = LocalExecutor(find_devices(count, count, threads=1), threads=1, timeout=None)
    try:
        begun = clock()
        warmed = run_all(executor, bench, bench.configs(STRATEGY, count, **WARM_UP), folder)
        started = clock()
        outcomes = run_all(executor, bench, bench.configs(STRATEGY, TRIALS * count), folder)
        seconds = clock() - started
    finally:
        executor.close()
    done = sum(outcome.status.is_done for outcome in outcomes)
    rate = 3600 * done / seconds
    print(f"{bench.task.name}: {count} at a time, {rate:.1f} trials per hour", file=sys.stderr, flush=True)
    found = {
        "seconds": seconds,
        "trials_per_hour": rate,
        "without_result": dict(Counter(str(outcome.status) for outcome in outcomes if not outcome.status.is_done)),
        "reasons": sorted({f"{o.status}: {o.reason}" for o in [*warmed, *outcomes] if not o.status.is_done}),
        "start_seconds": started - begun,
        "peak_memory": max((outcome.peak_memory or 0 for outcome in outcomes), default=0),
    }
    return {str(count): found}


def run_all(executor: LocalExecutor, bench: Bench, configs: Sequence[TrialConfig], folder: Path) -> list[Outcome]:
    """The outcomes of all trials, as many at a time as there are workers."""
    work = [Work(config.to_json(), bench.resources, str(folder), attempt=1) for config in configs]
    return [future.result() for future in [executor.submit(one) for one in work]]
