"""From a command line to the trials to run: names resolved, inputs checked, the grid held against what is done."""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.data.official import DataHash, is_official, key_of, new_texts
from benchmarks.data.origin import Origin
from benchmarks.data.readers import Dropped, parse_dropped
from benchmarks.data.sources import TaskData
from benchmarks.data.splits import split_hash
from benchmarks.data.tasks import Task
from benchmarks.options import DEFAULT_OUTPUT
from benchmarks.output_folder import Known, OutputFolder
from benchmarks.planning.embedded import on_own_corpus, on_pocket
from benchmarks.planning.fisher_scores import ScoreBook
from benchmarks.planning.grid import make_grid, unique_strategies
from benchmarks.planning.probe import Tests, look
from benchmarks.planning.suite import FisherRecipe
from benchmarks.planning.suite_file import Suite, load_suite, override, tune
from benchmarks.trial import models
from benchmarks.trial.checkpoints import Plan as CheckpointPlan
from benchmarks.trial.config import TrialConfig
from benchmarks.trial.forgetting import find_texts
from benchmarks.trial.identity import model_identity
from benchmarks.trial.inputs import Labels, Resources, labels_of
from benchmarks.trial.protocol import DISCOVER, make_protocol
from benchmarks.tuning.table import spaces
from benchmarks.tuning.trials import first_strategies
from fisher.common.errors import InputError
from fisher.common.memory import kept_objects
from fisher.common.text import escape
from leaderboard.records.identity import record_ids
from leaderboard.records.schema import is_result
from regularizers.describe import explain
from regularizers.registry import load_plugins
from regularizers.strategy import Strategy, parse
from regularizers.surgery.discovery import discover, listing
from regularizers.surgery.packing import PACKINGS
from regularizers.surgery.site_tables import FAMILIES


@dataclass(frozen=True)
class Request:
    """What a command line asks for, resolved; `notes` say what was changed, `warnings` what a reader should know."""

    args: argparse.Namespace
    data: Origin
    suite: Suite
    strategies: list[Strategy]
    families: Mapping[str, Strategy]  # tuned families, and what stands for each where its terms are explained
    tasks: list[Task]
    source: models.Source
    scores: ScoreBook
    folder: OutputFolder
    dropped: Mapping[str, Dropped]  # rows of each task's data that are left out
    notes: list[str]
    warnings: list[str] = field(default_factory=list)
    forgetting: FisherRecipe | None = None

    def load(self, task: str) -> TaskData:
        """A task's examples, from the source that the command line names."""
        return self.data.load(task, self.dropped.get(task))

    def tests(self, task: str) -> Tests:
        """The test sets of a task that are to be predicted."""
        return self.data.tests(task) if self.suite.predict_test else {}

    def suffices(self, record: Mapping[str, Any]) -> bool:
        """Whether a record holds what is asked for next to its result: test predictions, forgetting."""
        if not is_result(record):
            return True
        forgot = not self.suite.forgetting or "floor" in record["config"] or "forgetting" in record["result"]
        return forgot and (not self.suite.predict_test or "test" in record["result"])

    def resources(self) -> Resources:
        """Where this machine has what the configs name."""
        a, output = self.args, self.folder.path.resolve()
        return Resources(
            model=self.source,
            data=self.data.absolute(),
            plugins=tuple(str(Path(plugin).resolve()) if Path(plugin).exists() else plugin for plugin in a.plugin),
            fisher={source: str(Path(file).resolve()) for source, file in self.scores.files.items()},
            threads=a.threads,
            predict_test=self.suite.predict_test,
            logits=self.suite.logits,
            forgetting=self.forgetting,
            checkpoints=CheckpointPlan(str(output), a.checkpoint_every) if a.checkpoint_every else None,
        )

    def headline(self) -> str:
        """The numbers that matter most, in one line."""
        lines = list(dict.fromkeys(map(_headline, self.suite.blocks())))
        return "; or ".join(lines[:2]) + (f"; or {len(lines) - 2} more" if len(lines) > 2 else "")


