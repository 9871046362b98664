"""What a trial is: everything that determines its result, as one object from the grid to the record."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from benchmarks.data.splits import Size
from benchmarks.trial.protocol import ADDED, FIELDS, Protocol
from fisher.common.errors import InputError
from fisher.seeds import derive
from leaderboard.records.identity import record_id
from leaderboard.records.schema import trained_as
from regularizers.strategy import Strategy, parse

Json = dict[str, Any]


@dataclass(frozen=True)
class Seeds:
    """The seeds of a trial by purpose. The strategy's name is no ingredient, so strategies are paired."""

    split: int
    init: int
    order: int
    noise: int

    def to_json(self) -> Json:
        """The seeds as records hold them."""
        return dataclasses.asdict(self)

    @classmethod
    def of(cls, restart: int, split_seed: int) -> "Seeds":
        """The seeds of a restart; its split has a seed of its own, which several restarts may share."""
        return cls(split_seed, *(derive(purpose, restart) for purpose in ("init", "order", "noise")))


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """The place of a trial among those by which a family is tuned.

    family: the strategy with its hyperparameters free; draw: the number of the configuration, 0 the papers'; axes: what
    is searched where, and from which value of draw 0; holdout: share of the labelled examples that is held out, None
    where all are fitted on (what somebody without tuning would do); holdout_hash: of the examples held out; times: how
    many times the steps (or epochs) of the draw are trained, for a control at equal compute.
    """

    family: str
    draw: int
    axes: Mapping[str, str]
    holdout: float | None
    holdout_hash: str | None
    times: int = 1

    def to_json(self) -> Json:
        """The place as records hold it; its axes are one object in the trials of a family."""
        return {key: value for key, value in vars(self).items() if (key, value) != ("times", 1)}


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialConfig:
    """Everything that determines a trial's result; equal and hashed by its record's id.

    `to_json` is the config block of the record. A field with a default is left out of it where it has the default, so
    a new field of that kind changes the id of no earlier record.

    Args:
        model, weights: label and hash of the checkpoint.
        split_hash, dev_hash: of what is trained on and scored on.
        methods: version of every technique in the strategy.
        fisher: recipe of each source of Fisher scores that the strategy names, None where it needs none.
        files: {path: SHA-256} of the files that the strategy names.
        size: number of training examples, where that and not the fraction was asked for.
        tuning: the place of the trial in the tuning of its family, None for a strategy that is run as it stands.
        floor: {"name", "c"} of what stands in place of a trained model (`benchmarks.tuning.floors`).
        train_hash: of labels and texts of what is trained on, as dev_hash is of dev; extra_hashes of further dev sets.
        tokenizer, model_config: hashes of the tokenizer and of the model's configuration. Records made before these
            four fields lack them (`benchmarks.upgrade` adds them).
        dropped: {part: numbers} of the rows of the data that were left out.
    """

    task: str
    metric: str
    fraction: float
    restart: int
    split_seed: int
    seeds: Seeds
    split_hash: str
    dev_hash: str
    protocol: Protocol
    model: str
    weights: str
    strategy: Strategy
    methods: Mapping[str, int | str]
    fisher: Mapping[str, Any] | None
    files: Mapping[str, str] | None = None
    size: Size | None = None
    tuning: Tuned | None = None
    floor: Mapping[str, Any] | None = None
    train_hash: str | None = None
    extra_hashes: Mapping[str, str] | None = None
    tokenizer: str | None = None
    model_config: str | None = None
    dropped: Mapping[str, Sequence[int]] | None = None

    def to_json(self) -> Json:
        """The config block of the trial's record; blocks that trials share are one object in all of them."""
        own = vars(self)
        block = {name: own[name] for name in REQUIRED}
        block |= {"seeds": _block(self.seeds), "protocol": _block(self.protocol), "strategy": str(self.strategy)}
        block |= {name: own[name] for name in OPTIONAL if own[name] is not None}
        if self.size is not None:
            block["size"] = _block(self.size)
        if self.tuning is not None:
            block["tuning"] = self.tuning.to_json()
        return block

    @classmethod
    def from_json(cls, block: Mapping[str, Any]) -> "TrialConfig":
        """The trial of a record. Raises InputError for one of another version, or whose strategy is unknown here."""
        _check_names("config", block, set(REQUIRED), set(OPTIONAL))
        _check_names("protocol", block["protocol"], {"name", *FIELDS} - ADDED, ADDED)
        parsed: Json = {"protocol": Protocol(**block["protocol"]), "seeds": Seeds(**block["seeds"])}
        parsed |= {"size": Size.from_json(block["size"])} if "size" in block else {}
        parsed |= {"tuning": Tuned(**block["tuning"])} if "tuning" in block else {}
        return cls(**{**block, **parsed, "strategy": parse(block["strategy"])})

    @property
    def amount(self) -> float | Size:
        """How much of the training set is used: the share, or the size that was asked for."""
        return self.fraction if self.size is None else self.size

    @functools.cached_property
    def id(self) -> str:
        """The id of the trial's record."""
        return record_id(self.to_json())

    @property
    def label(self) -> str:
        """The trial as people call it."""
        amount = f"{self.fraction:g}" if self.size is None else str(self.size)
        name = trained_as(str(self.strategy), self.floor)
        return f"{self.task} {amount} {name} restart {self.restart}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TrialConfig) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)


REQUIRED = [field.name for field in dataclasses.fields(TrialConfig) if field.default is dataclasses.MISSING]
OPTIONAL = [field.name for field in dataclasses.fields(TrialConfig) if field.default is None]


@functools.cache
def _block(part: Seeds | Protocol | Size) -> Json:
    """The JSON of a part that many trials share, made once."""
    return part.to_json()


def _check_names(what: str, block: Mapping[str, Any], required: Set[str], optional: Set[str]) -> None:
    """Raise InputError unless a block has the fields of this code."""
    if different := sorted((required - block.keys()) | (block.keys() - required - optional)):
        raise InputError(f"its {what} differs from this code's in {', '.join(different)}: another version ran it")
