"""One slot: a long-lived worker process that is replaced when it dies, hangs or is told to stop.

The process and the pipe to it are the slot's own, so that nothing of one slot (a lock, a half-sent message) can hold up
another. Whether it is there is asked of the system: a program that a trial left behind may hold its end of the pipe.
"""

import dataclasses
import math
import signal
import sys
import threading
import time
from multiprocessing import Pipe
from multiprocessing.context import SpawnProcess
from multiprocessing.reduction import send_handle
from types import ModuleType
from typing import Any

from benchmarks.executors.outcome import Device, Outcome, Status, Work
from benchmarks.executors.output import Output
from benchmarks.executors.worker import serve, work

TICK = 0.25  # seconds between two looks at the limit and at the process
STARTS = 3  # tries to get a worker process to take a trial
GRACE = 1.0  # seconds that a process has to end once it says nothing more
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


class Slot:
    """Runs one trial at a time in a process of its own; `run` may be called from any one thread."""

    def __init__(self, device: Device, threads: int, timeout: float | None) -> None:
        self.device, self.threads, self.timeout = device, threads, timeout
        self._process: WorkerProcess | None = None
        self._stopped = threading.Event()

    def run(self, task: Work) -> Outcome:
        """What became of one trial, whatever happened to its process: status, reason, and the tail of its output."""
        try:
            outcome = self._try(task, Output())
        except OSError as error:  # of a system that gives no pipe or no process
            outcome = Outcome(Status.ERROR, f"{type(error).__name__}: {error}")
        if outcome.status is Status.OOM:  # a process whose memory ran out is not trusted with another trial
            self.kill()
        return dataclasses.replace(outcome, device=self.device)

    def _try(self, task: Work, output: Output) -> Outcome:
        outcome = None
        try:
            for _ in range(STARTS):
                outcome = outcome or self._attempt(task, output)
        finally:
            printed = output.close()
        if outcome is None:
            reason = f"the worker process died {STARTS} times before it began the trial"
            outcome = Outcome(Status.KILLED, reason)
        return dataclasses.replace(outcome, output=printed)

    def _attempt(self, task: Work, output: Output) -> Outcome | None:
        """What became of the trial; None where the process was gone before it began."""
        process = self._process or self._start()
        deadline = None  # of a trial that has begun
        try:
            self._pipe.send(task)
            send_handle(self._pipe, output.writing, process.pid)
            while not self._stopped.is_set():
                alive = process.is_alive()  # asked first, so that its last words are not missed
                if self._pipe.poll(TICK):
                    outcome: Outcome | None = self._pipe.recv()
                    if outcome is not None:
                        return outcome
                    deadline = time.monotonic() + (self.timeout or math.inf)
                elif not alive:
                    raise EOFError
                elif deadline is not None and time.monotonic() > deadline:
                    self.kill()
                    reason = f"the trial outlived its time limit of {self.timeout:g} s and was stopped"
                    return Outcome(Status.TIMEOUT, reason)
        except (EOFError, OSError, RuntimeError):  # it ended, and maybe while it waited; macOS says it so
            process.join(GRACE)
            self.kill()
            return None if deadline is None else Outcome(Status.KILLED, _ended(process.exitcode))
        self.kill()
        return Outcome(Status.STOPPED, "the run was stopped")

    def _start(self) -> WorkerProcess:
        self._pipe, theirs = Pipe()
        process = WorkerProcess(target=serve, args=(theirs, work, self.device, self.threads), daemon=True)
        process.start()
        theirs.close()
        self._process = process
        return process

    def kill(self) -> None:
        """End the process; the next trial gets a new one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.join()
            self._pipe.close()

    def stop(self) -> None:
        """Have the running trial end as `stopped`, from another thread."""
        self._stopped.set()


def _ended(code: Any) -> str:
    """Why a process is no more, as its exit code tells."""
    if isinstance(code, int) and code < 0 and -code in signal.valid_signals():
        return f"the worker process was ended by {signal.Signals(-code).name}"
    return f"the worker process ended with exit code {code}"
