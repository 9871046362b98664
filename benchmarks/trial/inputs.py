"""What a trial reads: the parts of its split as labelled token ids, and Fisher scores; each read once per process."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.data import batches
from benchmarks.data.origin import Origin
from benchmarks.data.sources import Example, TaskData, examples_hash
from benchmarks.data.splits import divide, make_split
from benchmarks.data.tasks import Task
from benchmarks.planning.suite import FisherRecipe
from benchmarks.trial import models
from benchmarks.trial.checkpoints import Plan
from benchmarks.trial.config import TrialConfig
from benchmarks.trial.protocol import Protocol
from benchmarks.trial.tokenizer import load_tokenizer
from fisher.scores import load_scores

Labels = list[int] | list[float]
read_scores = functools.lru_cache(maxsize=2)(load_scores)  # a file of Fisher scores, read once per process


@dataclass(frozen=True)
class Resources:
    """Where this machine has what a config names; nothing here may change a score beyond rounding.

    predict_test: also predict the test set with the last weights, after the trial has been judged; logits: keep those
    on dev; micro_batch: examples per forward pass where the protocol's did not fit; checkpoints: where an interrupted
    trial goes on from; forgetting: what it is measured on after the trial has been judged, None where nobody asks.
    """

    model: models.Source
    data: Origin = field(default_factory=Origin)
    plugins: tuple[str, ...] = ()
    fisher: Mapping[str, str] = field(default_factory=dict)  # source named by a strategy -> file of scores
    threads: int = 1
    predict_test: bool = False
    logits: bool = True
    forgetting: FisherRecipe | None = None
    micro_batch: int | None = None
    checkpoints: Plan | None = None


@dataclass(frozen=True)
class Part:
    """Labelled examples and their token ids."""

    examples: tuple[Example, ...]
    rows: batches.Encoded

    @functools.cached_property
    def labels(self) -> Labels:
        """The labels, all class ids or all scores."""
        return labels_of(self.examples)


@dataclass(frozen=True)
class Inputs:
    """The data of one trial.

    train: what is trained on, which is the training part of the split less the holdout; extra: further dev sets.
    """

    task: Task
    train: Part
    holdout: Part
    dev: Part
    extra: Mapping[str, Part]


def load_inputs(config: TrialConfig, resources: Resources) -> Inputs:
    """The data of a trial."""
    data = resources.data.load(config.task, config.dropped)
    encoded = encode_all(resources.model, data, config.protocol.max_length)
    split, train, holdout = parts_of(config, data)
    return Inputs(
        data.task,
        part_of(train, "train", config.protocol, encoded),
        part_of(holdout, "train", config.protocol, encoded),
        part_of(split.dev, "dev", config.protocol, encoded),
        {name: Part(examples, encoded[name]) for name, examples in data.extra.items()},
    )


def parts_of(config: TrialConfig, data: TaskData) -> tuple[TaskData, tuple[Example, ...], tuple[Example, ...]]:
    """The split of a trial, and its training part divided into what is fitted on and what is held out."""
    protocol, place = config.protocol, {"split_seed": config.split_seed, "restart": config.restart}
    split = make_split(data, protocol, fraction=config.fraction, size=config.size, **place)
    if config.tuning is None or config.tuning.holdout is None:
        return split, split.train, ()
    return split, *divide(data, protocol, split, config.tuning.holdout, **place)


def part_of(
    examples: tuple[Example, ...], part: str, protocol: Protocol, encoded: Mapping[str, batches.Encoded]
) -> Part:
    """Some examples of a part of the data with their token ids; where parts are cut anew, ids count train, then dev."""
    rows = encoded[part] if protocol.data == "official" else encoded["train"] + encoded["dev"]
    return Part(examples, [rows[example.id] for example in examples])


def labels_of(examples: Sequence[Example]) -> Labels:
    """Labels of labelled examples, all class ids or all scores."""
    labels = [example.label for example in examples]
    assert None not in labels, "train and dev examples carry labels"
    return labels  # type: ignore[return-value]


@functools.lru_cache(maxsize=16)
def encode_all(source: models.Source, data: TaskData, max_length: int) -> dict[str, batches.Encoded]:
    """Train, dev and further dev sets as token ids, once per process."""
    tokenizer = load_tokenizer(source)
    parts = {"train": data.train, "dev": data.dev, **data.extra}
    return {part: batches.encode(examples, tokenizer, max_length) for part, examples in parts.items()}


@functools.lru_cache(maxsize=4)
def encode_tests(
    source: models.Source, origin: Origin, task: str, max_length: int
) -> dict[str, tuple[str, batches.Encoded]]:
    """{test set: (hash of its examples, their token ids)}, once per process."""
    tests, tokenizer = origin.tests(task), load_tokenizer(source)
    return {
        part: (examples_hash(examples), batches.encode(examples, tokenizer, max_length))
        for part, examples in tests.items()
    }
