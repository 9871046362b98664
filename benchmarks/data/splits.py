"""Data-paucity splits: the same examples for every strategy, process, machine and source.

Per class (STS-B: per fifth of the score range) a permutation that depends on task, split seed and class only; a
fraction is a prefix of each permutation, so splits are stratified and nested by construction.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.data.sources import Example, TaskData
from benchmarks.data.tasks import Task
from fisher.common.errors import InputError
from fisher.seeds import derive

if TYPE_CHECKING:
    from benchmarks.trial.protocol import Protocol

BINS = 5
TEST_SHARE = 0.2  # of a task without a dev set, cut anew by every split seed


@dataclasses.dataclass(frozen=True)
class Split:
    """Training and dev examples of one trial; of pooled data ids count train and then dev."""

    train: tuple[Example, ...]
    dev: tuple[Example, ...]


@dataclasses.dataclass(frozen=True)
class Size:
    """How much of the training set: `count` examples in all (`examples`) or of every class (`per_class`)."""

    kind: Literal["examples", "per_class"]
    count: int

    def __str__(self) -> str:
        return f"{self.count} {'examples' if self.kind == 'examples' else 'per class'}"

    def to_json(self) -> dict[str, int]:
        """The size as records hold it."""
        return {self.kind: self.count}

    @classmethod
    def from_json(cls, block: Mapping[str, int]) -> Size:
        """The size that a record holds."""
        return cls(*next(iter(block.items())))  # type: ignore[arg-type]

    def share(self, task: Task, train: Sequence[Example]) -> float:
        """The size as a share of the training set. Raises InputError where it is larger than that."""
        return len(self.ids(task, train, 0)) / len(train)

    def ids(self, task: Task, train: Sequence[Example], split_seed: int) -> tuple[int, ...]:
        """Sorted ids of the examples of `train` that this size keeps."""
        if self.kind == "examples":
            return size_split(task, train, size=self.count, split_seed=split_seed)
        return per_class_split(task, train, per_class=self.count, split_seed=split_seed)


def make_split(
    data: TaskData, protocol: Protocol, *, fraction: float, split_seed: int, restart: int, size: Size | None = None
) -> Split:
    """What a trial trains on and is scored on; the strategy has no say in it.

    `official`: a stratified, nested part of train by (task, split seed), scored on the official dev set. `resampled`:
    the same of what is left of train when a test part is cut off. `pooled`: train and dev joined and shuffled with the
    restart's seed [Sharma24]. A size stands in place of the fraction.

    Raises InputError where there is no dev set to score on.
    """
    if protocol.data != "pooled":
        rest, test = sources_of(data, protocol, split_seed)
        if not test:
            raise InputError(f"{data.task.name}: a task without a dev file must go with --set data=resampled")
        if size is None and fraction == 1:
            return Split(rest, test)
        if size is None:
            kept = set(paucity_split(data.task, rest, fraction=fraction, split_seed=split_seed))
        else:
            kept = set(size.ids(data.task, rest, split_seed))
        return Split(tuple(e for e in rest if e.id in kept), test)
    if size is not None:
        raise InputError(f"sizes in examples must go with data=official, got data={protocol.data}; use fractions")
    pool = [dataclasses.replace(e, id=at) for at, e in enumerate((*data.train, *data.dev))]
    train, dev = pooled_split(len(data.train), len(data.dev), seed=pooled_seed(data.task, restart), fraction=fraction)
    return Split(tuple(pool[i] for i in train), tuple(pool[i] for i in dev))


def sources_of(data: TaskData, protocol: Protocol, split_seed: int) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """What training examples are taken from, and what is scored on.

    `resampled`: of each stratum's permutation the last floor(n / 5 + 0.5) examples are scored on, and never dev.
    """
    if protocol.data == "official":
        return data.train, data.dev
    test: set[int] = set()
    for members in _permuted_strata(data.task, data.train, split_seed):
        test |= set(members[len(members) - math.floor(TEST_SHARE * len(members) + 0.5) :])
    return tuple(e for e in data.train if e.id not in test), tuple(e for e in data.train if e.id in test)


def pooled_seed(task: Task, restart: int) -> int:
    """The seed of a restart's shuffle in the `pooled` protocol."""
    return derive("pooled", task.name, restart)


