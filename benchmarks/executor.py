"""Runs trials in long-lived local worker processes, each trial isolated: a crash costs that trial and no other.

The pool is pebble's: a process that dies takes its own task with it and is replaced, and a task that outlives its limit
is killed from outside.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pebble import ProcessExpired, ProcessPool

Config = dict[str, Any]


def workers_by_default(threads: int) -> int:
    """One worker per device: every visible GPU, or as many as the usable cores carry."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return torch.cuda.device_count() or max(1, cores // threads)


def start_worker(threads: int, started: Any) -> None:
    """Prepare a worker: pinned threads, one GPU of its own, deterministic cuBLAS, Ctrl-C left to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["OMP_NUM_THREADS"] = str(threads)
    import torch

    torch.set_num_threads(threads)
    if torch.cuda.is_available():
        with started.get_lock():
            slot, started.value = started.value, started.value + 1
        torch.cuda.set_device(slot % torch.cuda.device_count())


def work(config: Config, resources: Any, folder: str) -> dict[str, Any]:
    """One trial in a worker: run it, write its record, return the outcome alone."""
    from benchmarks.trial import execute
    from leaderboard.records import write_record

    record = execute(config, resources)
    write_record(Path(folder), record)
    return {key: record["result"][key] for key in ("status", "reason")} | {"written": True}


def run_trials(
    configs: list[Config],
    resources: Any,
    folder: Path,
    *,
    workers: int,
    timeout: float | None,
    on_start: Callable[[Config], None],
) -> Iterator[tuple[Config, dict[str, Any]]]:
    """Yield (config, outcome) as trials end; an outcome has status and reason.

    `written` stands in the outcome of a trial whose worker wrote its record; a killed or overdue one has none, and the
    caller writes it. Leaving the iterator early stops the workers.
    """
    context = multiprocessing.get_context("spawn")
    initargs = (resources.threads, context.Value("i", 0))  # the counter gives workers their GPU, round robin
    with ProcessPool(max_workers=workers, context=context, initializer=start_worker, initargs=initargs) as pool:
        waiting: dict[Any, Config] = {}
        queue = iter(configs)
        try:
            while True:
                while len(waiting) < 2 * workers and (config := next(queue, None)) is not None:
                    on_start(config)
                    waiting[pool.schedule(work, args=[config, resources, str(folder)], timeout=timeout)] = config
                if not waiting:
                    return
                done, _ = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in done:
                    yield waiting.pop(future), outcome(future)
        finally:
            pool.stop()


def outcome(future: concurrent.futures.Future[dict[str, Any]]) -> dict[str, Any]:
    """What became of a trial, whatever happened to its process."""
    try:
        return future.result()
    except concurrent.futures.TimeoutError:
        return {"status": "timeout", "reason": "the trial outlived its time limit and was stopped"}
    except ProcessExpired as error:
        return {
            "status": "killed",
            "score": None,
            "reason": f"the worker process ended with exit code {error.exitcode}",
        }
    except Exception as error:
        return {"status": "error", "reason": f"{type(error).__name__}: {error}"}