@dataclass(frozen=True)
class Plan:
    """The trials of a request by the names of their records, and what the output folder holds of them."""

    grid: Mapping[str, TrialConfig]
    known: Known
    left: Mapping[str, TrialConfig]
    new_hashes: list[DataHash]

    def keep(self, request: Request) -> None:
        """Store the request in its output folder."""
        named = {str(strategy): strategy for strategy in request.strategies} | dict(request.families)
        methods = {text: explain(strategy) for text, strategy in named.items()}
        blocks = (config.to_json() for config in self.grid.values())
        labels = self.labels(request)
        request.folder.keep_request(request.suite.to_toml(), methods, blocks, self.new_hashes, labels)

    def labels(self, request: Request) -> dict[str, Labels]:
        """The labels of the dev sets of tuned families and of restarts that share a split, by hash.

        `leaderboard.tables.ensembles` scores with them.
        """
        official = (config for config in self.grid.values() if config.protocol.data == "official")
        tasks = {one.dev_hash: one.task for one in official if one.tuning or one.split_seed != one.restart}
        return {dev_hash: labels_of(request.load(task).dev) for dev_hash, task in tasks.items()}


def resolve(args: argparse.Namespace) -> Request:
    """Load plugins, suite, tasks and model by their names. Raises InputError for what does not exist or fit."""
    for problem in load_plugins(args.plugin):
        print(f"warning: {problem}", file=sys.stderr)
    return request_of(args, *_suite(args, origin_of(args)))


def origin_of(args: argparse.Namespace) -> Origin:
    """Where the command line says that data are."""
    return Origin(args.data_dir, args.task_file, args.offline)


def request_of(args: argparse.Namespace, suite: Suite, notes: list[str]) -> Request:
    """The request for a suite, with everything else as on the command line. Raises InputError as `resolve` does."""
    data = origin_of(args)
    families = {text: parse(first) for text, first in first_strategies(suite.tuning).items()}
    strategies = [*unique_strategies(suite.every("strategies")), *families.values()]
    tasks = [data.task(name) for name in suite.every("tasks")]
    source = _model(args, suite, tasks)
    if source.family not in PACKINGS:
        notes.append(f"{source.family} models train with forward=stock: no packed pass is exact for them")
    folder = OutputFolder(Path(args.output or Path(DEFAULT_OUTPUT, suite.name)))
    scores = ScoreBook(folder.path / "fisher", source, suite.fisher)
    dropped = {data.task(name).name: rows for name, rows in parse_dropped(args.drop_rows).items()}
    found = (args, data, suite, strategies, families, tasks, source, scores, folder, dropped, notes)
    return Request(*found, forgetting=find_texts(source, suite.fisher) if suite.forgetting else None)


def make_plan(request: Request) -> Plan:
    """The grid and what is left of it. Raises InputError where model, tokenizer, texts or splits do not fit."""
    request.scores.plan(request.strategies)
    _look(request)
    with kept_objects():
        grid = make_grid(
            request.suite,
            request.load,
            model=model_identity(request.source),
            family=request.source.family,
            layers=request.source.layers,
            fisher=request.scores.of,
        )
        by_name = dict(zip(record_ids(config.to_json() for config in grid), grid, strict=True))
    new_hashes = _new_splits(request, grid)
    new_hashes += [text for task in request.tasks for text in new_texts(request.load(task.name))]
    request.folder.check(new_hashes)
    known = request.folder.known(by_name, request.suffices)
    left = {name: by_name[name] for name in known.left(by_name)}
    if known.archives:
        names = escape(", ".join(known.archives))
        request.notes.append(f"not used: {names}; move it out of records/, regbench build reads it")
    return Plan(by_name, known, left, new_hashes)


