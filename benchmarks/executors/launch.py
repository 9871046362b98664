"""Runs the trials that are left, on whatever the command line names, and shows how they end."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

from benchmarks.executors import data_parallel, slurm, variables
from benchmarks.executors.leases import Leases
from benchmarks.executors.local import LocalExecutor, find_devices
from benchmarks.executors.outcome import Device, Outcome
from benchmarks.executors.progress import Display
from benchmarks.executors.ray import RayExecutor
from benchmarks.executors.scheduler import Executor, Job, run_trials
from benchmarks.trial.checkpoints import remove_done
from benchmarks.trial.environment import environment

if TYPE_CHECKING:
    from benchmarks.planning.plan import Plan, Request
    from benchmarks.trial.config import TrialConfig

Ended = Iterator[tuple["TrialConfig", Outcome]]


def execute(
    request: Request, plan: Plan, console: Console, *, until: float = math.inf, said: set[str] | None = None
) -> bool:
    """Run what is left; whether this process is the one that reports on it.

    until: when, by `time.monotonic`, no further trial is waited for (SLURM's are); said: notes that are not said again.
    Raises InputError for what the executor's cluster does not have, before anything is written.
    """
    args, output = request.args, request.folder.path
    job = Job(request.resources(), output.resolve(), args.retries, environment(args.threads))
    size, options = slurm.read_options(args.slurm, args.threads)
    busy = plan.left or variables.processes() > 1
    engine: Any = make_engine(args, job, len(plan.left), options) if busy else None
    if not variables.is_first():
        data_parallel.follow(engine)
        return False
    plan.keep(request)
    request.folder.set_aside(plan.known.problems)
    remove_done(output, (name for name, done in plan.known.done.items() if done))
    if plan.left:
        request.scores.estimate(lambda text: console.print(text, markup=False))
    if busy:
        with Display(len(plan.left), console, said) as display:
            if args.executor == "slurm":
                how = {"per_device": args.trials_per_device, "threads": args.threads, "timeout": args.timeout}
                before = plan.known.checksums
                ended = slurm.submit_trials(plan.left, job, before=before, engine=engine, size=size, how=how)
            else:
                ended = run_under_leases(engine, plan, job, display, until)
            for config, outcome in ended:
                display.end(config, outcome)
    return True


def make_engine(args: Any, job: Job, trials: int, options: Mapping[str, Any]) -> Any:
    """What runs the trials: an executor, or submitit's."""
    if variables.processes() > 1:
        return data_parallel.Team(job.resources, job.records, args.timeout)
    if args.executor == "slurm":
        return slurm.make_engine(job.output / "slurm", options)
    limits = {"threads": args.threads, "timeout": args.timeout}
    if args.executor == "ray":
        return RayExecutor(args.ray_address, workers=args.workers, per_device=args.trials_per_device, **limits)
    return LocalExecutor(devices_of(args, trials), **limits)


def run_under_leases(engine: Executor, plan: Plan, job: Job, display: Display, until: float) -> Ended:
    """The trials as they end on an executor of this launcher."""
    with Leases(job.output) as leases:
        trials = run_trials(
            plan.left,
            engine,
            job,
            leases,
            before=plan.known.checksums,
            on_start=display.start,
            on_retry=display.retry,
        )
        with contextlib.closing(trials):
            for trial in trials:
                yield trial
                if time.monotonic() >= until:
                    return


def devices_of(args: Any, trials: int) -> list[Device]:
    """Where trials run on this machine: no more workers than there are trials."""
    return find_devices(args.workers, args.trials_per_device, args.threads)[: max(1, trials)]
