"""What a trial reads: task, split, token ids, Fisher scores; each read once per process."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.data import batches
from benchmarks.data.holdout import divide
from benchmarks.data.own_task import task_from_file
from benchmarks.data.sources import Example, TaskData, examples_hash, load_task_data, load_test
from benchmarks.data.splits import Split, make_split
from benchmarks.data.tasks import Task, find_task
from benchmarks.trial import models
from benchmarks.trial.checkpoints import Plan
from benchmarks.trial.config import TrialConfig
from benchmarks.trial.protocol import Protocol
from benchmarks.trial.tokenizer import load_tokenizer
from fisher.scores import Scores, load_scores


@dataclass(frozen=True)
class Resources:
    """Where this machine has what a config names; nothing here may change a score beyond rounding.

    predict_test: also predict the test set with the last weights, after the trial has been judged; logits: keep those
    on dev; micro_batch:
    examples per forward pass where the protocol's did not fit; checkpoints: where an interrupted trial goes on from.
    """

    model: models.Source
    data_dir: str | None = None
    task_file: str | None = None
    offline: bool = False
    plugins: tuple[str, ...] = ()
    fisher: Mapping[str, str] = field(default_factory=dict)  # source named by a strategy -> file of scores
    threads: int = 1
    predict_test: bool = False
    logits: bool = True
    micro_batch: int | None = None
    checkpoints: Plan | None = None

    def load(self, config: TrialConfig) -> TaskData:
        """The examples of a trial's task."""
        return load_data(config.task, self.data_dir, self.task_file, self.offline, freeze(config.dropped))

    def encode(self, config: TrialConfig) -> dict[str, batches.Encoded]:
        """Train, dev and further dev sets of a trial as token ids."""
        where = (config.task, self.data_dir, self.task_file, self.offline)
        return encode_all(self.model, *where, config.protocol.max_length, freeze(config.dropped))

    def encode_tests(self, task: str, max_length: int) -> dict[str, tuple[str, batches.Encoded]]:
        """{test set: (hash of its examples, their token ids)}."""
        return encode_tests(self.model, task, self.data_dir, self.task_file, self.offline, max_length)

    def read_scores(self, sources: Sequence[str]) -> dict[str, Scores]:
        """The Fisher scores of those sources that have a file here."""
        return {source: read_scores(self.fisher[source]) for source in sources if source in self.fisher}


@dataclass(frozen=True)
class Inputs:
    """The data of one trial: its split, and the token ids of the split's parts and of further dev sets.

    `fitted` and `train` are what the trial trains on: the training part of the split, less what is held out.
    """

    data: TaskData
    split: Split
    fitted: tuple[Example, ...]
    held_out: tuple[Example, ...]
    train: batches.Encoded
    holdout: batches.Encoded
    dev: batches.Encoded
    encoded: Mapping[str, batches.Encoded]

    @property
    def outputs(self) -> int:
        """Outputs of the classifier."""
        return outputs_of(self.data.task)


def load_inputs(config: TrialConfig, resources: Resources) -> Inputs:
    """The data of a trial."""
    data, encoded = resources.load(config), resources.encode(config)
    split, fitted, held_out = parts_of(config, data)
    train, holdout = (rows_of(part, "train", config.protocol, encoded) for part in (fitted, held_out))
    dev = rows_of(split.dev, "dev", config.protocol, encoded)
    return Inputs(data, split, fitted, held_out, train, holdout, dev, encoded)


def parts_of(config: TrialConfig, data: TaskData) -> tuple[Split, tuple[Example, ...], tuple[Example, ...]]:
    """The split of a trial, and its training part divided into what is fitted on and what is held out."""
    protocol, place = config.protocol, {"split_seed": config.split_seed, "restart": config.restart}
    split = make_split(data, protocol, fraction=config.fraction, size=config.size, **place)
    if config.tuning is None or config.tuning.holdout is None:
        return split, split.train, ()
    return split, *divide(data, protocol, split, config.tuning.holdout, **place)


