"""`python -m benchmarks.run`: run a suite of fine-tuning regularizers and make its leaderboard.

    python -m benchmarks.run                                               # the embedded pocket suite
    python -m benchmarks.run --suite glue --model MODEL --data-dir GLUE --tasks rte --fractions 0.1 --restarts 3

Exit status: 0 every trial has a result (a failed run is one) or a declared skip; 1 some ended in an error, the table is
made all the same; 2 the request was wrong; 130 interrupted, and the same command goes on.
"""

from __future__ import annotations

import argparse
import functools
import gc
import math
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.data.splits import Size, check_split_hash, remember_split_hashes, split_hash
from benchmarks.data.tasks import TASKS, Task, task_from_file
from benchmarks.embedded import on_own_corpus, on_pocket
from benchmarks.executors import data_parallel, slurm
from benchmarks.executors.leases import Leases
from benchmarks.executors.local import LocalExecutor, find_devices, in_words
from benchmarks.executors.outcome import Device, Outcome
from benchmarks.executors.progress import Display
from benchmarks.executors.ray import RayExecutor
from benchmarks.executors.scheduler import Job, run_trials
from benchmarks.fisher_scores import ScoreBook
from benchmarks.grid import make_grid, unique_strategies
from benchmarks.suite import Suite, builtin_suites, load_suite, override, tune
from benchmarks.trial import models, timing
from benchmarks.trial.checkpoints import Plan, remove_done
from benchmarks.trial.config import TrialConfig
from benchmarks.trial.environment import environment
from benchmarks.trial.inputs import Resources, load_data, load_tests, resolve_task
from benchmarks.trial.probe import look
from benchmarks.trial.protocol import make_protocol
from benchmarks.tuning.trials import first_strategies
from fisher.common.command import show
from fisher.common.errors import InputError
from fisher.common.files import write_atomic
from leaderboard.build import FILES, build
from leaderboard.records.identity import record_ids
from leaderboard.records.methods import METHODS, encode_methods, read_methods
from leaderboard.records.plan import PLAN, encode_plan, joined, plan_of, read_plan
from leaderboard.records.schema import RecordError, is_done, is_result
from leaderboard.records.store import ARCHIVE, find_records, set_aside, stream_records
from leaderboard.render.text import escape, show_any_script
from regularizers.describe import explain
from regularizers.registry import load_plugins
from regularizers.strategy import parse
from regularizers.surgery.forward import FAMILIES as PACKABLE

DEFAULT_OUTPUT = "results"
MOST = 10_000  # workers, threads, trials on a GPU
WAIT = 0.1  # seconds between two looks at a lease


