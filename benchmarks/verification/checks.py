"""Checks of records against data, code and training: the work of `benchmarks.verify`."""

import argparse
import dataclasses
import secrets
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.data.official import DataHash, is_official, key_of, new_texts
from benchmarks.data.origin import Origin
from benchmarks.data.sources import TaskData, examples_hash
from benchmarks.data.splits import split_hash
from benchmarks.data.tasks import Task
from benchmarks.trial.config import TrialConfig
from benchmarks.trial.failed_run import judge
from benchmarks.trial.inputs import Labels, labels_of, parts_of
from benchmarks.trial.metrics import metric_name, scores
from benchmarks.verification.retraining import Retrainer, sample
from fisher.common.errors import InputError, require
from fisher.seeds import derive
from leaderboard.audit import CHECKS
from leaderboard.record_audit import Finding
from leaderboard.records.labels import LABELS, read_labels
from leaderboard.records.logits import decode_logits
from leaderboard.records.schema import Record, is_result
from leaderboard.stats.calibration import calibration
from leaderboard.verify import report, verify
from regularizers.registry import identity, load_plugins

SCORE_TOLERANCE = 1e-9
CALIBRATION_TOLERANCE = 2e-6  # figures of records have six decimals
_COMPARED = ("score", "hashes", "predictions", "train_loss", "micro_batch")  # of a trial and of its repetition


class Made(NamedTuple):
    """What data and code make of a split: hashes, labels of dev and holdout, and what speaks against the data."""

    task: Task
    hashes: dict[str, str]
    labels: Labels
    held_out: Labels
    against: str


class Check:
    """What data and code say about records, found while they stream by; with `keep` they may be trained again."""

    def __init__(self, origin: Origin, *, keep: bool) -> None:
        self.origin, self.keep = origin, keep
        self.findings: list[Finding] = []
        self.results: list[Record] = []
        self.made: dict[object, Made] = {}  # every split is made once

    def __call__(self, record: Record) -> None:
        """Look at one record."""
        try:
            for check, text in self._faults(record):
                self.findings.append(Finding(check, f"{record['id']}: {text}"))
        except (InputError, TypeError, ValueError, KeyError) as error:
            self.findings.append(Finding("data", f"{record['id']}: cannot be checked: {error}"))
        if self.keep and is_result(record):
            result = {key: record["result"].get(key) for key in _COMPARED}
            self.results.append({"id": record["id"], "config": record["config"], "result": result})

    def _faults(self, record: Record) -> Iterator[tuple[str, str]]:
        """What is wrong with a record: (check, sentence). Raises InputError for one that other code made."""
        config = TrialConfig.from_json(record["config"])
        yield from _strategy_faults(config, record["config"]["strategy"])
        made = self._make(config)
        if made.against:
            yield "data", made.against
        for key, what in (("split_hash", "split"), ("train_hash", "training texts"), ("dev_hash", "dev set")):
            named = getattr(config, key)
            if named is not None and named != made.hashes[key]:
                yield "data", f"it names the {what} {named[:12]}, this data gives {made.hashes[key][:12]}"
        if config.dev_hash != made.hashes["dev_hash"] or not is_result(record):
            return
        if config.metric != metric_name(made.task, config.protocol.metric):
            yield "data", f"{config.protocol.metric} of {made.task.name} is not {config.metric}"
            return
        yield from _verdict_faults(config, record["result"], made)
        yield from _calibration_faults(record["result"], made.labels)
        yield from _holdout_faults(config, record["result"].get("holdout"), made)

    def _make(self, config: TrialConfig) -> Made:
        """The split of a trial, made anew."""
        restart = config.restart if config.protocol.data == "pooled" else 0
        data = self.origin.load(config.task, config.dropped)
        holdout = config.tuning and config.tuning.holdout
        key = (data, config.protocol.data, config.amount, config.split_seed, restart, holdout)
        if key not in self.made:
            split, _, held_out = parts_of(config, data)
            hashes = {
                "split_hash": split_hash(data.task, split.train),
                "train_hash": examples_hash(split.train),
                "dev_hash": examples_hash(split.dev),
                "holdout": split_hash(data.task, held_out),
            }
            against = _against(data, config, hashes["split_hash"])
            self.made[key] = Made(data.task, hashes, labels_of(split.dev), labels_of(held_out), against)
        return self.made[key]


