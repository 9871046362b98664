"""Train trials of records once more and compare: the last word of `benchmarks.verify`."""

import argparse
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.data.origin import Origin
from benchmarks.planning.fisher_scores import ScoreBook
from benchmarks.planning.grid import file_hashes
from benchmarks.planning.suite import FisherRecipe
from benchmarks.trial import models
from benchmarks.trial.config import TrialConfig
from benchmarks.trial.identity import model_identity
from benchmarks.trial.inputs import Resources
from benchmarks.trial.trial import execute
from fisher.common.errors import InputError, require
from leaderboard.record_audit import Finding
from leaderboard.records.schema import Record, is_result, shown

MODEL = {  # fields of a config that the model must agree with
    "weights": "weights are {}, those of --model {}",
    "tokenizer": "tokenizer is {}, that of --model {}",
    "model_config": "model configuration is {}, that of --model {}",
}


def sample(records: Sequence[Record], count: int, seed: int) -> list[Record]:
    """Draw `count` records without replacement (all where there are fewer), whatever order they come in."""
    ordered = sorted(records, key=lambda record: record["id"])
    return random.Random(seed).sample(ordered, min(count, len(ordered)))


class Retrainer:
    """Trains trials with what the command line names: model, data, corpus of the Fisher scores.

    Raises InputError if the model is not the one that the records name.
    """

    def __init__(self, given: argparse.Namespace, records: Sequence[Record]) -> None:
        self.given = given
        self.folder = tempfile.TemporaryDirectory()
        labels = sorted({record["config"]["model"] for record in records})
        name = given.model or ("pocket" if labels == ["pocket"] else None)
        if name is None:
            raise InputError(f"--model must be given to train trials of {', '.join(labels)} again")
        self.model = models.find_model(name, offline=given.offline)
        self.identity = model_identity(self.model)

    def compare(self, record: Record) -> Finding:
        """Train the record's trial again, and say how well the two agree."""
        config, given = record["config"], self.given
        for key, text in MODEL.items():
            named, found = config.get(key), self.identity[key]
            if named is not None and named != found:
                return _finding(record, f"its {text.format(named[:12], found[:12])}; not trained again")
        try:
            trial = TrialConfig.from_json(config)
            require(
                file_hashes(trial.strategy) == (trial.files or {}),
                "the files that its strategy names hold something else here",
            )
            resources = Resources(
                model=self.model,
                data=Origin(given.data_dir, given.task_file, given.offline),
                plugins=tuple(given.plugin),
                fisher=self._scores(trial),
                threads=given.threads,
                micro_batch=micro_batch_of(record),
            )
        except InputError as error:
            return _finding(record, f"it cannot be trained again: {error}")
        again = execute(trial, resources)
        if is_result(again):
            return compared(record, again, given.tolerance, given.loss_tolerance)
        return _finding(record, f"it ended in {again['result']['status']}: {again['result']['reason']}")

    def _scores(self, config: TrialConfig) -> dict[str, str]:
        """Files of the Fisher scores that a trial needs, estimated anew by its own recipe."""
        wanted = config.fisher
        if wanted is None:
            return {}
        recipe, keys = wanted.get("estimate"), ("samples", "seed", "objective", "max_length")
        own = {key: recipe[key] for key in keys} if isinstance(recipe, dict) else {}
        asked = FisherRecipe(corpus=self.given.fisher_corpus, **own)
        book = ScoreBook(Path(self.folder.name), self.model, asked)
        book.plan([config.strategy])
        require(
            book.of(config.strategy) == wanted,
            "its Fisher scores have another corpus or recipe here; give its --fisher-corpus",
        )
        book.estimate(print)
        return book.files


def _finding(record: Record, text: str) -> Finding:
    return Finding("training", f"{record['id']}: {text}")


def micro_batch_of(record: Record) -> int | None:
    """Examples per forward pass of a trial's own, None where they were the protocol's; raises InputError for others."""
    size, most = record["result"].get("micro_batch"), record["config"]["protocol"].get("batch_size")
    if size is None:
        return None
    require(
        type(size) is int and type(most) is int and 0 <= size <= most,
        f"micro_batch must be a whole number from 0 to batch_size ({shown(most)})",
        shown(size),
    )
    return size or None


def compared(record: Record, again: Record, tolerance: float, loss_tolerance: float) -> Finding:
    """Say how a record and its repetition agree; a problem where they must and do not.

    Losses are compared by the mean of |difference| over the steps: a run of another strategy shows there first.
    """
    told, new = record["result"], again["result"]
    faults = [f"another {key}" for key in ("head", "batches") if _hash(told, key) != _hash(new, key)]
    losses = [result.get("train_loss") or [] for result in (told, new)]  # floors have none
    if len(losses[0]) != len(losses[1]):
        faults.append(f"{len(losses[0])} training losses, again {len(losses[1])}")
    drift = sum(abs(a - b) for a, b in zip(*losses, strict=False)) / max(1, len(losses[1]))
    if drift > loss_tolerance:
        faults.append(f"training losses differ by {drift:.2g} on average, more than {loss_tolerance:g}")
    gap = abs(told["score"] - new["score"])
    if gap > tolerance:
        faults.append(f"scores differ by {gap:.4g}, more than {tolerance:g}")
    same = sum(a == b for a, b in zip(told["predictions"], new["predictions"], strict=False))
    detail = f"score {told['score']:.6g}, again {new['score']:.6g}"
    detail += f"; {same} of {len(told['predictions'])} predictions equal; losses differ by {drift:.2g}"
    verdict = f"; {'; '.join(faults)}" if faults else ""
    return Finding("training", f"{record['id']}: {detail}{verdict}", problem=bool(faults))


def _hash(result: Record, key: str) -> Any:
    hashes = result.get("hashes")
    return hashes.get(key) if isinstance(hashes, dict) else None