def outputs_of(task: Task) -> int:
    """Outputs of a task's classifier: one per class, or the one value of a regression."""
    return 1 if task.labels is None else len(task.labels)


def resolve_task(name: str, task_file: str | None) -> Task:
    """A task by name, or the user's own where `--task-file` defines one of that name."""
    if task_file is not None:
        own = task_from_file(Path(task_file))
        if own.name == name:
            return own
    return find_task(name)


Rows = tuple[tuple[str, tuple[int, ...]], ...]  # the rows of each part that are left out, to be a key


def freeze(dropped: Mapping[str, Sequence[int]] | None) -> Rows:
    """The rows to leave out as a key of what is read once."""
    return tuple((part, tuple(numbers)) for part, numbers in sorted((dropped or {}).items()))


@functools.lru_cache(maxsize=16)
def load_data(name: str, data_dir: str | None, task_file: str | None, offline: bool, dropped: Rows = ()) -> TaskData:
    """The task's examples, read once per process."""
    folder = None if data_dir is None else Path(data_dir)
    return load_task_data(resolve_task(name, task_file), data_dir=folder, offline=offline, dropped=dict(dropped))


@functools.lru_cache(maxsize=16)
def load_tests(name: str, data_dir: str | None, task_file: str | None, offline: bool) -> dict[str, tuple[Example, ...]]:
    """The task's unlabelled test sets by name (`test`; MNLI also `mismatched`), read once per process."""
    task, folder = resolve_task(name, task_file), None if data_dir is None else Path(data_dir)
    parts = ("test", *(part for part, _, _ in (task.glue.extra if task.glue else ())))
    return {part: load_test(task, name=part, data_dir=folder, offline=offline) for part in parts}


@functools.lru_cache(maxsize=16)
def encode_all(
    source: models.Source,
    name: str,
    data_dir: str | None,
    task_file: str | None,
    offline: bool,
    max_length: int,
    dropped: Rows = (),
) -> dict[str, batches.Encoded]:
    """Train, dev and further dev sets as token ids, once per process."""
    data = load_data(name, data_dir, task_file, offline, dropped)
    tokenizer = load_tokenizer(source)
    parts = {"train": data.train, "dev": data.dev, **data.extra}
    return {part: batches.encode(examples, tokenizer, max_length) for part, examples in parts.items()}


@functools.lru_cache(maxsize=4)
def encode_tests(
    source: models.Source, name: str, data_dir: str | None, task_file: str | None, offline: bool, max_length: int
) -> dict[str, tuple[str, batches.Encoded]]:
    """{test set: (hash of its examples, their token ids)}, once per process."""
    tests, tokenizer = load_tests(name, data_dir, task_file, offline), load_tokenizer(source)
    return {
        part: (examples_hash(examples), batches.encode(examples, tokenizer, max_length))
        for part, examples in tests.items()
    }


def split_rows(split: Split, protocol: Protocol, encoded: Mapping[str, batches.Encoded]) -> dict[str, batches.Encoded]:
    """Token ids of a split's two parts."""
    parts = {"train": split.train, "dev": split.dev}
    return {part: rows_of(examples, part, protocol, encoded) for part, examples in parts.items()}


def rows_of(
    examples: Sequence[Example], part: str, protocol: Protocol, encoded: Mapping[str, batches.Encoded]
) -> batches.Encoded:
    """Token ids of some examples of a part; where parts are cut anew, ids count train and then dev."""
    rows = encoded[part] if protocol.data == "official" else encoded["train"] + encoded["dev"]
    return [rows[example.id] for example in examples]


@functools.lru_cache(maxsize=2)
def read_scores(path: str) -> Scores:
    """A file of Fisher scores, read once per process."""
    return load_scores(path)


def labels_of(examples: Sequence[Example]) -> list[int] | list[float]:
    """Labels of labelled examples, all class ids or all scores."""
    labels = [example.label for example in examples]
    assert None not in labels, "train and dev examples carry labels"
    return labels  # type: ignore[return-value]
