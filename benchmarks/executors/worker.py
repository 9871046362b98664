"""What a worker process does with the trial that it is handed: run, watch, write."""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.executors.outcome import Device, Json, Outcome, Work, Written
from benchmarks.executors.variables import clean_worker

if TYPE_CHECKING:
    from benchmarks.trial.config import TrialConfig

WATCH_EVERY = 0.2  # seconds between two looks at the parent and at the size of the output
OUTPUT_LIMIT = 1 << 20  # bytes of a trial's output on disk; above, all but the tail is dropped
TAIL_BYTES, TAIL_LINES, TAIL_WIDTH = 16384, 40, 400
GPU_OOM = "OutOfMemoryError"  # torch's exception for a GPU; a CPU's is a MemoryError
OOM_SHARE = 4  # after the GPU's memory ran out the micro-batches are this many times smaller


_output: Path | None = None  # of the trial that runs in this process


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
    """End this process when its parent has ended, and bound what a trial's output takes on the disk."""
    parent = parent_process()
    while True:
        if parent is not None and connection.wait([parent.sentinel], WATCH_EVERY):
            if _output is not None:
                _output.unlink(missing_ok=True)
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        output = _output  # the trial may end between two lines
        if output is not None:
            bound(output)


def bound(output: Path) -> None:
    """Cut a file that has grown above OUTPUT_LIMIT to its tail; a file that is gone is fine."""
    with contextlib.suppress(OSError):
        if output.stat().st_size > OUTPUT_LIMIT:
            kept = _last_bytes(output)
            os.truncate(output, 0)
            with output.open("ab") as file:
                file.write(kept)


def work(task: Work, device: Device, output: str) -> Outcome:
    """One trial in a worker: run it, write its record if the lease still holds, return the outcome alone."""
    from benchmarks.trial.checkpoints import remove
    from leaderboard.records.schema import is_done
    from leaderboard.records.store import write_record

    with captured(Path(output)):
        record = attempt(task)
    if record["result"]["score"] is None:
        record["result"]["output"] = tail(Path(output))
    Path(output).unlink(missing_ok=True)
    record["environment"] = {**record["environment"], **device.to_json(), "attempt": task.attempt}
    if task.lease is not None and not task.lease.held():
        return Outcome.of(record, Written.OTHER, device)
    path = write_record(Path(task.folder), record)
    if is_done(record) and task.resources.checkpoints is not None:
        remove(task.resources.checkpoints.path(path.stem))
    return Outcome.of(record, Written.WORKER, device)


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
    from benchmarks.trial.trial import execute

    size = smaller_micro_batch(config)
    if size is not None and resources.checkpoints and resources.checkpoints.micro_batch(config.id) == size:
        return execute(config, dataclasses.replace(resources, micro_batch=size))
    record = execute(config, resources)
    if size is None or not (record["result"]["reason"] or "").startswith(GPU_OOM):
        return record
    del record
    _free_gpu()
    return execute(config, dataclasses.replace(resources, micro_batch=size))


def smaller_micro_batch(config: TrialConfig) -> int | None:
    """Examples per forward pass of the second try, None where they cannot be fewer."""
    size = config.protocol.micro_batch or config.protocol.batch_size
    return max(1, size // OOM_SHARE) if size > 1 else None


def _free_gpu() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextlib.contextmanager
def captured(path: Path) -> Iterator[None]:
    """Send what the process prints, native code included, to a file; the file outlives a crash."""
    global _output
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    kept = os.dup(1), os.dup(2)
    _flush()
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        _output = path
        yield
    finally:
        _output = None
        _flush()
        for number, old in zip((1, 2), kept, strict=True):
            os.dup2(old, number)
            os.close(old)
        os.close(target)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a closed stream or a full disk is the trial's own affair
            stream.flush()


def _last_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return file.read()


def tail(path: Path) -> tuple[str, ...]:
    """The last lines of a trial's output, bounded in number and width; none if nothing was printed."""
    try:
        text = _last_bytes(path).decode("utf-8", errors="replace")
    except OSError:
        return ()
    lines = [
        line for line in text.splitlines() if not line.startswith("Extension modules:")
    ]  # of Python's crash report
    return tuple(line[:TAIL_WIDTH] for line in lines[-TAIL_LINES:])
