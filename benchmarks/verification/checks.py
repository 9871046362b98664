"""Checks of records against data, code and training: the work of `benchmarks.verify`."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.data.holdout import divide
from benchmarks.data.official import check_split_hash, check_texts
from benchmarks.data.origin import Origin, Rows, freeze, load_data
from benchmarks.data.sources import TaskData, examples_hash
from benchmarks.data.splits import Size, Split, make_split, split_hash
from benchmarks.data.tasks import Task
from benchmarks.trial.calibration import calibration, decode_logits
from benchmarks.trial.failed_run import judge
from benchmarks.trial.inputs import Labels, labels_of
from benchmarks.trial.metrics import metric_name, scores
from benchmarks.trial.protocol import ADDED, Protocol
from benchmarks.verification.retraining import Retrainer, sample
from fisher.common.command import require_at_least
from fisher.common.errors import InputError
from fisher.seeds import derive
from leaderboard.audit import CHECKS, Finding
from leaderboard.records.schema import is_result
from leaderboard.verify import report, verify
from regularizers.registry import identity, load_plugins
from regularizers.strategy import parse

SCORE_TOLERANCE = 1e-9
CALIBRATION_TOLERANCE = 2e-6  # figures of records have six decimals
_COMPARED = ("score", "hashes", "predictions", "train_loss", "micro_batch")
Record = dict[str, Any]


class Source:
    """The data that records are checked against; every split is made once."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.split = functools.lru_cache(maxsize=None)(self._split)
        self.holdout = functools.lru_cache(maxsize=None)(self._holdout)

    def _split(self, place: _Place) -> tuple[dict[str, str], Labels, str]:
        """Hashes of what is trained on and of the dev set, its labels, and what speaks against the data."""
        data, split = self._made(place)
        against = ""
        found = {
            "split_hash": split_hash(data.task, split.train),
            "train_hash": examples_hash(split.train),
            "dev_hash": examples_hash(split.dev),
        }
        try:
            check_texts(data)
            if place.data == "official":
                check_split_hash(data.task, place.size or place.fraction, place.split_seed, found["split_hash"])
        except InputError as error:
            against = str(error)
        return found, labels_of(split.dev), against

    def _holdout(self, place: _Place, share: float) -> tuple[str, Labels]:
        """Hash and labels of the examples that are held out."""
        data, split = self._made(place)
        protocol, where = Protocol(data=place.data), {"split_seed": place.split_seed, "restart": place.restart}
        _, held_out = divide(data, protocol, split, share, **where)
        return split_hash(data.task, held_out), labels_of(held_out)

    def _made(self, place: _Place) -> tuple[TaskData, Split]:
        data = load_data(self.origin, place.task, place.dropped)
        where = {"split_seed": place.split_seed, "restart": place.restart}
        return data, make_split(data, Protocol(data=place.data), fraction=place.fraction, size=place.size, **where)

    def faults(self, record: Record) -> Iterator[tuple[str, str]]:
        """What is wrong with a record in the light of the data: (check, sentence)."""
        config, result = record["config"], record["result"]
        if other := ({field.name for field in dataclasses.fields(Protocol)} ^ set(config["protocol"])) - ADDED:
            names = ", ".join(sorted(other))
            yield "code", f"its protocol and that of this code differ in {names}: another version ran it"
            return
        protocol = Protocol(**config["protocol"])
        place = _place_of(config, protocol)
        found, labels, against = self.split(place)
        if against:
            yield "data", against
        for key, what in (("split_hash", "split"), ("train_hash", "training texts"), ("dev_hash", "dev set")):
            if config.get(key, found[key]) != found[key]:
                yield "data", f"it names the {what} {config[key][:12]}, this data gives {found[key][:12]}"
        if config["dev_hash"] != found["dev_hash"]:
            return
        if is_result(record):
            task = self.origin.task(config["task"])
            if config["metric"] != metric_name(task, protocol.metric):
                yield "data", f"{protocol.metric} of {task.name} is not {config['metric']}"
                return
            yield from _verdict_faults(task, config, result, labels)
            yield from _calibration_faults(result, labels)
            yield from self._holdout_faults(task, place, config, result)

    def _holdout_faults(self, task: Task, place: _Place, config: Record, result: Record) -> Iterator[tuple[str, str]]:
        """Hold out the same examples and score the stored predictions of them again."""
        tuning, stored = config.get("tuning"), result.get("holdout")
        if tuning is None or tuning["holdout"] is None:
            return
        found, labels = self.holdout(place, tuning["holdout"])
        if found != tuning["holdout_hash"]:
            yield "data", f"it names the holdout {tuning['holdout_hash'][:12]}, this data gives {found[:12]}"
        elif stored is not None and len(stored["predictions"]) != len(labels):
            yield "predictions", f"{len(stored['predictions'])} holdout predictions for {len(labels)} labels"
        elif stored is not None:
            score = scores(task, stored["predictions"], labels)[config["metric"]]
            if not abs(score - stored["score"]) <= SCORE_TOLERANCE:
                yield "predictions", f"its holdout score is {stored['score']}, its predictions and labels give {score}"


