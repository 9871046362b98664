"""Intervals: the paired bootstrap of a mean over independent units, and Wilson's interval of a rate.

A unit is what was drawn independently: a restart, or a split of the training data where several restarts share one
(`by_unit`). Means are sums of whole multiples of 2^-36 (1.5e-11), which are exact: a result depends on the values and
the seed alone, never on the order of summation or the machine's linear algebra.
"""

import functools
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, stdtrit
from scipy.stats import binomtest

CONFIDENCE = 0.95
RESAMPLES = 10_000

_QUANTUM = 2.0**-36
_TOGETHER = 200  # columns resampled at a time
Whole = NDArray[np.int64]
Values = NDArray[np.float64]


def whole(values: ArrayLike) -> Whole:
    """Return values as whole multiples of 2^-36."""
    return np.rint(np.asarray(values, dtype=np.float64) / _QUANTUM).astype(np.int64)


def by_unit(values: ArrayLike, units: Sequence[object]) -> Values:
    """Return one value per unit, in order of first appearance, whose mean is the mean of `values`.

    values: (entries,) or (entries, columns); the entries of a unit are summed and divided by the mean number of entries
    per unit.
    """
    array = np.asarray(values, dtype=np.float64)
    number = {unit: at for at, unit in enumerate(dict.fromkeys(units))}
    if len(number) == len(array):
        return array
    sums = np.zeros((len(number), *array.shape[1:]))
    np.add.at(sums, [number[unit] for unit in units], array)
    return sums * len(number) / len(array)


@functools.lru_cache(maxsize=8)
def _counts(units: int, resamples: int, seed: int) -> Values:
    """Return how often each unit is drawn, (resamples, units), with replacement."""
    generator = np.random.Generator(np.random.PCG64(seed))
    return generator.multinomial(units, np.full(units, 1 / units), size=resamples).astype(np.float64)


def tail(units: int, confidence: float = CONFIDENCE) -> float:
    """Return the lower percentile (as a share) of an expanded interval of `units` > 1 units (Hesterberg 2015)."""
    width = math.sqrt(units / (units - 1)) * float(stdtrit(units - 1, (1 + confidence) / 2))
    return float(ndtr(-width))


def resampled_means(values: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0) -> Values:
    """Return the mean of every column of `values`, (units, columns), in each bootstrap sample: (resamples, columns)."""
    columns = whole(values).astype(np.float64)
    return _counts(len(columns), resamples, seed) @ columns / len(columns) * _QUANTUM


def expanded_percentiles(samples: Values, units: int, confidence: float = CONFIDENCE) -> tuple[Values, Values]:
    """Return (low, high) of every column of `samples`, (resamples, columns): the percentiles that `tail` names."""
    last = len(samples) - 1
    rank = int(len(samples) * tail(units, confidence))
    ordered = np.partition(samples, [rank, last - rank], axis=0)
    return ordered[rank], ordered[last - rank]


def intervals(
    values: ArrayLike,
    units: Sequence[object] = (),
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Values, Values]:
    """Return the bootstrap interval (low, high) of the mean of every column of `values`, (entries, columns).

    units: of the entries, by default each its own. Where units have different numbers of entries a resampled mean is a
    ratio of two sums, of which the linear part around the mean is resampled (Cochran 1977, chapter 6).

    The percentiles are Phi(-+ sqrt(n / (n - 1)) t), t the quantile of Student's distribution with n - 1 degrees of
    freedom, instead of 2.5 and 97.5 (Hesterberg 2015): plain percentiles are too narrow for few units. All columns meet
    the same draws. NaN for fewer than two units.
    """
    columns, centre = np.asarray(values, dtype=np.float64), np.zeros(1)
    if len(set(Counter(units).values())) > 1:
        centre = columns.mean(axis=0)
    if units:
        columns = by_unit(columns - centre, units)
    count, width = columns.shape
    low, high = np.full((2, width), math.nan)
    if count < 2:
        return low, high
    for start in range(0, width, _TOGETHER):
        some = slice(start, start + _TOGETHER)
        means = resampled_means(columns[:, some], resamples=resamples, seed=seed)
        low[some], high[some] = expanded_percentiles(means, count, confidence)
    return low + centre, high + centre


def interval(
    values: ArrayLike,
    units: Sequence[object] = (),
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the bootstrap interval of the mean of `values`, as `intervals` does; paired where they are differences."""
    column = np.asarray(values, dtype=np.float64)[:, None]
    low, high = intervals(column, units, confidence=confidence, resamples=resamples, seed=seed)
    return float(low[0]), float(high[0])


@functools.lru_cache(maxsize=10_000)  # a board has few different counts; binomtest computes a p-value, too
def wilson(count: int, total: int, units: int | None = None) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a rate seen `count` times in `total` (NaN, NaN for `total` = 0).

    units: how many of the `total` are independent, if not all. The interval is then that of `units` trials at the same
    rate; where no whole number of them has that rate, each bound is the one of the number further out.
    """
    units = total if units is None else units
    if total == 0:
        return math.nan, math.nan
    bounds = [
        binomtest(number, units).proportion_ci(CONFIDENCE, method="wilson")
        for number in (count * units // total, -(-count * units // total))
    ]
    return float(bounds[0].low), float(bounds[1].high)