def _against(data: TaskData, config: TrialConfig, found: str) -> str:
    """What speaks against the data: it is not the official one, as its hashes tell."""
    try:
        new_texts(data)
        if config.protocol.data == "official":
            is_official(DataHash(data.task, key_of(config.amount, config.split_seed), found))
    except InputError as error:
        return str(error)
    return ""


def _strategy_faults(config: TrialConfig, written: str) -> Iterator[tuple[str, str]]:
    """What is wrong with a trial's strategy in the light of this code."""
    if str(config.strategy) != written:
        yield "code", f"the strategy must be written {config.strategy}, got {written}"
    versions = {name: identity(name) for name in config.strategy.names()}
    if versions != config.methods:
        yield "code", f"it ran methods {config.methods}, this code has {versions}"


def _verdict_faults(config: TrialConfig, result: Record, made: Made) -> Iterator[tuple[str, str]]:
    """Judge the stored predictions again and compare every number and flag."""
    predictions, seed = result["predictions"], derive("chance", config.restart)
    if not result["imputed"] and len(predictions) != len(made.labels):
        yield "predictions", f"{len(predictions)} predictions for {len(made.labels)} labels"
        return
    again = judge(made.task, config.metric, predictions, made.labels, diverged=result["imputed"], seed=seed)
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


def _holdout_faults(config: TrialConfig, stored: Record | None, made: Made) -> Iterator[tuple[str, str]]:
    """Score the stored predictions of the examples that are held out again."""
    if config.tuning is None or config.tuning.holdout is None:
        return
    named, found, labels = config.tuning.holdout_hash or "none", made.hashes["holdout"], made.held_out
    if found != named:
        yield "data", f"it names the holdout {named[:12]}, this data gives {found[:12]}"
    elif stored is not None and len(stored["predictions"]) != len(labels):
        yield "predictions", f"{len(stored['predictions'])} holdout predictions for {len(labels)} labels"
    elif stored is not None:
        score = scores(made.task, stored["predictions"], labels)[config.metric]
        if not abs(score - stored["score"]) <= SCORE_TOLERANCE:
            yield "predictions", f"its holdout score is {stored['score']}, its predictions and labels give {score}"


def _label_faults(results: Iterable[str], made: Iterable[Made]) -> Iterator[Finding]:
    """Compare the labels that ensembles are scored with to those of the data."""
    known, faults = read_labels(results)
    yield from (Finding("data", str(fault)) for fault in faults)
    found = {one.hashes["dev_hash"]: list(one.labels) for one in made}
    for name, labels in known.items():
        if name in found and labels.tolist() != found[name]:
            yield Finding("data", f"{LABELS}: the labels of dev set {name[:12]} are not those of this data")


def run(given: argparse.Namespace) -> int:
    """Check records, data and code, train some again, print the report; 1 if there is a problem."""
    require(
        given.data_dir is None or Path(given.data_dir).is_dir(), "--data-dir must be an existing folder", given.data_dir
    )
    for problem in load_plugins(given.plugin):
        print(f"warning: {problem}", file=sys.stderr)
    check = Check(Origin(given.data_dir, given.task_file, given.offline), keep=given.rerun > 0)
    findings, count = verify(given.results, allow_incomplete=given.allow_incomplete, also=check)
    findings += [*check.findings, *_label_faults(given.results, check.made.values())]
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
        finding = retrainer.compare(record)
        print(f"  {finding.text}", flush=True)
        yield finding
