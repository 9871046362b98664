"""Runs the trials that are left, on whatever the command line names, and shows how they end."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

from benchmarks.executors import data_parallel, slurm
from benchmarks.executors.leases import Leases
from benchmarks.executors.local import LocalExecutor, find_devices
from benchmarks.executors.outcome import Device, Outcome
from benchmarks.executors.progress import Display
from benchmarks.executors.ray import RayExecutor
from benchmarks.executors.scheduler import Job, run_trials
from benchmarks.trial.environment import environment

if TYPE_CHECKING:
    from benchmarks.planning.plan import Plan, Request
    from benchmarks.trial.config import TrialConfig

Ended = Generator[tuple["TrialConfig", Outcome]]


class Launch:
    """The trials of one request on their executor. Raises InputError for what its cluster does not have."""

    def __init__(self, request: Request, plan: Plan) -> None:
        self.args, self.plan = request.args, plan
        self.job = Job(
            request.resources(), request.folder.path.resolve(), self.args.retries, environment(self.args.threads)
        )
        self.limits: dict[str, Any] = {"threads": self.args.threads, "timeout": self.args.timeout}
        self.size, options = slurm.read_options(self.args.slurm, self.args.threads)
        self.engine: Any = self._engine(options) if plan.left or data_parallel.processes() > 1 else None

    def _engine(self, options: Mapping[str, Any]) -> Any:
        """What runs the trials: an executor, or submitit's."""
        if data_parallel.processes() > 1:
            return data_parallel.Team(self.job.resources, self.job.records, self.args.timeout)
        if self.args.executor == "slurm":
            return slurm.make_engine(self.job.output / "slurm", options)
        if self.args.executor == "ray":
            more = {"workers": self.args.workers, "per_device": self.args.trials_per_device}
            return RayExecutor(self.args.ray_address, **more, **self.limits)
        return LocalExecutor(devices_of(self.args, len(self.plan.left)), **self.limits)

    def run(self, console: Console, *, until: float = math.inf, said: set[str] | None = None) -> None:
        """Run what is left; `until` and `said` are as `benchmarks.run.execute` takes them."""
        with Display(len(self.plan.left), console, said) as display:
            for config, outcome in self._trials(display, until):
                display.end(config, outcome)

    def _trials(self, display: Display, until: float) -> Ended:
        """The trials as they end, wherever they run."""
        left, before = self.plan.left, self.plan.known.checksums
        if self.args.executor == "slurm":
            how = {"per_device": self.args.trials_per_device, **self.limits}
            yield from slurm.submit_trials(left, self.job, before=before, engine=self.engine, size=self.size, how=how)
            return
        with Leases(self.job.output) as leases:
            hooks: dict[str, Any] = {"on_start": display.start, "on_retry": display.retry}
            with contextlib.closing(run_trials(left, self.engine, self.job, leases, before=before, **hooks)) as ended:
                for trial in ended:
                    yield trial
                    if time.monotonic() >= until:
                        return

    def follow(self) -> None:
        """Train what the first process of a launch says."""
        data_parallel.follow(self.engine)


def devices_of(args: Any, trials: int) -> list[Device]:
    """Where trials run on this machine: no more workers than there are trials."""
    return find_devices(args.workers, args.trials_per_device, args.threads)[: max(1, trials)]
