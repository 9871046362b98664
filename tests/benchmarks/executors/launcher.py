"""A launcher whose trials take milliseconds and train nothing: `python launcher.py OUTPUT TRIALS SECONDS [BEAT STALE]`.

Prints the names of the trials that it did itself. Real are the leases, the schedule and the records.
"""

import random
import sys
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.executors.leases import BEAT, STALE, Leases
from benchmarks.executors.outcome import Outcome, Status, Work
from benchmarks.executors.scheduler import Job, run_trials
from leaderboard.records.identity import record_id
from leaderboard.records.schema import is_done
from leaderboard.records.store import read_records, write_record

RESULT = {
    "status": "ok",
    "reason": None,
    "score": 0.7,
    "failed": False,
    "failed_by": None,
    "failed_plain": False,
    "floor": 0.5,
    "threshold": 0.5,
    "collapsed": False,
    "imputed": False,
    "epochs": [],
    "predictions": [0, 1],
    "seconds": {"total": 0.1},
    "peak_memory": None,
}


class Config(dict[str, Any]):
    """The block of a record in place of the trial's own object, which needs torch."""

    def to_json(self) -> dict[str, Any]:
        return dict(self)


def config(restart: int) -> Config:
    names = dict.fromkeys(("model", "weights", "split_hash", "dev_hash", "metric"), "x")
    protocol = dict.fromkeys(("name", "metric", "data", "selection", "precision"), "x")
    place = {"task": "rte", "strategy": "none", "fraction": 0.1, "restart": restart, "split_seed": 0}
    return Config({**place, **names, "seeds": {}, "protocol": protocol, "methods": {}, "fisher": None})


class Instant:
    """An executor that sleeps and then writes a result, unless the lease was lost."""

    closed = False

    def __init__(self, capacity: int, seconds: float) -> None:
        self.capacity, self.seconds = capacity, seconds
        self.done: list[str] = []
        self.threads = ThreadPoolExecutor(capacity)

    def submit(self, task: Work) -> Future[Outcome]:
        return self.threads.submit(self.run, task)

    def run(self, task: Work) -> Outcome:
        time.sleep(self.seconds * random.Random(str(task.config) + str(self.seconds)).random())
        if not task.lease.held():
            return Outcome(Status.OK, elsewhere=True)
        write_record(Path(task.folder), {"config": task.config, "result": RESULT, "environment": {}})
        self.done.append(task.lease.trial)
        return Outcome(Status.OK)

    def close(self) -> None:
        self.threads.shutdown(wait=True, cancel_futures=True)
        self.closed = True


def launch(output: Path, restarts: Iterable[int], executor: Any, *, retries: int = 0, **options: float) -> list[Any]:
    """Do what is left as `benchmarks.run` does; the outcomes in the order in which trials ended."""
    (output / "records").mkdir(parents=True, exist_ok=True)
    records = read_records([output])[0]
    done = {record["id"] for record in records if is_done(record)}
    configs = {name: c for r in restarts if (name := record_id(c := config(r))) not in done}
    job = Job(None, output, retries, {})
    with Leases(output, **options) as leases:
        before = {record["id"]: record["checksum"] for record in records}
        return list(run_trials(configs, executor, job, leases, before=before))


if __name__ == "__main__":
    folder, trials, seconds, beat, stale = (*sys.argv[1:], *map(str, (BEAT, STALE)))[:5]
    executor = Instant(2, float(seconds))
    launch(Path(folder), range(int(trials)), executor, beat=float(beat), stale=float(stale))
    print("\n".join(executor.done))
