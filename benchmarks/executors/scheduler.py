"""Which trial runs next: claims, retries and trials that another launcher has; the same for every executor."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from benchmarks.executors.leases import Lease, Leases
from benchmarks.executors.outcome import Json, Outcome, Status, Work
from leaderboard.records.schema import RecordError, is_done
from leaderboard.records.store import read_record, write_record

if TYPE_CHECKING:
    from benchmarks.trial.config import TrialConfig

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
    environment: Json

    @property
    def records(self) -> Path:
        """The folder of the records."""
        return self.output / "records"


@dataclass(frozen=True)
class PendingTrial:
    """A trial to do: its config, its name, which attempt this is, and the record that it had when the run began."""

    config: TrialConfig
    name: str
    before: str | None  # its checksum; a record with another one was written by another launcher since
    attempt: int = 1


def run_trials(
    configs: Mapping[str, TrialConfig],
    executor: Executor,
    job: Job,
    leases: Leases,
    *,
    before: Mapping[str, str],
    on_start: Callable[[TrialConfig], None] = lambda config: None,
    on_retry: Callable[[TrialConfig, Outcome], None] = lambda config, outcome: None,
) -> Generator[tuple[TrialConfig, Outcome]]:
    """Yield (config, outcome) as the trials in `configs` (by record name) end; their records are written by then.

    A trial that ended in an error is tried again after all others, `job.retries` times. The outcome of a trial that
    another launcher did says so; one whose lease was superseded is among those until there is a record of it. Leaving
    the iterator early stops what runs. `before` has the checksums of the records that were there when `configs` was
    made.
    """
    waiting = deque(PendingTrial(config, name, before.get(name)) for name, config in configs.items())
    elsewhere: list[PendingTrial] = []
    running: dict[concurrent.futures.Future[Outcome], tuple[PendingTrial, Lease]] = {}
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
                    task = Work(trial.config.to_json(), job.resources, str(job.records), trial.attempt, lease)
                    running[executor.submit(task)] = trial, lease
            for future in _ended(running, LOOK_EVERY if elsewhere else None):
                trial, lease = running.pop(future)
                outcome = settle(job, trial, lease, future.result())
                if outcome.elsewhere:
                    leases.release(lease)
                    elsewhere.append(trial)
                    continue
                retry = not outcome.status.is_done and trial.attempt <= job.retries
                if retry:
                    on_retry(trial.config, outcome)
                    known = read_known(job.records, trial.name)
                    before_retry = None if known is None else known["checksum"]
                    waiting.append(dataclasses.replace(trial, before=before_retry, attempt=trial.attempt + 1))
                leases.release(lease)
                if not retry:
                    yield trial.config, outcome
            waiting.extend(elsewhere)  # done there, given up, or still to be waited for: the next claim tells
            elsewhere.clear()
    finally:
        executor.close()


def _ended(running: dict[concurrent.futures.Future[Outcome], Any], patience: float | None) -> list[Any]:
    """Trials that ended, waiting for the first one but no longer than `patience` seconds."""
    if running:
        return list(concurrent.futures.wait(running, patience, concurrent.futures.FIRST_COMPLETED).done)
    if patience is not None:
        time.sleep(patience)
    return []


def read_known(records: Path, name: str) -> Json | None:
    """A trial's record, None where there is none that can be read."""
    path = records / f"{name}.json"
    if not path.exists():
        return None
    try:
        return read_record(path)
    except RecordError:  # it is written anew
        return None


def done_since(job: Job, trial: PendingTrial) -> Outcome | None:
    """The outcome of a trial that another launcher did after this run began, None if it is still to be done."""
    record = read_known(job.records, trial.name)
    if record is None or record["checksum"] == trial.before:
        return None
    return Outcome.of(record, elsewhere=True)


def settle(job: Job, trial: PendingTrial, lease: Lease, outcome: Outcome) -> Outcome:
    """What became of a trial, its record written where its worker did not: that of an error.

    Never over a result, and never where the lease was superseded: then the record is another launcher's to write.
    """
    if outcome.elsewhere or outcome.status.is_done or outcome.status is Status.STOPPED:
        return outcome
    record = read_known(job.records, trial.name)
    if record is not None and is_done(record):  # the worker died after it had written
        return dataclasses.replace(Outcome.of(record), device=outcome.device)
    if not lease.held():
        return dataclasses.replace(outcome, elsewhere=True)
    from benchmarks.trial.trial import no_result

    written = outcome.record
    if written is None:
        device = dataclasses.asdict(outcome.device) if outcome.device else {}
        environment = {**job.environment, **device, "attempt": trial.attempt}
        result = no_result(outcome.status, outcome.reason or "")
        written = {"config": trial.config.to_json(), "result": result, "environment": environment}
    write_record(job.records, {**written, "result": {**written["result"], "output": outcome.output}})
    return outcome
