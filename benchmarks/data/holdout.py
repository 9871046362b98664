"""The labelled examples that choose between configurations: a part of the training split that nothing is fitted on.

Both parts count as labels that somebody paid for. Which examples are held out depends on the split alone, so it is the
same for every strategy, and those of a small split are among those of a larger one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from benchmarks.data.sources import Example, TaskData
from benchmarks.data.splits import in_split_order, stratifier
from benchmarks.data.tasks import Task
from fisher.common.errors import InputError, require

if TYPE_CHECKING:
    from benchmarks.trial.protocol import Protocol


Examples = tuple[Example, ...]


def divide(
    data: TaskData, protocol: Protocol, split: TaskData, share: float, *, split_seed: int, restart: int
) -> tuple[Examples, Examples]:
    """The training examples of a split that are fitted on, and those that are held out, each in the order of their ids.

    Raises InputError where a class would have none in either part.
    """
    order = in_split_order(data, protocol, split, split_seed=split_seed, restart=restart)
    held = set(holdout_ids(order, stratifier(data), share))
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
    require(0 < share < 1, "holdout must be in (0, 1), a share of the labelled examples", f"{share:g}")


def check_classes(task: Task, fitted: Sequence[Example], held_out: Sequence[Example]) -> None:
    """Raise InputError unless both parts have examples of every class (of a regression task: any examples)."""
    for name, part, remedy in (("holdout", held_out, "raise"), ("part that is fitted on", fitted, "lower")):
        if lacking := _lacking(task, part):
            total = len(fitted) + len(held_out)
            raise InputError(
                f"{task.name}: the {name} must have examples of every class, got {len(part)} of {total} examples "
                f"and none of {lacking}; take more examples or {remedy} holdout"
            )


def _lacking(task: Task, part: Sequence[Example]) -> str:
    """The first class of which a part has no example, empty where it has all."""
    if task.labels is None:
        return "" if part else "any score"
    present = {example.label for example in part}
    return next((word for label, word in enumerate(task.labels) if label not in present), "")