def main(argv: list[str] | None = None) -> int:
    """Parse the command line, run the request, return the exit status."""
    show_any_script()
    arguments = parser().parse_args(argv)
    try:
        if arguments.list:
            return print_list(arguments.list)
        return Run(arguments).go()
    except InputError as error:
        print(f"error: {escape(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted. Run the same command again to resume.", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__.split("\n")[0])
    p.add_argument("--suite", metavar="NAME|FILE.toml", help="default: pocket, or glue where --tasks names GLUE tasks")
    p.add_argument(
        "--model", metavar="HUB_ID|FOLDER", help="pretrained model; required unless every task is a pocket one"
    )
    p.add_argument("--tasks", nargs="+", metavar="TASK")
    p.add_argument("--strategies", nargs="+", metavar="SUM", help="e.g. 'dropout(0.1) + wdecay(0, 0.01)'")
    p.add_argument("--fractions", nargs="+", type=float, metavar="F", help="shares of the training set, in (0, 1]")
    p.add_argument("--sizes", nargs="+", type=int, metavar="N", help="numbers of training examples, with fractions")
    p.add_argument(
        "--tune", type=int, metavar="B", help="try B configurations of every strategy, whose open hyperparameters vary"
    )
    p.add_argument("--restarts", type=int, metavar="N")
    p.add_argument("--split-seeds", type=int, metavar="N", help="restart r uses split seed r mod N (default 1)")
    p.add_argument("--protocol", metavar="NAME", help="lee20 or sharma24")
    p.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="protocol or fisher_ fields"
    )
    p.add_argument("--data-dir", metavar="DIR", help="original GLUE files; without it GLUE comes from the hub")
    p.add_argument("--task-file", metavar="FILE.toml", help="your own task")
    p.add_argument(
        "--plugin", nargs="+", action="extend", default=[], metavar="FILE|MODULE", help="your own regularizers"
    )
    p.add_argument("--output", metavar="DIR", help=f"default: {DEFAULT_OUTPUT}/SUITE")
    p.add_argument("--workers", type=int, metavar="N", help="default: one per GPU, or per core")
    p.add_argument("--threads", type=int, default=1, metavar="N", help="CPU threads per worker (default 1)")
    p.add_argument("--executor", choices=("local", "ray", "slurm"), default="local", help="where trials run")
    p.add_argument("--ray-address", metavar="HOST:PORT", help="a running cluster; default: Ray on this machine")
    p.add_argument(
        "--slurm",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="SLURM parameters of submitit (partition=gpu, time=600, gpus_per_node=1); trials=N per job (default 20)",
    )
    p.add_argument(
        "--trials-per-device", type=int, default=1, metavar="K", help="trials at a time on one GPU (default 1)"
    )
    p.add_argument("--timeout", type=float, metavar="SECONDS", help="wall-clock limit of one trial")
    p.add_argument("--retries", type=int, default=1, metavar="N", help="further tries after an error (default 1)")
    p.add_argument(
        "--checkpoint-every",
        type=int,
        default=0,
        metavar="STEPS",
        help="optimizer steps between two checkpoints of a trial, which goes on from them (default 0: none)",
    )
    p.add_argument("--offline", action="store_true", help="use local files and caches only")
    p.add_argument("--dry-run", action="store_true", help="show the grid, what is done, what is left, and for how long")
    p.add_argument("--list", choices=("suites", "tasks"))
    return p


def print_list(what: str) -> int:
    """Names that the command line takes."""
    if what == "suites":
        show("\n".join(describe(load_suite(name)) for name in builtin_suites()))
        return 0
    kinds = {t.name: "synthetic, embedded" if t.glue is None else f"GLUE {t.glue.folder}" for t in TASKS.values()}
    show("\n".join(f"{task.name:14s} {kinds[task.name]:20s} {task.primary}" for task in TASKS.values()))
    return 0


def describe(suite: Suite) -> str:
    """A suite in words, for the list: its size, what it reproduces and what it costs."""
    lines = [f"{suite.name:20s} {suite.size():6d} trials  {suite.description}"]
    lines += [f"{'':20s} {label}: {text}" for label in ("reproduces", "cost") if (text := getattr(suite, label))]
    return "\n".join(lines)


