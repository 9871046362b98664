"""Data-paucity splits: the same examples for every strategy, process, machine and source.

Per class (STS-B: per fifth of the score range) a permutation that depends on task, split seed and class only; a
fraction is a prefix of each permutation, so splits are stratified and nested by construction.

The holdout, which chooses between configurations, is a part of the training split that nothing is fitted on; both parts
count as labels that somebody paid for. It depends on the split alone, so it is the same for every strategy, and that of
a small split is within that of a larger one.
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
Examples = tuple[Example, ...]
TEST_SHARE = 0.2  # of a task without a dev set, cut anew by every split seed


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

    def ids(self, data: TaskData, split_seed: int) -> list[int]:
        """Ids of the training examples that this size keeps."""
        if self.kind == "examples":
            return size_split(data, self.count, split_seed)
        return per_class_split(data, self.count, split_seed)


def make_split(
    data: TaskData, protocol: Protocol, *, fraction: float, split_seed: int, restart: int, size: Size | None = None
) -> TaskData:
    """The data that a trial trains on and is scored on; the strategy has no say in it.

    `official`: a stratified, nested part of train by (task, split seed), scored on the official dev set. `resampled`:
    the same of what is left of train when a test part is cut off. `pooled`: train and dev joined and shuffled with the
    restart's seed [Sharma24]; ids count train and then dev. A size stands in place of the fraction.

    Raises InputError where there is no dev set to score on.
    """
    if protocol.data == "pooled":
        if size is not None:
            raise InputError(f"sizes in examples must go with data=official, got data={protocol.data}; use fractions")
        pool = [dataclasses.replace(e, id=at) for at, e in enumerate((*data.train, *data.dev))]
        train, dev = pooled_split(pooled_order(data, restart), fraction)
        return dataclasses.replace(data, train=tuple(pool[i] for i in train), dev=tuple(pool[i] for i in dev))
    if protocol.data == "resampled":
        data = resampled(data, split_seed)
    if not data.dev:
        raise InputError(f"{data.task.name}: a task without a dev file must go with --set data=resampled")
    if size is None and fraction == 1:
        return data
    kept = set(paucity_split(data, fraction, split_seed) if size is None else size.ids(data, split_seed))
    return dataclasses.replace(data, train=tuple(e for e in data.train if e.id in kept))


@functools.lru_cache(maxsize=2)
def resampled(data: TaskData, split_seed: int) -> TaskData:
    """The data with a part of train in the place of dev: the last floor(n / 5 + 0.5) of each stratum's permutation."""
    strata = _permuted(data, split_seed)
    test = set(_ids(members[len(members) - math.floor(TEST_SHARE * len(members) + 0.5) :] for members in strata))
    rest = tuple(e for e in data.train if e.id not in test)
    return dataclasses.replace(data, train=rest, dev=tuple(e for e in data.train if e.id in test))


def divide(
    data: TaskData, protocol: Protocol, split: TaskData, share: float, *, split_seed: int, restart: int
) -> tuple[Examples, Examples]:
    """The training examples of a split that are fitted on, and those that are held out, each in the order of their ids.

    Raises InputError where a class would have none in either part.
    """
    if protocol.data == "pooled":
        order = pooled_order(data, restart)
    else:
        order = split_order(resampled(data, split_seed) if protocol.data == "resampled" else data, split_seed)
    kept = {example.id: example for example in split.train}
    held = set(holdout_ids([kept[id] for id in order if id in kept], stratifier(data), share))
    fitted = tuple(example for example in split.train if example.id not in held)
    held_out = tuple(example for example in split.train if example.id in held)
    check_classes(data.task, fitted, held_out)
    return fitted, held_out


def holdout_ids(order: Iterable[Example], stratum: Callable[[Example], int], share: float) -> tuple[int, ...]:
    """Sorted ids of the examples that are held out.

    Within each stratum, taken in `order`, example r (from 0) is held out if floor((r + 1) share + 0.5) exceeds
    floor(r share + 0.5): n examples give floor(n share + 0.5), stratified, and nested over prefixes of `order`.
    Raises InputError unless 0 < share < 1.
    """
    check_share(share)
    seen: dict[int, int] = defaultdict(int)
    ids = []
    for example in order:
        rank = seen[stratum(example)]
        seen[stratum(example)] += 1
        if math.floor((rank + 1) * share + 0.5) > math.floor(rank * share + 0.5):
            ids.append(example.id)
    return tuple(sorted(ids))


def check_share(share: float) -> None:
    """Raise InputError unless 0 < share < 1."""
    if not 0 < share < 1:
        raise InputError(f"holdout must be in (0, 1), a share of the labelled examples, got {share:g}")


def check_classes(task: Task, fitted: Sequence[Example], held_out: Sequence[Example]) -> None:
    """Raise InputError unless both parts have examples of every class (of a regression task: any examples)."""
    words, total = task.labels or ("any score",), len(fitted) + len(held_out)
    for name, part, remedy in (("holdout", held_out, "raise"), ("part that is fitted on", fitted, "lower")):
        present = {example.label if task.labels else 0 for example in part}
        lacking = [word for label, word in enumerate(words) if label not in present]
        if lacking:
            raise InputError(
                f"{task.name}: the {name} must have examples of every class, got {len(part)} of {total} examples "
                f"and none of {lacking[0]}; take more examples or {remedy} holdout"
            )


