"""The numbers of the tables: pure functions of arrays, NaN meaning a missing entry that is left out.

Sums are exact, in whole numbers, and rounded once: a result depends on the values alone, never on their order or on the
machine, the mean of equal scores is that score, and two strategies with equal scores tie exactly.
"""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri
from scipy.stats import rankdata

UNDEFINED = float("nan")


def _present(values: ArrayLike) -> list[float]:
    array = np.asarray(values, dtype=np.float64).ravel()
    return [float(value) for value in array[~np.isnan(array)]]


def _whole(values: list[float]) -> tuple[list[int], int]:
    """Return finite floats as whole multiples of one fraction 1 / scale, scale a power of two; nothing is rounded."""
    ratios = [value.as_integer_ratio() for value in values]
    scale = max(below for _, below in ratios)
    return [above * (scale // below) for above, below in ratios], scale


def mean(values: ArrayLike) -> float:
    """Return the mean of the entries that are present, NaN if there is none."""
    present = _present(values)
    if not present:
        return UNDEFINED
    whole, scale = _whole(present)
    return sum(whole) / (scale * len(whole))


def std(values: ArrayLike) -> float:
    """Return the standard deviation sqrt(sum (x - mean)^2 / (n - 1)), NaN for n < 2."""
    present = _present(values)
    if len(present) < 2:
        return UNDEFINED
    whole, scale = _whole(present)
    count = len(whole)
    spread = count * sum(value * value for value in whole) - sum(whole) ** 2  # count scale^2 sum (x - mean)^2
    return math.sqrt(spread / (count * (count - 1) * scale * scale))


def maximum(values: ArrayLike) -> float:
    """Return the largest entry that is present, NaN if there is none."""
    return max(_present(values), default=UNDEFINED)


def mean_not_failed(values: ArrayLike, failed: ArrayLike) -> float:
    """Return the mean over the runs that did not fail, NaN if all did; `failed` has one truth value per entry."""
    scores = np.asarray(values, dtype=np.float64)
    return mean(scores[~np.asarray(failed, dtype=bool)])


def iqm(values: ArrayLike) -> float:
    """Return the interquartile mean: floor(n / 4) entries are cut off at either end (Agarwal et al. 2021)."""
    present = sorted(_present(values))
    cut = len(present) // 4
    return mean(present[cut : len(present) - cut])


def expected_max(values: ArrayLike) -> list[float]:
    """Return the expected maximum of k runs for k = 1..n, k drawn with replacement from the n seen (Dodge et al. 2019).

    With x_(1) <= ... <= x_(n): sum_i x_(i) ((i / n)^k - ((i - 1) / n)^k).
    """
    present = np.sort(_present(values))
    count = len(present)
    steps = (np.arange(count + 1) / max(count, 1))[None, :] ** np.arange(1, count + 1)[:, None]  # (k, i): (i / n)^k
    return (np.diff(steps, axis=1) * present).sum(axis=1).tolist()


def area(fractions: ArrayLike, means: ArrayLike) -> float:
    """Return the area under the paucity curve over log(fraction), divided by its width: an average score.

    Trapezoids between rising fractions; NaN for fewer than two fractions or where a mean is missing.
    """
    x, y = np.log(np.asarray(fractions, dtype=np.float64)), np.asarray(means, dtype=np.float64)
    return float(np.trapezoid(y, x) / (x[-1] - x[0])) if len(x) > 1 else UNDEFINED


def wilson(count: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a rate seen `count` times in `total` (NaN, NaN for `total` = 0).

    centre = (r + z^2 / 2n) / (1 + z^2 / n), half width = z / (1 + z^2 / n) sqrt(r (1 - r) / n + z^2 / 4n^2), with
    r = count / n and z the normal quantile of (1 + confidence) / 2 (Wilson 1927; no continuity correction).
    """
    if total == 0:
        return UNDEFINED, UNDEFINED
    z = float(ndtri((1 + confidence) / 2))
    rate, shrink = count / total, 1 + z * z / total
    centre = (rate + z * z / (2 * total)) / shrink
    half = z / shrink * math.sqrt(rate * (1 - rate) / total + z * z / (4 * total * total))
    low = 0.0 if count == 0 else centre - half
    high = 1.0 if count == total else centre + half
    return low, high


def ranks(scores: ArrayLike) -> list[float]:
    """Return the rank of each score (a 1-d array), 1 for the highest; equal scores share their average rank."""
    return [float(rank) for rank in rankdata(-np.asarray(scores, dtype=np.float64), method="average")]


def mean_ranks(cells: Iterable[ArrayLike]) -> list[float]:
    """Return each strategy's mean rank over cells; every cell holds one score per strategy, in one order."""
    table = [ranks(cell) for cell in cells]
    return [mean(column) for column in zip(*table, strict=True)]


def places(values: ArrayLike) -> list[int]:
    """Return competition places, 1 for the smallest value; equal values share the better place (1, 1, 3)."""
    return [int(place) for place in rankdata(np.asarray(values, dtype=np.float64), method="min")]
