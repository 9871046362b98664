"""Under `accelerate launch`: one trial at a time, data-parallel over all processes; the first one leads and writes.

The processes are one executor of the first one's scheduler, which claims trials: it tells the others which one comes
next, all train it in step (`regularizers.data_parallel`), each evaluates it whole, and the first writes the record. An
error that all processes meet becomes the trial's record, and the trial is tried again as in every executor.
One that only some meet, or a trial that outlives its limit, ends the launch: the process concerned writes the error's
record and exits, the launcher ends the others, and the same command goes on with the trials that are left. Nobody
writes an error over a result, nor anything of a trial whose lease was superseded.
"""

import concurrent.futures
import contextlib
import os
import sys
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import torch
from accelerate import PartialState
from torch.distributed import distributed_c10d

from benchmarks.executors.leases import Lease
from benchmarks.executors.outcome import Json, Outcome, Work
from benchmarks.executors.scheduler import read_known
from benchmarks.executors.variables import processes
from benchmarks.executors.worker import kept
from benchmarks.trial.config import TrialConfig
from benchmarks.trial.environment import environment
from benchmarks.trial.trial import execute, no_result
from fisher.common.errors import require
from leaderboard.records.schema import is_done
from leaderboard.records.store import write_record

AGREE = 60.0  # seconds that a process with an error waits for the same error of the others


@dataclass
class Team:
    """The processes of one launch, connected: an executor of one trial at a time, `timeout` seconds each."""

    resources: Any
    records: Path
    timeout: float | None = None
    capacity: ClassVar[int] = 1

    def __post_init__(self) -> None:
        torch.set_num_threads(self.resources.threads)
        patience = timedelta(days=7)  # the others wait while the first one estimates Fisher scores
        self.state = PartialState(cpu=not torch.cuda.is_available(), timeout=patience)
        require(
            self.state.num_processes == processes(),
            f"the {processes()} processes of the launch must be connected",
            self.state.num_processes,
            "start them with accelerate launch or torchrun",
        )
        self.count = 0
        self.busy = False

    def tell(self, message: Any) -> Any:
        """What the first process says, in every process."""
        box = [message]
        torch.distributed.broadcast_object_list(box, src=0)
        return box[0]

    def submit(self, task: Work) -> concurrent.futures.Future[Outcome]:
        """In the first process: train a trial with the others, and write its record while the lease holds."""
        assert task.lease is not None
        self.busy = True
        self.tell((task.config, task.lease))
        record = self.execute(task.config, task.lease)
        self.busy = False
        answer: concurrent.futures.Future[Outcome] = concurrent.futures.Future()
        answer.set_result(kept(task, record))
        return answer

    def close(self) -> None:
        """Tell the others that nothing is left; in the middle of a trial the launcher ends them with this process."""
        if not self.busy:
            self.tell(None)

    def execute(self, block: Json, lease: Lease) -> Json:
        """Train one trial together, under the first process's lease; the record, which all processes have."""
        self.count += 1
        limit = threading.Timer(self.timeout or 1e9, self._overdue, [block, lease])
        limit.daemon = True
        limit.start()
        record = execute(TrialConfig.from_json(block), self.resources)
        limit.cancel()
        record["environment"] |= {"executor": "accelerate", "processes": self.state.num_processes}
        if not is_done(record) and not self._agree():
            self._end(record, lease)
        return record

    def _agree(self) -> bool:
        """Whether all processes have ended this trial with an error, waited for AGREE seconds."""
        store = distributed_c10d._get_default_store()
        met, until = store.add(f"errors/{self.count}", 1), time.monotonic() + AGREE
        while met < self.state.num_processes and time.monotonic() < until:
            time.sleep(0.1)
            met = store.add(f"errors/{self.count}", 0)
        return met == self.state.num_processes

    def _overdue(self, block: Json, lease: Lease) -> None:
        result = no_result("timeout", f"the trial outlived its time limit of {self.timeout:g} s and was stopped")
        self._end({"config": block, "result": result, "environment": environment(self.resources.threads)}, lease)

    def _end(self, record: Json, lease: Lease) -> None:
        """End this process, and with it the launch; the error becomes the trial's record if it has no result."""
        result = record["result"]
        with contextlib.suppress(Exception):
            known = read_known(self.records, lease.trial)
            if lease.held() and not (known is not None and is_done(known)):
                write_record(self.records, record)
        print(
            f"{result['status']} in process {self.state.process_index}: {result['reason']}", file=sys.stderr, flush=True
        )
        os._exit(1)


def follow(team: Team) -> None:
    """In every other process: train what the first one says, until it says that nothing is left."""
    while (task := team.tell(None)) is not None:
        team.execute(*task)
