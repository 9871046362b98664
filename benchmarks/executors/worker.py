"""What a worker process does with the trial that it is handed: run it, and write its result."""

from __future__ import annotations

import dataclasses
import faulthandler
import gc
import os
import signal
import sys
import threading
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.executors.outcome import Device, Json, Outcome, Work
from benchmarks.executors.output import captured
from benchmarks.executors.variables import clean_worker

if TYPE_CHECKING:
    from benchmarks.trial.config import TrialConfig

GPU_OOM = "OutOfMemoryError"  # torch's exception for a GPU; a CPU's is a MemoryError
OOM_SHARE = 4  # after the GPU's memory ran out the micro-batches are this many times smaller


def start_worker(threads: int, device: Device, pid: Any) -> None:
    """Prepare a worker: its GPU alone visible, pinned threads, Ctrl-C left to the parent, an end with the parent's.

    `pid` is a shared integer, 0 for a new pool. A process that pebble starts in place of one that has ended finds
    another number there and goes: the slot looks for that one, and makes a new pool.
    """
    if pid.value:
        os._exit(1)
    pid.value = os.getpid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    clean_worker(threads)
    if device.gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device.gpu
    faulthandler.enable(all_threads=False)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # what was printed before a crash is kept
    threading.Thread(target=_watch, daemon=True).start()
    import torch

    torch.set_num_threads(threads)


def _watch() -> None:
    """End this process when its parent has ended."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


def work(task: Work, device: Device, output: str) -> Outcome:
    """One trial in a worker: run it, write its result, return the outcome."""
    with captured(Path(output)):
        record = attempt(task)
    record["environment"] = {**record["environment"], **dataclasses.asdict(device), "attempt": task.attempt}
    return kept(task, record)


def kept(task: Work, record: Json) -> Outcome:
    """What became of a trial: its result is written if the lease still holds.

    The record of an error goes along, for the scheduler to write when it is known what the trial printed.
    """
    from leaderboard.records.schema import is_done
    from leaderboard.records.store import write_record

    if task.lease is not None and not task.lease.held():
        return Outcome.of(record, elsewhere=True)
    if not is_done(record):
        return dataclasses.replace(Outcome.of(record), record=record)
    path = write_record(Path(task.folder), record)
    if task.resources.checkpoints is not None:
        from benchmarks.trial.checkpoints import remove

        remove(task.resources.checkpoints.path(path.stem))
    return Outcome.of(record)


def attempt(task: Work) -> Json:
    """The trial's record, whatever happens: SystemExit of a plugin must end neither the worker nor the launcher."""
    from benchmarks.trial.config import TrialConfig
    from benchmarks.trial.environment import environment
    from benchmarks.trial.trial import no_result
    from regularizers.registry import load_plugins

    try:
        load_plugins(task.resources.plugins)  # the launcher has said what of the installed ones is broken
        return execute_within_memory(TrialConfig.from_json(task.config), task.resources)
    except BaseException as error:
        result = no_result("error", f"{type(error).__name__}: {error}")
        return {"config": task.config, "result": result, "environment": environment(task.resources.threads)}


def execute_within_memory(config: TrialConfig, resources: Any) -> Json:
    """The trial's record; where the GPU's memory ran out, that of a second try with smaller micro-batches.

    A trial whose checkpoint was made with the smaller ones goes on with them at once.
    """
    import torch

    from benchmarks.trial.trial import execute

    size = smaller_micro_batch(config)
    if size is not None and resources.checkpoints and resources.checkpoints.micro_batch(config.id) == size:
        return execute(config, dataclasses.replace(resources, micro_batch=size))
    record = execute(config, resources)
    if size is None or not (record["result"]["reason"] or "").startswith(GPU_OOM):
        return record
    del record
    gc.collect()
    torch.cuda.empty_cache()
    return execute(config, dataclasses.replace(resources, micro_batch=size))


def smaller_micro_batch(config: TrialConfig) -> int | None:
    """Examples per forward pass of the second try, None where they cannot be fewer."""
    size = config.protocol.micro_batch or config.protocol.batch_size
    return max(1, size // OOM_SHARE) if size > 1 else None
