"""Trials as SLURM jobs: an array whose tasks each run a batch of trials with the local executor, through submitit.

A task that is preempted is requeued, finds the records that it has written and goes on; a trial in the middle begins
again, or goes on from its checkpoint. The launcher only watches: it may be ended and started again, and other launchers
may share the folder, because every task holds a lease on the trial that it runs. The output folder must be on a file
system that all nodes share.
"""

import dataclasses
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.executors.leases import Leases
from benchmarks.executors.local import LocalExecutor, find_devices
from benchmarks.executors.outcome import Json, Outcome, Status
from benchmarks.executors.scheduler import Job, PendingTrial, done_since, read_known, run_trials
from benchmarks.trial.config import TrialConfig
from fisher.common.errors import InputError, first_line, optional, require
from fisher.common.text import shorten
from leaderboard.records.schema import is_done
from regularizers.registry import load_plugins

TRIALS = 20  # per job
OVER = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE")  # and not requeued
PATIENCE = 3600.0  # seconds without an answer of `squeue`
LOOK_EVERY = 2.0  # seconds between two looks at the records and the jobs


@dataclass(frozen=True)
class Batch:
    """Some trials of a run, by record name and as JSON, as one task of the array runs them."""

    configs: dict[str, Json]
    before: dict[str, str]
    job: Job
    per_device: int
    threads: int
    timeout: float | None

    def __call__(self) -> int:
        """Run what is left of the batch; how many trials this task did itself."""
        load_plugins(self.job.resources.plugins)
        known = {name: read_known(self.job.records, name) for name in self.configs}
        changed = {n: record for n, record in known.items() if record and record["checksum"] != self.before.get(n)}
        done = {name for name, record in changed.items() if is_done(record)}  # a preemption leaves errors, no results
        left = {n: TrialConfig.from_json(block) for n, block in self.configs.items() if n not in done}
        before = {name: record["checksum"] for name, record in known.items() if record}
        devices = find_devices(None, self.per_device, self.threads, executor="slurm")
        executor = LocalExecutor(devices, threads=self.threads, timeout=self.timeout)
        with Leases(self.job.output) as leases:
            ended = list(run_trials(left, executor, self.job, leases, before=before))
        return sum(not outcome.elsewhere for _, outcome in ended)

    def checkpoint(self) -> Any:
        """What submitit requeues after a preemption or at the end of the job's time: the batch itself."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


def read_options(texts: Sequence[str], threads: int) -> tuple[int, dict[str, Any]]:
    """Trials per job and submitit's parameters from `KEY=VALUE` texts; whole numbers become numbers."""
    options: dict[str, Any] = {"cpus_per_task": threads, "trials": TRIALS}
    for text in texts:
        key, equals, value = text.partition("=")
        require(equals and key.isidentifier(), "--slurm must be given key=value", f"{text!r}")
        options[key] = int(value) if value.isdecimal() and len(value) < 10 else value
    size = options.pop("trials")
    require(isinstance(size, int) and size >= 1, "--slurm trials must be a whole number of at least 1", f"{size!r}")
    return size, options


def make_engine(folder: Path, options: Mapping[str, Any]) -> Any:
    """Submitit's executor with its logs in `folder`, which is not made yet; `options` as `read_options` gives them.

    Raises InputError where SLURM is missing or an option is none of submitit's.
    """
    try:
        engine = optional("submitit", "--executor slurm", extra="slurm").SlurmExecutor(folder=folder)
    except RuntimeError as error:
        raise InputError(f"--executor slurm must be started where SLURM's commands are: {first_line(error)}") from None
    try:
        engine.update_parameters(**{"job_name": "regbench", "additional_parameters": {"requeue": True}, **options})
    except (ValueError, TypeError) as error:
        raise InputError(f"--slurm must be given parameters of submitit's SlurmExecutor: {first_line(error)}") from None
    return engine


class Queue:
    """SLURM's queue as `squeue` shows it; accounting (`sacct`) is not asked, because many clusters have none.

    A job is over when the queue says so or has not known it twice in a row: it forgets jobs that ended some minutes
    ago. While `squeue` itself fails nothing is over, and that is said once; after PATIENCE seconds all jobs are.
    """

    def __init__(self, ids: Sequence[str]) -> None:
        self.ids, self.unknown, self.ended = list(map(str, ids)), set[str](), set[str]()
        self.seen = time.monotonic()
        self.warned = False

    def over(self) -> set[str]:
        """The jobs that are over."""
        states = self._ask()
        if states is None:
            return set(self.ids) if time.monotonic() - self.seen > PATIENCE else self.ended
        self.seen = time.monotonic()
        unknown = {one for one in self.ids if one not in states}
        self.ended |= {one for one in self.ids if states.get(one) in OVER} | (unknown & self.unknown)
        self.unknown = unknown
        return self.ended

    def _ask(self) -> dict[str, str] | None:
        """State by job, None where `squeue` gives no answer."""
        arrays = ",".join(sorted({one.partition("_")[0] for one in self.ids}))
        command = ["squeue", "--array", "--noheader", "--states=all", "--format=%i %T", f"--jobs={arrays}"]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
            problem = answer.stderr
            if answer.returncode == 0 or "invalid job id" in problem.lower():  # so it says when it knows none of them
                return dict(line.split() for line in answer.stdout.splitlines())
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            problem = str(error)
        if not self.warned:
            self.warned = True
            print(f"warning: squeue gives no answer and is asked again: {shorten(problem, 200)}", file=sys.stderr)
        return None


def submit_trials(
    configs: Mapping[str, TrialConfig],
    job: Job,
    *,
    before: Mapping[str, str],
    engine: Any,
    size: int,
    how: Mapping[str, Any],
) -> Iterator[tuple[TrialConfig, Outcome]]:
    """Submit the array to what `make_engine` made and yield (config, outcome) as records appear.

    `size` trials make one task, which runs them as `how` says (the last fields of `Batch`). A trial whose task has
    ended without a record is yielded as killed. Raises InputError if SLURM refuses the array.
    """
    trials = [PendingTrial(config, name, before.get(name)) for name, config in configs.items()]
    waiting: dict[str, tuple[PendingTrial, Any]] = {}
    try:
        with engine.batch():
            for at in range(0, len(trials), size):
                part = trials[at : at + size]
                blocks = {trial.name: trial.config.to_json() for trial in part}
                known = {trial.name: trial.before for trial in part if trial.before is not None}
                task = engine.submit(Batch(blocks, known, job, **how))
                waiting |= {trial.name: (trial, task) for trial in part}
    except (RuntimeError, OSError) as error:
        raise InputError(f"--slurm must name what this SLURM has, it refused the jobs: {first_line(error)}") from None
    queue = Queue(list(dict.fromkeys(task.job_id for _, task in waiting.values())))
    while waiting:
        over = queue.over()  # asked before the records, so that none is missed
        for name, (trial, task) in list(waiting.items()):
            outcome = _outcome(job, trial, task, str(task.job_id) in over)
            if outcome is not None:
                del waiting[name]
                yield trial.config, outcome
        if waiting:
            time.sleep(LOOK_EVERY)


def _outcome(job: Job, trial: PendingTrial, task: Any, over: bool) -> Outcome | None:
    """What became of a trial, None while its task may still do it, try it again or be requeued."""
    outcome = done_since(job, trial)
    if outcome is None:
        return Outcome(Status.KILLED, f"SLURM job {task.job_id} ended without a record") if over else None
    if outcome.status.is_done or over:
        return dataclasses.replace(outcome, elsewhere=False)
    return None
