"""Tests beside the sign flip, corrections for many of them, and what follows: tiers and the critical difference."""

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata, studentized_range

ALPHA = 0.05
MINIMUM = 12  # fewest restarts whose smallest p survives Holm over 80 tests (5 strategies, 4 tasks, 4 fractions)


def mcnemar(failed: ArrayLike, baseline: ArrayLike) -> float:
    """Return the exact two-sided p-value of McNemar's test on paired failures (truth values, one per restart).

    Of the b + c restarts on which exactly one of the two failed, b and c are Binomial(b + c, 1/2) under the null:
    p = min(1, 2 P(X <= min(b, c))). Without such restarts p = 1.
    """
    one, other = np.asarray(failed, dtype=bool), np.asarray(baseline, dtype=bool)
    only, only_base = int((one & ~other).sum()), int((~one & other).sum())
    total = only + only_base
    tail = sum(math.comb(total, k) for k in range(min(only, only_base) + 1))
    return min(1.0, 2 * tail / 2**total)


def holm(p_values: ArrayLike) -> list[float]:
    """Return Holm's step-down adjusted p-values: max over i <= j of min(1, (m - i + 1) p_(i)); NaN is no test."""
    values = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(len(values), math.nan)
    tests = np.flatnonzero(~np.isnan(values))
    running = 0.0
    for done, index in enumerate(tests[np.argsort(values[tests], kind="stable")]):
        running = max(running, min(1.0, (len(tests) - done) * float(values[index])))
        adjusted[index] = running
    return adjusted.tolist()


def improvement(scores: ArrayLike, baseline: ArrayLike) -> float:
    """Return the probability of improvement P(X > Y) + P(X = Y) / 2 over all pairs of runs (Agarwal et al. 2021).

    NaN entries are left out; NaN if one side is empty.
    """
    x, y = (np.asarray(side, dtype=np.float64) for side in (scores, baseline))
    x, y = x[~np.isnan(x)], y[~np.isnan(y)]
    if not len(x) or not len(y):
        return math.nan
    above = float(rankdata(np.concatenate([x, y]))[: len(x)].sum()) - len(x) * (len(x) + 1) / 2
    return above / (len(x) * len(y))


def tiers(order: Sequence[int], worse: Callable[[int, int], bool]) -> list[int]:
    """Return the tier (from 1) of each of the items in `order`, best first.

    A tier holds the best item that has none yet, its leader, and every other one that is not `worse(item, leader)`:
    members cannot be told from their leader, and nothing is said about their order.
    """
    tier: dict[int, int] = {}
    number = 0
    while len(tier) < len(order):
        number += 1
        left = [item for item in order if item not in tier]
        tier |= {item: number for item in left if item == left[0] or not worse(item, left[0])}
    return [tier[item] for item in order]


def groups(count: int, apart: Callable[[int, int], bool]) -> list[tuple[int, ...]]:
    """Return the largest groups of at least two of `count` items in which no pair i < j is `apart`, in order.

    The maximal cliques of the graph of pairs that are not apart, by the algorithm of Bron and Kerbosch with pivots.
    """
    near: dict[int, set[int]] = {item: set() for item in range(count)}
    for j in range(count):
        for i in range(j):
            if not apart(i, j):
                near[i].add(j)
                near[j].add(i)
    found: list[tuple[int, ...]] = []

    def grow(group: set[int], left: set[int], done: set[int]) -> None:
        if not left and not done:
            found.append(tuple(sorted(group)))
            return
        pivot = max(left | done, key=lambda item: len(near[item] & left))
        for item in sorted(left - near[pivot]):
            grow(group | {item}, left & near[item], done & near[item])
            left, done = left - {item}, done | {item}

    grow(set(), set(near), set())
    return sorted(group for group in found if len(group) > 1)


@functools.cache
def critical_difference(strategies: int, tasks: int, *, alpha: float = ALPHA) -> float:
    """Return Nemenyi's critical difference of mean ranks, q sqrt(k (k + 1) / 6N) (Demsar 2006); NaN for k < 2.

    q is the 1 - alpha quantile of the studentized range of k means with infinite degrees of freedom, over sqrt(2).
    """
    if strategies < 2 or tasks < 1:
        return math.nan
    quantile = float(studentized_range.ppf(1 - alpha, strategies, math.inf)) / math.sqrt(2)
    return quantile * math.sqrt(strategies * (strategies + 1) / (6 * tasks))