def in_split_order(data: TaskData, protocol: Protocol, split: Split, *, split_seed: int, restart: int) -> list[Example]:
    """The training examples of a split in the order in which splits take them, smaller splits first."""
    if protocol.data != "pooled":
        order = split_order(data.task, sources_of(data, protocol, split_seed)[0], split_seed)
    else:
        order = _permutation(pooled_seed(data.task, restart), len(data.train) + len(data.dev)).tolist()
    kept = {example.id: example for example in split.train}
    return [kept[id] for id in order if id in kept]


def paucity_split(task: Task, train: Sequence[Example], *, fraction: float, split_seed: int = 0) -> tuple[int, ...]:
    """Sorted ids of the examples of `train` that a fraction keeps.

    Each stratum of n examples keeps the first floor(fraction * n + 0.5), at least 1, of its permutation. Strata are the
    classes; for scores, five equal-width bins of the task's range ([0, 1), ..., [4, 5] for STS-B), or of the range that
    `train` shows where the task has none (own regression tasks). Raises InputError unless 0 < fraction <= 1.
    """
    check_fraction(fraction)
    permuted = _permuted_strata(task, train, split_seed)
    counts = [max(1, math.floor(fraction * len(members) + 0.5)) for members in permuted]
    return tuple(sorted(id for members, count in zip(permuted, counts, strict=True) for id in members[:count]))


