"""A strategy beside the baseline on the same restarts, and the tiers of strategies that cannot be told apart.

One comparison is made per strategy and cell, from scores in one order of restarts. Several of them are corrected
together, by Holm, over all comparisons of a section.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leaderboard.stats import aggregates as statistics
from leaderboard.stats import resampling, significance
from leaderboard.stats.significance import ALPHA, MINIMUM

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """Paired differences of a strategy to the baseline: mean, interval and p-values; NaN where no test was made.

    restarts: pairs; p, p_holm: sign flip, alone and corrected; smallest_p: what p could reach at this many restarts;
    improvement: probability that a run beats a run of the baseline; failures_p, failures_p_holm: McNemar's test.
    """

    restarts: int
    difference: float
    low: float
    high: float
    improvement: float
    smallest_p: float
    p: float = math.nan
    p_holm: float = math.nan
    failures_p: float = math.nan
    failures_p_holm: float = math.nan

    @property
    def too_few(self) -> bool:
        """Whether there are too few restarts to test."""
        return self.restarts < MINIMUM

    @property
    def distinguishable(self) -> bool:
        """Whether the corrected test tells the strategy from the baseline."""
        return self.p_holm < ALPHA


class Sides(NamedTuple):
    """Two strategies on the same restarts: all fields have one entry per restart, in one order."""

    scores: Scores
    baseline: Scores
    groups: Sequence[str]
    failed: Sequence[bool]
    baseline_failed: Sequence[bool]


def compare_all(pairs: Sequence[Sides]) -> list[Comparison]:
    """Compare both sides of every pair; the sign flips of all are made together, which costs less."""
    found = [_untested(pair) for pair in pairs]
    tested = [at for at, comparison in enumerate(found) if not comparison.too_few]
    p_values = resampling.sign_flips(pairs[at].scores - pairs[at].baseline for at in tested)
    for at, p in zip(tested, p_values, strict=True):
        failures_p = significance.mcnemar(pairs[at].failed, pairs[at].baseline_failed)
        found[at] = replace(found[at], p=p, failures_p=failures_p)
    return found


def _untested(pair: Sides) -> Comparison:
    differences = pair.scores - pair.baseline
    low, high = resampling.interval(differences, pair.groups)
    return Comparison(
        restarts=len(differences),
        difference=statistics.mean(pair.scores) - statistics.mean(pair.baseline),
        low=low,
        high=high,
        improvement=significance.improvement(pair.scores, pair.baseline),
        smallest_p=resampling.smallest_p(len(differences)),
    )


def corrected(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return the comparisons with both p-values corrected over all of them."""
    scores = significance.holm([found.p for found in comparisons])
    failures = significance.holm([found.failures_p for found in comparisons])
    return [
        replace(found, p_holm=p, failures_p_holm=other)
        for found, p, other in zip(comparisons, scores, failures, strict=True)
    ]


Apart = set[tuple[int, int]]


def told_apart(scores: Sequence[Scores]) -> Apart | None:
    """Return the pairs i < j of strategies that can be told apart, None for too few restarts to tell any.

    scores: one array per strategy, entries paired. A pair is told apart if its sign flip, Holm-corrected over all
    pairs, says so; many pairs at few restarts can be out of reach of the smallest p there is.
    """
    if not scores or len(scores[0]) < MINIMUM or not within_reach(len(scores), len(scores[0])):
        return None
    pairs = [(i, j) for j in range(len(scores)) for i in range(j)]
    adjusted = significance.holm(resampling.sign_flips(scores[j] - scores[i] for i, j in pairs))
    return {pair for pair, p in zip(pairs, adjusted, strict=True) if p < ALPHA}


def within_reach(strategies: int, restarts: int) -> bool:
    """Return whether the smallest p that `restarts` can reach survives Holm over all pairs of strategies."""
    return math.comb(strategies, 2) * resampling.smallest_p(restarts) < ALPHA


def tiers_of(scores: Sequence[Scores], apart: Apart | None) -> list[int] | None:
    """Return the tier of each strategy, None where no pair was tested; the best mean leads the first.

    A strategy leaves a tier if its mean is below the leader's and the two can be told apart.
    """
    if apart is None:
        return None
    means = [statistics.mean(own) for own in scores]

    def worse(item: int, leader: int) -> bool:
        return means[item] < means[leader] and (min(item, leader), max(item, leader)) in apart

    order = sorted(range(len(scores)), key=lambda item: -means[item])
    tier = dict(zip(order, significance.tiers(order, worse), strict=True))
    return [tier[item] for item in range(len(scores))]