class Run:
    """One request, resolved and checked before anything is trained."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.console = Console(soft_wrap=True, quiet=not data_parallel.is_first())
        for problem in load_plugins(arguments.plugin):
            print(f"warning: {problem}", file=sys.stderr)
        for name in ("workers", "threads", "timeout", "trials_per_device"):
            value = getattr(arguments, name)
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"--{name.replace('_', '-')} must be positive, got {value:g}")
            if value is not None and name != "timeout" and value > MOST:
                raise InputError(f"--{name.replace('_', '-')} must be at most {MOST}, got {value:g}")
        if data_parallel.processes() > 1 and arguments.executor != "local":
            raise InputError(f"accelerate launch must come without --executor, got --executor {arguments.executor}")
        for name in ("retries", "checkpoint_every"):
            if getattr(arguments, name) < 0:
                raise InputError(f"--{name.replace('_', '-')} must be at least 0, got {getattr(arguments, name)}")
        if data_parallel.processes() > 1 and arguments.checkpoint_every:
            raise InputError(
                f"accelerate launch must come without --checkpoint-every, got {arguments.checkpoint_every}; "
                "trials of several processes have no checkpoints"
            )
        for option, executor in (("slurm", "slurm"), ("ray_address", "ray")):
            if getattr(arguments, option) and arguments.executor != executor:
                name = f"--{option.replace('_', '-')}"
                raise InputError(f"{name} must come with --executor {executor}, got --executor {arguments.executor}")
        self.job_size, self.slurm = slurm.read_options(arguments.slurm, arguments.threads)
        self.said: list[str] = []
        self.suite = self._suite()
        self.families = {text: parse(first) for text, first in first_strategies(self.suite.tuning).items()}
        self.strategies = [*unique_strategies(self.suite.every("strategies")), *self.families.values()]
        self.tasks = [resolve_task(name, arguments.task_file) for name in self.suite.every("tasks")]
        self.source = self._source()
        if self.source.family not in PACKABLE:
            self.said.append(
                f"{self.source.family} models train with forward=stock; the faster passes are BERT's alone"
            )
        self.output = Path(arguments.output or Path(DEFAULT_OUTPUT, self.suite.name))
        self.grid: dict[str, TrialConfig] = {}  # by the names of the records
        self.new_hashes: list[tuple[Task, float | Size, int, str]] = []
        self.scores = ScoreBook(self.output / "fisher", self.source, self.suite.fisher)

    def _suite(self) -> Suite:
        """The named or default suite with the command line's values in place of its own."""
        a = self.arguments
        own = None if a.task_file is None else task_from_file(Path(a.task_file))
        named = a.tasks or ([own.name] if own and a.suite is None else [])
        tasks = list({(task := resolve_task(name, a.task_file)).name: task for name in named}.values())
        suite = load_suite(a.suite or ("pocket" if all(map(is_pocket, tasks)) else "glue"), own)
        if a.model == "pocket" and not tasks and a.data_dir is None:
            suite, self.said = on_pocket(suite)
        if a.model == "pocket":
            suite, said = on_own_corpus(suite)
            self.said += said
        tuned = a.tune is not None or suite.tuning is not None
        strategies = () if tuned else tuple(str(strategy) for strategy in unique_strategies(a.strategies or []))
        values: dict[str, Any] = {"tasks": tuple(task.name for task in tasks) or None, "strategies": strategies or None}
        if a.fractions or a.sizes:
            values |= {"fractions": tuple(a.fractions or ()), "sizes": tuple(a.sizes or ()), "per_class": ()}
        values |= {key: getattr(a, key) for key in ("restarts", "split_seeds", "protocol", "model")}
        suite = override(suite, values, a.set)
        return tune(suite, a.tune, a.strategies or []) if tuned else suite

    def _source(self) -> models.Source:
        """The model, which every task but the embedded ones needs to be told."""
        unasked = self.suite.model == "pocket" and self.arguments.model is None
        if not self.suite.model or (unasked and not all(is_pocket(task) for task in self.tasks)):
            named = ", ".join(task.name for task in self.tasks if not is_pocket(task)) or "this suite"
            raise InputError(f"--model must be given for {named}: a hub id such as bert-large-uncased, or a folder")
        return models.find_model(self.suite.model, offline=self.arguments.offline)

    def load(self, name: str) -> Any:
        """A task's examples, from the source that the command line names."""
        a = self.arguments
        return load_data(name, a.data_dir, a.task_file, a.offline)

    def go(self) -> int:
        """Plan, show, estimate scores, train, and make the tables."""
        self.scores.plan(self.strategies)
        self._look()
        grid = make_grid(
            self.suite,
            self.load,
            model=self.source.label,
            weights=models.weights_of(self.source),
            family=self.source.family,
            layers=self.source.layers,
            fisher=self.scores.of,
        )
        self._check_splits(grid)
        self.grid = dict(zip(record_ids(config.to_json() for config in grid), grid, strict=True))
        gc.freeze()  # a large grid stays to the end; looking through it again and again costs more than reading records
        known, problems = self._known()
        left = self._left(known)
        if archives := self._files(ARCHIVE):
            names = escape(", ".join(archives))
            self.said.append(f"not used: {names}; move it out of records/, python -m leaderboard.build reads it")
        for line in self.said:
            self.console.print(line, markup=False, highlight=False)
        self.console.print(self.suite.to_toml(), markup=False, highlight=False)
        where = find_devices(self.arguments.workers, self.arguments.trials_per_device, self.arguments.threads)
        where = where[: max(1, len(left))]
        done = len(self.grid) - len(left)
        self.console.print(f"{len(self.grid)} trials: {done} done, {len(left)} left, on {in_words(where)}")
        for problem in problems:
            print(f"warning: {problem}; its trial runs again", file=sys.stderr)
        before = {name: checksum for name, (_, checksum) in known.items()}
        if not data_parallel.is_first() and not self.arguments.dry_run:
            data_parallel.follow(data_parallel.Team(self._resources(), self.output / "records", self.arguments.timeout))
            return 0
        if self.arguments.dry_run:
            there = stream_records(self._files()) if known else []
            records = (record for record in there if left and not isinstance(record, RecordError))
            line = timing.estimate(list(left.values()), records, self._resources(), len(where))
            self.console.print(line, soft_wrap=True)
            return 0
        engine = self._engine(where) if left and data_parallel.processes() == 1 else None
        self._keep_suite()
        self._set_aside(problems)
        remove_done(self.output, (name for name, (done, _) in known.items() if done))
        if left:
            self.scores.estimate(lambda text: self.console.print(text, markup=False))
        if left or data_parallel.processes() > 1:
            self._train(left, before, engine)
        return self._report()

    def _set_aside(self, problems: list[RecordError]) -> None:
        """Move files that cannot be read out of the way, and say so."""
        for kept in set_aside(problems, self.output / "set_aside"):
            print(f"warning: set aside {kept}", file=sys.stderr)

    def _files(self, end: str = ".json") -> list[str]:
        """The records of the output folder, one a file; with `ARCHIVE` the archives there, which no run uses."""
        found = find_records([self.output]) if os.path.isdir(self.output / "records") else []
        return [path for path in found if path.endswith(end)]

    def _known(self) -> tuple[dict[str, tuple[bool, str]], list[RecordError]]:
        """Of every record here whether its trial needs no other try, and its checksum; and the files that are none."""
        known: dict[str, tuple[bool, str]] = {}
        problems = []
        for record in stream_records(self._files()):
            if isinstance(record, RecordError):
                problems.append(record)
            else:
                known[record["id"]] = is_done(record) and self._has_test(record), record["checksum"]
        return known, problems

    def _left(self, known: dict[str, tuple[bool, str]]) -> dict[str, TrialConfig]:
        """The trials to do, by name; those that ended in an error before come last."""
        left = {name: config for name, config in self.grid.items() if name not in known or not known[name][0]}
        return dict(sorted(left.items(), key=lambda item: item[0] in known))

    def _look(self) -> None:
        """Model, tokenizer and texts must go together before anything is scheduled."""
        asked = [
            (task, make_protocol(b.protocol, b.settings).max_length) for b in self.suite.blocks() for task in b.tasks
        ]
        lines, warnings = look(self.source, asked, self.load, self._tests)
        self.said += lines
        for warning in warnings:
            print(f"warning: {escape(warning)}", file=sys.stderr)

    def _tests(self, name: str) -> Any:
        """The test sets of a task that are to be predicted."""
        a = self.arguments
        return load_tests(name, a.data_dir, a.task_file, a.offline) if self.suite.predict_test else {}

    def _has_test(self, record: dict[str, Any]) -> bool:
        """Whether a record holds the test predictions that are asked for, if any are."""
        return not self.suite.predict_test or not is_result(record) or "test" in record["result"]

    def _check_splits(self, grid: list[TrialConfig]) -> None:
        """Official data must give the official splits; the hashes of others are kept at their first use."""
        official = [config for config in grid if config.protocol.data == "official"]
        seen = {(config.task, config.amount, config.split_seed): config.split_hash for config in official}
        tasks = {task.name: task for task in self.tasks}
        for task in self.tasks:
            check_split_hash(task, 1.0, 0, split_hash(task, self.load(task.name).train))
        for (name, amount, split_seed), found in seen.items():
            if not check_split_hash(tasks[name], amount, split_seed, found):
                self.new_hashes.append((tasks[name], amount, split_seed, found))

    def _keep_suite(self) -> None:
        """Make the output folder and store the request beside its results."""
        try:
            (self.output / "records").mkdir(parents=True, exist_ok=True)
            with Leases(self.output) as leases:
                while leases.claim(PLAN) is None:  # another launcher adds to the same files
                    time.sleep(WAIT)
                if self.new_hashes:  # first: they may refuse the request
                    remember_split_hashes(self.output / "split_hashes.json", self.new_hashes)
                write_atomic(self.output / "suite.toml", self.suite.to_toml().encode("utf-8"))
                self._join_files()
        except OSError as error:
            problem = error.strerror or str(error)
            raise InputError(f"--output must be a folder that can be written, got {self.output}: {problem}") from None

    def _join_files(self) -> None:
        """Add this request to what the folder's `methods.json` and `plan.json` say. Raises OSError."""
        (known, faults), (plan, others) = read_methods([self.output]), read_plan([self.output])
        self._set_aside([*faults, *others])
        told = {str(strategy): explain(strategy) for strategy in self.strategies}
        told |= {text: explain(strategy) for text, strategy in self.families.items()}
        write_atomic(self.output / METHODS, encode_methods(known | told))
        write_atomic(
            self.output / PLAN, encode_plan(joined([plan, plan_of(config.to_json() for config in self.grid.values())]))
        )

    def _resources(self) -> Resources:
        """Where this machine has what the configs name."""
        a = self.arguments
        return Resources(
            model=self.source,
            data_dir=absolute(a.data_dir),
            task_file=absolute(a.task_file),
            offline=a.offline,
            plugins=tuple(absolute(plugin) or "" if Path(plugin).exists() else plugin for plugin in a.plugin),
            fisher={source: str(Path(file).resolve()) for source, file in self.scores.files.items()},
            threads=a.threads,
            predict_test=self.suite.predict_test,
            logits=self.suite.logits,
            checkpoints=Plan(str(self.output.resolve()), a.checkpoint_every) if a.checkpoint_every else None,
        )

    def _engine(self, where: list[Device]) -> Any:
        """What runs the trials: an executor, or submitit's. Raises InputError for what its cluster does not have."""
        a = self.arguments
        limits: dict[str, Any] = {"threads": a.threads, "timeout": a.timeout}
        if a.executor == "slurm":
            return slurm.make_engine(self.output.resolve() / "slurm", self.slurm)
        if a.executor == "ray":
            return RayExecutor(a.ray_address, workers=a.workers, per_device=a.trials_per_device, **limits)
        return LocalExecutor(where, **limits)

    def _train(self, left: dict[str, TrialConfig], before: dict[str, str], engine: Any) -> None:
        """Run what is left; `before` has the checksums of the records as they were read."""
        a = self.arguments
        job = Job(self._resources(), self.output.resolve(), a.retries, environment(a.threads))
        with Display(len(left), self.console) as display:
            for config, outcome in self._trials(left, job, before, engine, display):
                display.end(config, outcome)

    def _trials(
        self, left: dict[str, TrialConfig], job: Job, before: dict[str, str], engine: Any, display: Display
    ) -> Iterator[tuple[TrialConfig, Outcome]]:
        """The trials as they end, wherever they run."""
        a = self.arguments
        if a.executor == "slurm":
            limits: dict[str, Any] = {"threads": a.threads, "timeout": a.timeout}
            batch = functools.partial(slurm.Batch, job=job, per_device=a.trials_per_device, **limits)
            sizes: dict[str, Any] = {"size": self.job_size, "batch": batch}
            yield from slurm.submit_trials(left, job, before=before, engine=engine, **sizes)
            return
        with Leases(job.output) as leases:
            if data_parallel.processes() > 1:
                team = data_parallel.Team(job.resources, job.records, a.timeout)
                yield from data_parallel.lead(left, team, job, leases, before=before, on_start=display.start)
                return
            hooks: dict[str, Any] = {"on_start": display.start, "on_retry": display.retry}
            yield from run_trials(left, engine, job, leases, before=before, **hooks)

    def _report(self) -> int:
        """Build the tables from all records of the folder, other requests' too, and say where they lie."""
        paths = self._files()
        self.console.print(build(paths, self.output), markup=False, highlight=False)
        for name in FILES:
            self.console.print(f"{self.output / name}", markup=False, highlight=False)
        own = [path for path in paths if Path(path).name.removesuffix(".json") in self.grid]
        done = sum(not isinstance(record, RecordError) and is_done(record) for record in stream_records(own))
        return 0 if done == len(self.grid) else 1


def absolute(path: str | None) -> str | None:
    """A path that means the same in every process."""
    return None if path is None else str(Path(path).resolve())


def is_pocket(task: Task) -> bool:
    """Whether the task is an embedded one, made for the embedded model."""
    return task.kind == "embedded"


if __name__ == "__main__":
    sys.exit(main())
