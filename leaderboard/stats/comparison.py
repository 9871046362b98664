"""Paired comparisons of two strategies on the same restarts: difference, interval, sign flip, and the pooled form.

Restarts that share a split of the training data are one unit: intervals and tests count units, not restarts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leaderboard.stats import significance
from leaderboard.stats.intervals import by_unit, interval, intervals, whole
from leaderboard.stats.rounding import rounded, rounded_p
from leaderboard.stats.significance import ALPHA, MINIMUM

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """One strategy against another on their common restarts; NaN where no test was made.

    units: how many of the restarts are independent; difference: of the means, with its 95 % interval low..high; wins,
    losses: restarts on which the one scores higher, and lower; spread: standard deviation of the differences over
    units; p, p_holm: sign flip, alone and corrected; failures_p, failures_p_holm: McNemar's test.
    """

    restarts: int
    units: int
    difference: float
    low: float
    high: float
    wins: int
    losses: int
    spread: float
    p: float = math.nan
    p_holm: float = math.nan
    failures_p: float = math.nan
    failures_p_holm: float = math.nan

    @property
    def smallest_p(self) -> float:
        """What p could reach at so many units."""
        return significance.smallest_p(self.units)

    @property
    def improvement(self) -> float:
        """Probability of improvement: share of the restarts on which the one beats the other, ties counting half."""
        return rounded((self.restarts + self.wins - self.losses) / (2 * self.restarts))

    @property
    def too_few(self) -> bool:
        """Whether there are too few units to test."""
        return self.units < MINIMUM

    @property
    def significant(self) -> bool:
        """Whether the corrected test finds a difference."""
        return self.p_holm < ALPHA

    def reversed(self) -> "Comparison":
        """Return the comparison of the other strategy against the one."""
        turned = replace(self, wins=self.losses, losses=self.wins)
        return replace(turned, difference=-self.difference, low=-self.high, high=-self.low)


class Sides(NamedTuple):
    """Two strategies on the same restarts: all fields have one entry per restart, in one order."""

    scores: Scores
    others: Scores
    units: tuple[str, ...]


def compare_all(pairs: Sequence[Sides]) -> list[Comparison]:
    """Compare both sides of every pair; those on the same restarts are resampled and flipped together."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for at, pair in enumerate(pairs):
        groups.setdefault(pair.units, []).append(at)
    found: dict[int, Comparison] = {}
    for units, members in groups.items():
        differences = np.stack([pairs[at].scores - pairs[at].others for at in members], axis=1)  # (restarts, pairs)
        found |= zip(members, _compared(differences, units), strict=True)
    return [found[at] for at in range(len(pairs))]


def _compared(differences: Scores, units: Sequence[str]) -> list[Comparison]:
    columns, signs = by_unit(differences, units), np.sign(whole(differences))
    low, high = intervals(differences, units)
    count = len(columns)
    spread = columns.std(axis=0, ddof=1) if count > 1 else np.full(len(low), math.nan)
    means = whole(differences).sum(axis=0) / whole(np.ones(len(differences))).sum()
    p_values = significance.sign_flips(columns.T) if count >= MINIMUM else [math.nan] * len(low)
    return [
        Comparison(
            restarts=len(differences),
            units=count,
            difference=rounded(means[at]),
            low=rounded(low[at]),
            high=rounded(high[at]),
            wins=int((signs[:, at] > 0).sum()),
            losses=int((signs[:, at] < 0).sum()),
            spread=float(spread[at]),
            p=rounded_p(p),
        )
        for at, p in enumerate(p_values)
    ]


def failures_p(failed: Sequence[bool], others: Sequence[bool], units: Sequence[str]) -> float:
    """Return McNemar's p-value of paired failures, counted over units; NaN for too few of them."""
    more = by_unit(np.array(failed, dtype=np.float64) - np.array(others, dtype=np.float64), units)
    if len(more) < MINIMUM:
        return math.nan
    return rounded_p(significance.mcnemar(int((more > 0).sum()), int((more < 0).sum())))


def corrected(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return the comparisons of one family with both p-values corrected over it."""
    scores = significance.holm([found.p for found in comparisons])
    failures = significance.holm([found.failures_p for found in comparisons])
    return [
        replace(found, p_holm=rounded_p(p), failures_p_holm=rounded_p(other))
        for found, p, other in zip(comparisons, scores, failures, strict=True)
    ]


# --- over cells -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pooled:
    """One strategy against another over all cells, NaN where nothing is compared.

    improvement: probability that it beats the other on the same restart, ties counting half, averaged over cells, with
    its interval low..high, over so many units; p, p_holm: sign flip, alone and corrected over strategies.
    """

    units: int = 0
    improvement: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    p_holm: float = math.nan


def pooled(cells: Sequence[Sides]) -> Pooled:
    """Return the probability of improvement averaged over cells, which never mixes points of different metrics.

    A unit has the same seeds in all cells, so its results there may be related: what it adds to the average over cells
    is one value, which the bootstrap draws and a sign flip turns as a whole.
    """
    shares: dict[str, float] = {}
    for sides in cells:
        signs = np.sign(whole(sides.scores - sides.others)) / (2 * len(sides.units) * len(cells))
        for unit, sign in zip(sides.units, signs, strict=True):
            shares[unit] = shares.get(unit, 0.0) + float(sign)
    values = np.array([shares[unit] for unit in sorted(shares)]) * len(shares)  # whose mean is improvement - 1/2
    low, high = interval(values)
    p = significance.sign_flip(values) if len(values) >= MINIMUM else math.nan
    mean = math.fsum(values) / len(values) if len(values) else math.nan
    return Pooled(
        units=len(shares),
        improvement=rounded(0.5 + mean),
        low=rounded(max(0.5 + low, 0.0)),
        high=rounded(min(0.5 + high, 1.0)),
        p=rounded_p(p),
    )
