"""What executors and scheduler say to each other: a device, one attempt at a trial, and what became of it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.executors.leases import Lease

if TYPE_CHECKING:
    from benchmarks.trial.inputs import Resources

Json = dict[str, Any]


class Status(enum.StrEnum):
    """How a trial ended; all but STOPPED stand in records."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERROR = "error"
    OOM = "oom"
    TIMEOUT = "timeout"
    KILLED = "killed"
    STOPPED = "stopped"

    @property
    def is_done(self) -> bool:
        """Whether the trial needs no other try."""
        return self in (Status.OK, Status.FAILED, Status.SKIPPED)


@dataclass(frozen=True)
class Device:
    """Where a worker runs: executor, number of its slot, its GPU (None: CPU), how many trials share that GPU, host."""

    executor: str
    slot: int
    gpu: str | None
    trials_per_device: int
    host: str


@dataclass(frozen=True)
class Work:
    """One attempt at one trial, as another process takes it: its config as JSON, and the lease that allows it.

    Plugins that the strategy needs are loaded there before the config is read.
    """

    config: Json
    resources: Resources
    folder: str
    attempt: int
    lease: Lease | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one attempt: the record of a result is written, that of an error not yet.

    elsewhere: another launcher wrote the record, or will, because it has the lease; notes: sentences for whoever
    watches; output: the last lines that it printed; record: an error's, still to be written.
    """

    status: Status
    reason: str | None = None
    elsewhere: bool = False
    peak_memory: int | None = None
    notes: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    device: Device | None = None
    record: Json | None = None

    @classmethod
    def of(cls, record: Mapping[str, Any], *, elsewhere: bool = False) -> Outcome:
        """The outcome that a record tells of."""
        result, notes = record["result"], record["environment"].get("notes", ())
        status, reason = Status(result["status"]), result["reason"]
        return cls(status, reason, elsewhere, result.get("peak_memory"), tuple(notes))
