"""Which trial runs next: claims, retries and trials that another launcher has; the same for every executor."""

from __future__ import annotations

import concurrent.futures
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks.executors.leases import Lease, Leases
from benchmarks.executors.worker import Config, Outcome, Work
from leaderboard.records.schema import STATUSES, RecordError, is_done
from leaderboard.records.store import read_record, write_record

DONE = ("ok", "failed", "skipped")
LOOK_EVERY = 1.0  # seconds between two looks at the trials of other launchers


class Executor(Protocol):
    """Something that runs trials: at most `capacity` at a time, each future ending with an outcome."""

    capacity: int

    def submit(self, task: Work) -> concurrent.futures.Future[Outcome]:
        """Start one trial."""

    def close(self) -> None:
        """Stop what runs."""


@dataclass(frozen=True)
class Job:
    """What the trials of one run share: resources, output folder, retries, and the environment of the launcher."""

    resources: Any
    output: Path
    retries: int
    environment: dict[str, Any]

    @property
    def records(self) -> Path:
        """The folder of the records."""
        return self.output / "records"


@dataclass(frozen=True)
class Trial:
    """A trial to do: its config, its name, which attempt this is, and the record that it had when the run began."""

    config: Config
    name: str
    before: str | None  # its checksum; a record with another one was written by another launcher since
    attempt: int = 1


def run_trials(
    configs: Mapping[str, Config],
    executor: Executor,
    job: Job,
    leases: Leases,
    *,
    before: Mapping[str, str],
    on_start: Callable[[Config], None],
    on_retry: Callable[[Config, Outcome], None],
) -> Iterator[tuple[Config, Outcome]]:
    """Yield (config, outcome) as the trials in `configs` (by record name) end; their records are written by then.

    A trial that ended in an error is tried again after all others, `job.retries` times. `elsewhere` stands in the
    outcome of a trial that another launcher did; one whose lease was passed over is among those until there is a record
    of it. Leaving the iterator early stops what runs. `before` has the checksums of the records that were there when
    `configs` was made.
    """
    waiting = deque(Trial(config, name, before.get(name)) for name, config in configs.items())
    elsewhere: deque[Trial] = deque()
    running: dict[concurrent.futures.Future[Outcome], tuple[Trial, Lease]] = {}
    try:
        while waiting or running or elsewhere:
            while waiting and len(running) < executor.capacity:
                trial = waiting.popleft()
                lease = leases.claim(trial.name)
                if lease is None:
                    elsewhere.append(trial)
                elif (outcome := done_since(job, trial)) is not None:
                    leases.release(lease)
                    yield trial.config, outcome
                else:
                    on_start(trial.config)
                    task = Work(trial.config, job.resources, str(job.records), trial.attempt, lease)
                    running[executor.submit(task)] = trial, lease
            for future in _ended(running, LOOK_EVERY if elsewhere else None):
                trial, lease = running.pop(future)
                outcome = future.result()
                keep(job, trial, lease, outcome)
                if "elsewhere" in outcome:
                    leases.release(lease)
                    elsewhere.append(trial)
                    continue
                again = outcome["status"] not in DONE and trial.attempt <= job.retries
                if again:
                    on_retry(trial.config, outcome)
                    waiting.append(Trial(trial.config, trial.name, checksum_of(job, trial.name), trial.attempt + 1))
                leases.release(lease)
                if not again:
                    yield trial.config, outcome
            if elsewhere and len(running) < executor.capacity:
                yield from _look(job, leases, elsewhere, waiting)
    finally:
        executor.close()


def _ended(running: dict[concurrent.futures.Future[Outcome], Any], patience: float | None) -> list[Any]:
    """Trials that ended, waiting for the first one but no longer than `patience` seconds."""
    if running:
        return list(concurrent.futures.wait(running, patience, concurrent.futures.FIRST_COMPLETED).done)
    if patience is not None:
        time.sleep(patience)
    return []


def _look(job: Job, leases: Leases, elsewhere: deque[Trial], waiting: deque[Trial]) -> Iterator[tuple[Config, Outcome]]:
    """Yield what other launchers have done; what they gave up, or died with, is waiting again."""
    for _ in range(len(elsewhere)):
        trial = elsewhere.popleft()
        if not leases.is_free(trial.name):
            elsewhere.append(trial)
        elif (outcome := done_since(job, trial)) is not None:
            yield trial.config, outcome
        else:
            waiting.append(trial)


def read_known(records: Path, name: str) -> dict[str, Any] | None:
    """A trial's record, None where there is none that can be read."""
    path = records / f"{name}.json"
    if not path.exists():
        return None
    try:
        return read_record(path)
    except RecordError:  # it is written anew
        return None


def checksum_of(job: Job, name: str) -> str | None:
    """The checksum of a trial's record, None where there is none that can be read."""
    record = read_known(job.records, name)
    return None if record is None else record["checksum"]


def done_since(job: Job, trial: Trial) -> Outcome | None:
    """The outcome of a trial that another launcher did after this run began, None if it is still to be done."""
    record = read_known(job.records, trial.name)
    if record is None or record["checksum"] == trial.before:
        return None
    notes = {"notes": record["environment"].get("notes", [])}
    return {key: record["result"].get(key) for key in ("status", "reason")} | notes | {"elsewhere": True}


def keep(job: Job, trial: Trial, lease: Lease, outcome: Outcome) -> None:
    """Write the record of a trial whose worker could not; never over a result, never for another launcher.

    `elsewhere` is then in the outcome of a trial whose lease was passed over.
    """
    if "written" in outcome or "elsewhere" in outcome or outcome["status"] not in STATUSES:
        return
    record = read_known(job.records, trial.name)
    if record is not None and is_done(record):  # the worker died after it had written
        outcome |= {"status": record["result"]["status"], "reason": record["result"]["reason"]}
    elif lease.held():
        from benchmarks.trial.trial import no_result

        result = no_result(outcome["status"], outcome["reason"]) | {"output": outcome.get("output", [])}
        environment = {**job.environment, **outcome.get("place", {}), "attempt": trial.attempt}
        write_record(job.records, {"config": trial.config, "result": result, "environment": environment})
    else:
        outcome["elsewhere"] = True