def paucity_split(data: TaskData, fraction: float, split_seed: int = 0) -> list[int]:
    """Ids of the training examples that a fraction keeps.

    Each stratum of n examples keeps the first floor(fraction * n + 0.5), at least 1, of its permutation. Strata are the
    classes; for scores, five equal-width bins of the task's range ([0, 1), ..., [4, 5] for STS-B), or of the range that
    train shows where the task has none (own regression tasks). Raises InputError unless 0 < fraction <= 1.
    """
    check_fraction(fraction)
    strata = _permuted(data, split_seed)
    return _ids(members[: max(1, math.floor(fraction * len(members) + 0.5))] for members in strata)


def pooled_split(order: Sequence[int], fraction: float) -> tuple[list[int], list[int]]:
    """Training and dev positions of the `pooled` protocol, each sorted.

    order: `pooled_order`. The first 80 % of it (rounded down, as scikit-learn does) train, the rest is dev; of the
    training part only the first floor(fraction * n + 0.5), at least 1, are kept. Not stratified, as in the authors'
    code [Sharma24]. Raises InputError unless 0 < fraction <= 1.
    """
    check_fraction(fraction)
    cut = len(order) * 4 // 5
    kept = max(1, math.floor(fraction * cut + 0.5))
    return sorted(order[:kept]), sorted(order[cut:])


def pooled_order(data: TaskData, restart: int) -> list[int]:
    """The positions of the training file's rows and then the dev file's, shuffled with the restart's seed."""
    seed = derive("pooled", data.task.name, restart)
    order: list[int] = _permutation(seed, len(data.train) + len(data.dev)).tolist()
    return order


def size_split(data: TaskData, size: int, split_seed: int = 0) -> list[int]:
    """Ids of `size` training examples, nested over sizes and stratified: the first of `split_order`.

    A prefix of n of N examples holds n / N of every stratum but for less than one example and half a stratum's
    rounding. Raises InputError unless 1 <= size <= the number of training examples.
    """
    most = len(data.train)
    if not 1 <= size <= most:
        raise InputError(f"{data.task.name}: size must be in 1..{most}, the training set's examples, got {size}.")
    return split_order(data, split_seed)[:size]


def per_class_split(data: TaskData, per_class: int, split_seed: int = 0) -> list[int]:
    """Ids of the first `per_class` training examples of every class's permutation, that of `paucity_split`.

    Raises InputError for a regression task and for a class that has fewer examples.
    """
    name = data.task.name
    if data.task.regression:
        raise InputError(f"{name}: per_class must be used with classes, but its labels are scores; use sizes.")
    permuted = _permuted(data, split_seed)
    least = min(map(len, permuted))
    if not 1 <= per_class <= least:
        raise InputError(f"{name}: per_class must be in 1..{least}, its smallest class, got {per_class}.")
    return _ids(members[:per_class] for members in permuted)


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
    text_of = "{:.3f}".format if task.score_range else repr
    return hashlib.sha256("".join(f"{e.id}\t{text_of(e.label)}\n" for e in ordered).encode()).hexdigest()


@functools.lru_cache(maxsize=2)  # split and holdout of a restart ask one after the other
def split_order(data: TaskData, split_seed: int) -> list[int]:
    """All training ids by (rank within their stratum's permutation + 0.5) / (size of the stratum), ties by id."""
    permuted = _permuted(data, split_seed)
    places = np.concatenate([(2 * np.arange(len(members)) + 1) / len(members) for members in permuted])
    ids = np.concatenate(permuted)
    order: list[int] = ids[np.lexsort((ids, places))].tolist()
    return order


def _ids(parts: Iterable[NDArray[np.int64]]) -> list[int]:
    found: list[int] = np.concatenate(list(parts)).tolist()
    return found


@functools.lru_cache(maxsize=2)  # the amounts of a split ask one after the other
def _permuted(data: TaskData, split_seed: int) -> list[NDArray[np.int64]]:
    """The ids of each stratum, in the order in which splits take them."""
    return [
        members[_permutation(derive("split", data.task.name, split_seed, stratum), len(members))]
        for stratum, members in _strata(data).items()
    ]


@functools.lru_cache(maxsize=2)
def _strata(data: TaskData) -> dict[int, NDArray[np.int64]]:
    """Ids in rising order by class or score bin."""
    strata: dict[int, list[int]] = defaultdict(list)
    stratum = stratifier(data)
    for example in sorted(data.train, key=attrgetter("id")):
        strata[stratum(example)].append(example.id)
    return {stratum: np.array(ids) for stratum, ids in sorted(strata.items())}


def stratifier(data: TaskData) -> Callable[[Example], int]:
    """The stratum of an example: its class, or the bin of its score in the task's range (or that of train).

    Bins are half-open but for the last one, which holds the highest score.
    """
    if not data.task.regression:
        return lambda example: int(_number(example))
    scores = [_number(example) for example in data.train]
    low, high = data.task.score_range or (min(scores), max(scores))
    if high == low:
        return lambda example: 0
    return lambda example: min(int(BINS * ((_number(example) - low) / (high - low))), BINS - 1)


def _number(example: Example) -> int | float:
    assert example.label is not None, "a split is made of labelled examples"
    return example.label


def _permutation(seed: int, n: int) -> NDArray[np.int64]:
    """0..n-1 in the order of n raw draws of PCG64: NumPy promises that stream to last, not that of `permutation`."""
    return np.argsort(np.random.PCG64(seed).random_raw(n), kind="stable")
