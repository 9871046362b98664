"""Ranks of strategies, tiers and groups of those that do not differ significantly, Nemenyi's critical difference."""

import functools
import math
from collections.abc import Callable, Sequence

import networkx
import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata, studentized_range

from leaderboard.stats.intervals import Values, expanded_percentiles, resampled_means
from leaderboard.stats.significance import ALPHA


def mean_ranks(scores: ArrayLike) -> Values:
    """Return each strategy's mean rank over cells, 1 for the highest score; equal ones share their average rank.

    scores: (cells, strategies).
    """
    ranks: Values = rankdata(-np.asarray(scores, dtype=np.float64), axis=1)
    return ranks.mean(axis=0)


def mean_rank_intervals(cells: Sequence[Values]) -> tuple[Values, Values]:
    """Return the 95 % bootstrap interval (low, high) of every strategy's mean rank over cells.

    cells: one array (units, strategies) each, whose rows are the same units in the same order; they are drawn together.
    NaN for fewer than two units.
    """
    units, strategies = cells[0].shape
    if units < 2:
        return np.full(strategies, math.nan), np.full(strategies, math.nan)
    total = sum(rankdata(-resampled_means(cell), axis=1) for cell in cells)
    return expanded_percentiles(total / len(cells), units)


def tiers(count: int, worse: Callable[[int, int], bool]) -> list[int]:
    """Return the tier (from 1) of each of `count` items, which stand in order, the best first.

    A tier holds the best item that has none yet, its leader, and every other one that is not `worse(item, leader)`:
    members do not differ significantly from their leader, and nothing is said about their order.
    """
    tier = dict.fromkeys(range(count), 0)
    number = 0
    while left := [item for item, own in tier.items() if not own]:
        number += 1
        tier |= {item: number for item in left if item == left[0] or not worse(item, left[0])}
    return [tier[item] for item in range(count)]


def groups(count: int, different: Callable[[int, int], bool]) -> list[tuple[int, ...]]:
    """Return the largest groups of at least two of `count` items in which no pair i < j is `different`, in order.

    They are the maximal cliques of the graph of pairs that are not different.
    """
    graph = networkx.Graph((i, j) for j in range(count) for i in range(j) if not different(i, j))
    return sorted(tuple(sorted(clique)) for clique in networkx.find_cliques(graph))


@functools.cache
def critical_difference(strategies: int, tasks: int, *, alpha: float = ALPHA) -> float:
    """Return Nemenyi's critical difference of mean ranks, q sqrt(k (k + 1) / 6N) (Demsar 2006); NaN for k < 2.

    q is the 1 - alpha quantile of the studentized range of k means with infinite degrees of freedom, over sqrt(2).
    """
    if strategies < 2 or tasks < 1:
        return math.nan
    quantile = float(studentized_range.ppf(1 - alpha, strategies, math.inf)) / math.sqrt(2)
    return quantile * math.sqrt(strategies * (strategies + 1) / (6 * tasks))
