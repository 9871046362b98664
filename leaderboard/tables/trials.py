"""A trial as the tables need it."""

import functools
import hashlib
import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from leaderboard.records.schema import RESULTS

T = TypeVar("T")
CUT_ANEW = ("pooled", "resampled")  # protocol.data whose dev set is another one in every split
VERSIONS = ("regbench", "torch", "transformers", "python", "device")


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One trial as the tables need it; its numbers are NaN and its flags False where it has no result.

    protocol: canonical JSON; data: hash of the dev set, or `CUT_ANEW`; variant: short hash of what else the config
    says of the strategy; planned: restarts that the plan gives the strategy here, 0 where it says none; split,
    train: hashes of the split's ids and labels and of its texts, empty where a record has none; key: what the
    same restart of every strategy shares (split, dev set, seeds); about: what the record says of the
    strategy; predictions: on the dev set, empty where there are none. size: the number of training examples in words,
    where that was asked for. fit: accuracy (of a regression Spearman) on the examples fitted on, gap: how far the score
    on these is above that on dev; ece, brier, nll: calibration; passes: forward passes of a batch in training;
    forgetting: rise of the pretraining loss.

    Of a tuned family `strategy` is the family, `config` what the configuration `draw` sets, `held_out` its score on the
    examples held out, `rule` how it comes to be in a table (see `leaderboard.tables.choices`), of `budget` many;
    is_floor: nothing was trained (`benchmarks.tuning.floors`). outputs: of a trial on the dev set, logits
    (examples, classes) or the values of a regression, empty where they are not known; labels: of the dev set, likewise.
    """

    id: str
    checksum: str
    model: str
    weights: str
    protocol: str
    task: str
    metric: str
    data: str
    fraction: float
    strategy: str
    variant: str
    restart: int
    planned: int
    split_seed: int
    split: str
    key: str
    status: str
    reason: str
    about: Mapping[str, Any]
    versions: Mapping[str, str]
    score: float = math.nan
    floor: float = math.nan
    failed: bool = False
    failed_plain: bool = False
    failed_by: str = ""
    imputed: bool = False
    collapsed: bool = False
    deviation: float = math.nan
    seconds: float = math.nan
    peak_memory: float = math.nan
    fit: float = math.nan
    gap: float = math.nan
    ece: float = math.nan
    brier: float = math.nan
    nll: float = math.nan
    passes: float = math.nan
    forgetting: float = math.nan
    size: str = ""
    train: str = ""
    rule: str = ""
    draw: int = 0
    budget: int = 0
    held_out: float = math.nan
    is_floor: bool = False
    config: Mapping[str, Any] = field(default_factory=dict, compare=False)
    configurations: tuple["TrialRow", ...] = field(default=(), compare=False, repr=False)
    predictions: NDArray[Any] = field(default_factory=lambda: np.empty(0), compare=False, repr=False)
    outputs: NDArray[Any] = field(default_factory=lambda: np.empty(0), compare=False, repr=False)
    labels: NDArray[Any] = field(default_factory=lambda: np.empty(0), compare=False, repr=False)

    def __eq__(self, other: object) -> bool:
        """Whether all fields that are compared are equal; NaN, which stands for no number, equals itself."""
        return isinstance(other, TrialRow) and _compared(self) == _compared(other)

    @property
    def has_result(self) -> bool:
        """Whether the trial ended with a score."""
        return self.status in RESULTS

    @property
    def unit(self) -> str:
        """What was drawn independently of other restarts: its split, or itself where the split is the whole pool."""
        return self.key if self.fraction == 1 and self.data not in CUT_ANEW else self.split

    @property
    def section(self) -> tuple[str, ...]:
        """Where the variants of a strategy share a name."""
        return self.model, self.weights, self.protocol, self.strategy

    @property
    def outcome(self) -> tuple[Any, ...]:
        """What two records of one trial must agree on."""
        return self.status, self.score, self.failed, self.failed_plain, self.imputed


def _compared(row: TrialRow) -> list[Any]:
    values = (getattr(row, one.name) for one in fields(row) if one.compare)
    return [None if isinstance(value, float) and math.isnan(value) else value for value in values]


@functools.lru_cache(maxsize=1000)
def short(text: str) -> str:
    """Return eight digits that stand for a text."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:8]


def grouped(rows: Iterable[T], *names: str) -> list[tuple[Any, list[T]]]:
    """Return (value or values of the fields `names`, rows) in sorted order; the rows keep theirs."""
    groups: dict[Any, list[T]] = {}
    values = operator.attrgetter(*names)
    for row in rows:
        groups.setdefault(values(row), []).append(row)
    return sorted(groups.items())