def _suite(args: argparse.Namespace, data: Origin) -> tuple[Suite, list[str]]:
    """The named or default suite with the command line's values in place of its own, and what was changed."""
    own = data.own()
    named = args.tasks or ([own.name] if own and args.suite is None else [])
    tasks = list({(task := data.task(name)).name: task for name in named}.values())
    suite = load_suite(args.suite or ("pocket" if all(task.kind == "embedded" for task in tasks) else "glue"), own)
    notes: list[str] = []
    if args.model == "pocket" and not tasks and args.data_dir is None:
        suite, notes = on_pocket(suite)
    if args.model == "pocket":
        suite, more = on_own_corpus(suite)
        notes += more
    tuned = args.tune is not None or suite.tuning is not None
    strategies = [] if tuned else unique_strategies(args.strategies or [])
    values: dict[str, Any] = {key: getattr(args, key) for key in ("restarts", "split_seeds", "protocol", "model")}
    values["tasks"] = tuple(task.name for task in tasks) or None
    values["strategies"] = tuple(map(str, strategies)) or None
    if args.fractions or args.sizes:
        values |= {"fractions": tuple(args.fractions or ()), "sizes": tuple(args.sizes or ()), "per_class": ()}
    suite = override(suite, values, args.set)
    return (tune(suite, args.tune, args.strategies or []) if tuned else suite), notes


def _model(args: argparse.Namespace, suite: Suite, tasks: list[Task]) -> models.Source:
    """The model, which every task but the embedded ones needs to be told."""
    unasked = suite.model == "pocket" and args.model is None
    if not suite.model or (unasked and not all(task.kind == "embedded" for task in tasks)):
        named = ", ".join(task.name for task in tasks if task.kind != "embedded") or "this suite"
        raise InputError(f"--model must be given for {named}: a hub id such as bert-large-uncased, or a folder")
    return models.find_model(suite.model, offline=args.offline)


def _look(request: Request) -> None:
    """Model, tokenizer and texts must go together before anything is scheduled."""
    blocks = request.suite.blocks()
    asked = [(task, make_protocol(b.protocol, b.settings).max_length) for b in blocks for task in b.tasks]
    lines, warnings = look(request.source, asked, request.load, request.tests)
    request.notes.extend(lines)
    request.notes.extend(_say_sites(request, asked[0][0]))
    request.warnings.extend(warnings)


def _say_sites(request: Request, task: str) -> list[str]:
    """What a family without a site table means for the request: what was discovered, or which terms are skipped."""
    if request.source.family in FAMILIES:
        return []
    if not any(make_protocol(b.protocol, b.settings).sites == "discovered" for b in request.suite.blocks()):
        must = f"{request.source.family} has no site table: terms that act on dropout sites or mixed layers are skipped"
        return [f"{must}; {DISCOVER}"]
    template = models.load_template(request.source, request.load(task).task.outputs)
    return [listing(discover(template.model, template.head))]


def _new_splits(request: Request, grid: list[TrialConfig]) -> list[DataHash]:
    """Hashes of splits that are seen for the first time. Raises InputError where official data give other splits."""
    for task in request.tasks:
        is_official(DataHash(task, key_of(1.0, 0), split_hash(task, request.load(task.name).train)))
    tasks = {task.name: task for task in request.tasks}
    official = [config for config in grid if config.protocol.data == "official"]
    seen = {(config.task, config.amount, config.split_seed): config.split_hash for config in official}
    found = [DataHash(tasks[name], key_of(amount, seed), digest) for (name, amount, seed), digest in seen.items()]
    return [split for split in found if not is_official(split)]


def _headline(block: Suite) -> str:
    protocol = make_protocol(block.protocol, block.settings)
    splits = (None if protocol.data == "pooled" else block.split_seeds) or block.restarts
    restarts = f"{block.restarts} restart{'s' * (block.restarts > 1)} on {splits} split{'s' * (splits > 1)}"
    if block.tuning is not None:
        axes = "".join(f", {axis} {space}" for axis, space in spaces(block.tuning).items())
        return f"{block.tuning.budget} configurations per family{axes}, batch {protocol.batch_size}, {restarts}"
    epochs = f"{protocol.steps} steps" if protocol.steps else f"{protocol.epochs} epoch{'s' * (protocol.epochs > 1)}"
    return f"lr {protocol.lr:g}, {epochs}, batch {protocol.batch_size}, {restarts}".replace("e-0", "e-")