class _Place(NamedTuple):
    """What decides a split."""

    task: str
    data: str
    fraction: float
    size: Size | None
    split_seed: int
    restart: int
    dropped: Rows


def _place_of(config: Record, protocol: Protocol) -> _Place:
    restart = config["restart"] if protocol.data == "pooled" else 0
    size = Size.from_json(config["size"]) if "size" in config else None
    where = (config["task"], protocol.data, config["fraction"], size, config["split_seed"], restart)
    return _Place(*where, freeze(config.get("dropped")))


def _verdict_faults(task: Any, config: Record, result: Record, labels: Labels) -> Iterator[tuple[str, str]]:
    """Judge the stored predictions again and compare every number and flag."""
    predictions, seed = result["predictions"], derive("chance", config["restart"])
    if not result["imputed"] and len(predictions) != len(labels):
        yield "predictions", f"{len(predictions)} predictions for {len(labels)} labels"
        return
    again = judge(task, config["metric"], predictions, labels, diverged=result["imputed"], seed=seed)
    for key, value in dataclasses.asdict(again).items():
        told = result.get(key)
        number = isinstance(value, float) and isinstance(told, (int, float))
        if not (abs(told - value) <= SCORE_TOLERANCE if number else told == value):
            yield "predictions", f"{key} is {told}, its predictions and the labels give {value}"


def _calibration_faults(result: Record, labels: Labels) -> Iterator[tuple[str, str]]:
    """Compute calibration again from the stored logits, where a record keeps them."""
    stored, told = result.get("logits"), result.get("calibration")
    if stored is None or told is None:
        return
    logits = decode_logits(stored)
    if len(logits) != len(labels):
        yield "predictions", f"logits of {len(logits)} examples for {len(labels)} labels"
        return
    for name, value in calibration(logits, [int(label) for label in labels]).items():
        if not abs(told[name] - value) <= CALIBRATION_TOLERANCE:
            yield "predictions", f"its {name} is {told[name]}, its logits and the labels give {value:.6f}"


def strategy_faults(config: Record) -> Iterator[tuple[str, str]]:
    """What is wrong with a record's strategy in the light of this code."""
    strategy = parse(config["strategy"])
    if str(strategy) != config["strategy"]:
        yield "code", f"the strategy must be written {strategy}, got {config['strategy']}"
    versions = {name: identity(name) for name in strategy.names()}
    if versions != config["methods"]:
        yield "code", f"it ran methods {config['methods']}, this code has {versions}"


class Check:
    """What data and code say about records, found while they stream by; with `keep` they may be trained again."""

    def __init__(self, source: Source, *, keep: bool) -> None:
        self.source, self.findings, self.results, self.keep = source, list[Finding](), list[Record](), keep

    def __call__(self, record: Record) -> None:
        """Look at one record."""
        for look in (self.source.faults, lambda record: strategy_faults(record["config"])):
            self._look(look, record)
        if self.keep and is_result(record):
            self.results.append(_core(record))

    def _look(self, look: Callable[[Record], Iterator[tuple[str, str]]], record: Record) -> None:
        try:
            found = list(look(record))
        except (InputError, TypeError, ValueError, KeyError) as error:
            found = [("data", f"cannot be checked: {error}")]
        self.findings += [Finding(check, f"{record['id']}: {text}") for check, text in found]


def _core(record: Record) -> Record:
    """What training again takes and is compared with."""
    result = {key: record["result"].get(key) for key in _COMPARED}
    return {"id": record["id"], "config": record["config"], "result": result}


def run(given: argparse.Namespace) -> int:
    """Check records, data and code, train some again, print the report; 1 if there is a problem."""
    require_at_least(given, rerun=0, tolerance=0, loss_tolerance=0, threads=1)
    if given.data_dir is not None and not Path(given.data_dir).is_dir():
        raise InputError(f"--data-dir must be an existing folder, got {given.data_dir}")
    for problem in load_plugins(given.plugin):
        print(f"warning: {problem}", file=sys.stderr)
    check = Check(Source(Origin(given.data_dir, given.task_file, given.offline)), keep=given.rerun > 0)
    findings, count = verify(given.results, allow_incomplete=given.allow_incomplete, also=check)
    findings += check.findings
    names = ["records", *CHECKS, "tables", "data", "predictions", "code"]
    if given.rerun:
        findings += _train_again(given, check.results)
        names.append("training")
    print(report(findings, count, names))
    return 1 if any(finding.problem for finding in findings) else 0


def _train_again(given: argparse.Namespace, results: list[Record]) -> Iterator[Finding]:
    seed = secrets.randbelow(2**32) if given.seed is None else given.seed
    drawn = sample(results, given.rerun, seed)
    print(
        f"training {len(drawn)} of {len(results)} trials again (--seed {seed}); their losses must agree on average "
        f"within {given.loss_tolerance:g}, their scores within {given.tolerance:g}"
    )
    retrainer = Retrainer(given, drawn)
    for record in drawn:
        for finding in retrainer.compare(record):
            print(f"  {finding.text}", flush=True)
            yield finding