def pooled_split(n_train: int, n_dev: int, *, seed: int, fraction: float) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Training and dev positions of the `pooled` protocol, each sorted.

    Positions count the training file's rows and then the dev file's. All are shuffled with the restart's `seed`; the
    first 80 % (rounded down, as scikit-learn does) train, the rest is dev; of the training part only the first
    floor(fraction * n + 0.5), at least 1, are kept. Not stratified, as in the authors' code [Sharma24].
    Raises InputError unless 0 < fraction <= 1.
    """
    check_fraction(fraction)
    order = _permutation(seed, n_train + n_dev).tolist()
    cut = len(order) * 4 // 5
    kept = max(1, math.floor(fraction * cut + 0.5))
    return tuple(sorted(order[:kept])), tuple(sorted(order[cut:]))


def size_split(task: Task, train: Sequence[Example], *, size: int, split_seed: int = 0) -> tuple[int, ...]:
    """Sorted ids of `size` examples of `train`, nested over sizes and stratified.

    All examples stand in one order, by (rank within their stratum's permutation + 0.5) / (size of the stratum), ties by
    id; the first `size` are kept. Permutations and strata are those of `paucity_split`. A prefix of n of N examples
    holds n / N of every stratum but for less than one example and half a stratum's rounding.
    Raises InputError unless 1 <= size <= len(train).
    """
    if not 1 <= size <= len(train):
        raise InputError(f"{task.name}: size must be in 1..{len(train)}, the training set's examples, got {size}.")
    return tuple(sorted(split_order(task, train, split_seed)[:size]))


def per_class_split(task: Task, train: Sequence[Example], *, per_class: int, split_seed: int = 0) -> tuple[int, ...]:
    """Sorted ids of the first `per_class` examples of every class's permutation, that of `paucity_split`.

    Raises InputError for a regression task and for a class that has fewer examples.
    """
    if task.regression:
        raise InputError(f"{task.name}: per_class must be used with classes, but its labels are scores; use sizes.")
    permuted = _permuted_strata(task, train, split_seed)
    smallest = min(map(len, permuted))
    if not 1 <= per_class <= smallest:
        raise InputError(f"{task.name}: per_class must be in 1..{smallest}, its smallest class, got {per_class}.")
    return tuple(sorted(id for members in permuted for id in members[:per_class]))


def split_order(task: Task, train: Sequence[Example], split_seed: int) -> list[int]:
    """All ids of `train` in the order whose prefixes are the splits of `size_split`."""
    return _order(task, _Same(train), split_seed)


def check_fraction(fraction: float) -> None:
    """Raises InputError unless 0 < fraction <= 1."""
    if not 0 < fraction <= 1:
        raise InputError(f"fraction must be in (0, 1], got {fraction}.")


def split_hash(task: Task, examples: Iterable[Example]) -> str:
    """SHA-256 over the lines "id TAB label" in id order, each ended by a newline.

    A label is the class id; scores of a task with an official range (STS-B) have three decimals, others the shortest
    text that gives the same float back.
    """
    ordered = sorted(examples, key=attrgetter("id"))
    return hashlib.sha256("".join(f"{e.id}\t{_label_text(task, e)}\n" for e in ordered).encode()).hexdigest()


class _Same:
    """Examples that are looked up by which they are, not by what they hold: comparing texts would cost more."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = examples if isinstance(examples, tuple) else tuple(examples)  # what nobody changes

    def __hash__(self) -> int:
        return id(self.examples)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.examples is other.examples


@functools.lru_cache(maxsize=2)  # split and holdout of a restart ask one after the other
def _order(task: Task, train: _Same, split_seed: int) -> list[int]:
    permuted = _permuted(task, train, split_seed)
    places = np.concatenate([(2 * np.arange(len(members)) + 1) / len(members) for members in permuted])
    ids = np.concatenate(permuted)
    order: list[int] = ids[np.lexsort((ids, places))].tolist()
    return order


def _permuted_strata(task: Task, train: Sequence[Example], split_seed: int) -> list[list[int]]:
    """The ids of each stratum, in the order in which splits take them."""
    return [members.tolist() for members in _permuted(task, _Same(train), split_seed)]


@functools.lru_cache(maxsize=2)  # the amounts of a split ask one after the other
def _permuted(task: Task, train: _Same, split_seed: int) -> list[NDArray[np.int64]]:
    strata = _strata(task, train).items()
    return [
        members[_permutation(derive("split", task.name, split_seed, stratum), len(members))]
        for stratum, members in strata
    ]


@functools.lru_cache(maxsize=2)
def _strata(task: Task, train: _Same) -> dict[int, NDArray[np.int64]]:
    """Ids in rising order by class or score bin."""
    strata: dict[int, list[int]] = defaultdict(list)
    stratum = stratifier(task, train.examples)
    for example in sorted(train.examples, key=lambda example: example.id):
        strata[stratum(example)].append(example.id)
    return {stratum: np.array(ids) for stratum, ids in sorted(strata.items())}


def stratifier(task: Task, train: Sequence[Example]) -> Callable[[Example], int]:
    """The stratum of an example: its class, or the bin of its score in the task's range (or `train`'s)."""
    if not task.regression:
        return lambda example: int(_number(example))
    low, high = task.score_range or _range(train)
    return lambda example: _bin(_number(example), low, high)


def _range(train: Sequence[Example]) -> tuple[float, float]:
    scores = [_number(example) for example in train]
    return min(scores), max(scores)


def _bin(score: float, low: float, high: float) -> int:
    """The bin of a score: half-open but for the last one, which holds `high`."""
    if high == low:
        return 0
    return min(int(BINS * ((score - low) / (high - low))), BINS - 1)


def _number(example: Example) -> int | float:
    assert example.label is not None, "a split is made of labelled examples"
    return example.label


def _label_text(task: Task, example: Example) -> str:
    label = _number(example)
    return f"{label:.3f}" if task.score_range else repr(label)


def _permutation(seed: int, n: int) -> NDArray[np.int64]:
    """0..n-1 in the order of n raw draws of PCG64: NumPy promises that stream to last, not that of `permutation`."""
    return np.argsort(np.random.PCG64(seed).random_raw(n), kind="stable")
