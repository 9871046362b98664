"""The numbers of the tables: pure functions of arrays, NaN meaning a missing entry that is left out.

Sums are exact, in whole numbers, and rounded once: a result depends on the values alone, never on their order or on the
machine, the mean of equal scores is that score, and two strategies with equal scores tie exactly.
"""

import functools
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


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
        return math.nan
    whole, scale = _whole(present)
    return sum(whole) / (scale * len(whole))


def std(values: ArrayLike) -> float:
    """Return the standard deviation sqrt(sum (x - mean)^2 / (n - 1)), NaN for n < 2."""
    present = _present(values)
    if len(present) < 2:
        return math.nan
    whole, scale = _whole(present)
    count = len(whole)
    spread = count * sum(value * value for value in whole) - sum(whole) ** 2  # count scale^2 sum (x - mean)^2
    return math.sqrt(spread / (count * (count - 1) * scale * scale))


def maximum(values: ArrayLike) -> float:
    """Return the largest entry that is present, NaN if there is none."""
    return max(_present(values), default=math.nan)


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
    """Return the expected maximum of k of the n runs, drawn without replacement, for k = 1..n.

    The U-statistic, which is unbiased: with x_(1) <= ... <= x_(n) it is sum_i x_(i) C(i - 1, k - 1) / C(n, k), the mean
    over all subsets of size k (Dodge et al. 2019 draw with replacement, which is too low).
    """
    falling = np.sort(_present(values))[::-1]
    return [math.fsum((falling * shares).tolist()) for shares in _shares(len(falling))]


@functools.lru_cache(maxsize=2)  # the rows of a board have few different counts
def _shares(count: int) -> NDArray[np.float64]:
    """Return C(i - 1, k - 1) / C(n, k), a line per k = 1..n, for i = n..1."""
    last, k = np.arange(count, 1, -1), np.arange(1, count + 1)[:, None]
    ratios = np.maximum(last - k, 0) / (last - 1)  # i = n..2, of C(i - 2, k - 1) / C(i - 1, k - 1) = (i - k) / (i - 1)
    return np.cumprod(np.concatenate([k / count, ratios], axis=1), axis=1)


def area(fractions: ArrayLike, means: ArrayLike) -> float:
    """Return the area under the paucity curve over log(fraction), divided by its width: an average score.

    Trapezoids between rising fractions; NaN for fewer than two fractions or where a mean is missing.
    """
    x, y = np.log(np.asarray(fractions, dtype=np.float64)), np.asarray(means, dtype=np.float64)
    return float(np.trapezoid(y, x) / (x[-1] - x[0])) if len(x) > 1 else math.nan
