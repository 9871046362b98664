"""One slot: a long-lived worker process that is replaced when it dies, hangs or is told to stop.

The process is a pebble pool of one, so that nothing of one slot (a pipe, a lock, a half-sent message) can hold up
another. A pool ends with its first process (`start_worker` refuses to be a second), so that a process that is gone is
always noticed. Time limits are kept here and not by pebble, whose clock may jump.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import os
import signal
import sys
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import Any

from pebble import ProcessExpired, ProcessPool

from benchmarks.executors.outcome import Device, Outcome, Status, Work
from benchmarks.executors.output import Output
from benchmarks.executors.worker import start_worker, work

TICK = 0.25  # seconds between two looks at the limit and at the process
STARTS = 3  # tries to get a worker process to take a trial
_starting = threading.Lock()


class WorkerProcess(SpawnProcess):
    """A process that does not import the script of its caller, which then needs no `__main__` guard."""

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # the name that multiprocessing gives it
        with _starting:
            script, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
            try:
                return SpawnProcess._Popen(process_obj)
            finally:
                sys.modules["__main__"] = script


class WorkerContext(SpawnContext):
    """How worker processes are started."""

    Process = WorkerProcess


class Slot:
    """Runs one trial at a time in a process of its own; `run` may be called from any one thread."""

    def __init__(self, device: Device, threads: int, timeout: float | None) -> None:
        self.device, self.threads, self.timeout = device, threads, timeout
        self._context = WorkerContext()
        self._pid = self._context.Value("i", 0)  # of the pool's one process, written by itself; 0: not started yet
        self._pool: ProcessPool | None = None
        self._stopped = threading.Event()

    def run(self, task: Work) -> Outcome:
        """What became of one trial, whatever happened to its process: status, reason, and the tail of its output."""
        try:
            output = Output()
        except OSError as error:
            reason = f"the folder of temporary files must take a named pipe, got: {error}; set TMPDIR to one that does"
            return Outcome(Status.ERROR, reason, device=self.device)
        try:
            outcome = self._try(task, str(output.path))
        finally:
            printed = output.close()
        if outcome.status is Status.OOM:  # a process whose memory ran out is not trusted with another trial
            self.kill()
        return dataclasses.replace(outcome, output=printed, device=self.device)

    def _try(self, task: Work, output: str) -> Outcome:
        for _ in range(STARTS):
            try:
                return self._attempt(task, output)
            except BrokenProcessPool:  # the process died while it waited
                self.kill()
            except Exception as error:  # such as a record that could not be written
                return Outcome(Status.ERROR, f"{type(error).__name__}: {error}")
        return Outcome(Status.KILLED, f"the worker process died {STARTS} times before it began the trial")

    def _attempt(self, task: Work, output: str) -> Outcome:
        if self._pool is None:
            self._pid.value = 0
            initargs = (self.threads, self.device, self._pid)
            self._pool = ProcessPool(max_workers=1, context=self._context, initializer=start_worker, initargs=initargs)
        try:
            future = self._pool.schedule(work, args=[task, self.device, output])
        except RuntimeError as error:  # the pool found out that its process had died
            raise BrokenProcessPool from error
        deadline = None
        while not concurrent.futures.wait([future], timeout=TICK).done:
            if self._stopped.is_set():
                self.kill()
                return Outcome(Status.STOPPED, "the run was stopped")
            if not future.running():
                continue
            now = time.monotonic()
            deadline = deadline or now + (self.timeout or float("inf"))
            if now > deadline:
                self.kill()
                reason = f"the trial outlived its time limit of {self.timeout:g} s and was stopped"
                return Outcome(Status.TIMEOUT, reason)
            if not _exists(self._pid.value):  # pebble does not tell of an exit with code 0
                concurrent.futures.wait([future], timeout=4 * TICK)
                if not future.done():
                    self.kill()
                    return Outcome(Status.KILLED, _ended(0))
        try:
            return future.result()
        except ProcessExpired as error:
            self.kill()
            return Outcome(Status.KILLED, _ended(error.exitcode))

    def kill(self) -> None:
        """End the process, by SIGKILL if it does not go; the next trial gets a new one."""
        pool, self._pool = self._pool, None
        if pool is not None:
            with contextlib.suppress(RuntimeError):
                pool.stop()
                pool.join()

    def stop(self) -> None:
        """Have the running trial end as `stopped`, from another thread."""
        self._stopped.set()


def _ended(code: Any) -> str:
    """Why a process is no more, as its exit code tells."""
    if isinstance(code, int) and -code in list(signal.Signals):  # those of real time have no names
        return f"the worker process was ended by {signal.Signals(-code).name}"
    return f"the worker process ended with exit code {code}"


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
