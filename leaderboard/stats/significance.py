"""Tests of paired differences, corrections for many of them, and what so many units can find at all.

A unit is what was drawn independently (`leaderboard.stats.intervals`): no test can report a smaller p than its units
allow.
"""

import functools
import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit
from scipy.stats import binomtest

from leaderboard.stats.intervals import Whole, whole

ALPHA = 0.05
MINIMUM = 12  # fewest units that are tested: their smallest p survives Holm over 102 tests
POWER = 0.8
FLIPS = 20_000
BLOCK = 1_000_000  # random signs drawn at a time
EXACT = 30  # differences other than 0 up to which every one of the 2^n sign patterns is counted


# --- the sign flip ----------------------------------------------------------------------------------------------------


def sign_flip(differences: ArrayLike, *, flips: int = FLIPS, seed: int = 0) -> float:
    """Return the two-sided p-value of "the differences are symmetric around 0", NaN if there are none.

    differences: one per unit. The p-value is the share of sign patterns whose |sum| is at least the one seen: all 2^n
    patterns for at most `EXACT` differences other than 0, else (1 + hits) / (1 + flips) over seeded random ones.
    """
    return sign_flips([differences], flips=flips, seed=seed)[0]


def sign_flips(tests: Iterable[ArrayLike], *, flips: int = FLIPS, seed: int = 0) -> list[float]:
    """Return `sign_flip` of each array of differences; those with equally many other than 0 share one product."""
    p_values: list[float] = []
    sampled: dict[int, list[tuple[int, Whole, int]]] = {}  # by their number: index, differences, |sum| seen
    for index, differences in enumerate(tests):
        values = whole(differences)
        slack = len(values)  # every difference is rounded by half a quantum at most, so equal sums stay equal
        seen = abs(int(values.sum())) - slack
        values = values[values != 0]
        if len(values) > EXACT:
            sampled.setdefault(len(values), []).append((index, values, seen))
            p_values.append(math.nan)  # until all of that many are there
        else:
            p_values.append(_exact_p(values, seen) if slack else math.nan)
    for group in sampled.values():
        hits = _sampled_hits(np.stack([values for _, values, _ in group], axis=1), [s for *_, s in group], flips, seed)
        for (index, *_), count in zip(group, hits, strict=True):
            p_values[index] = (1 + count) / (1 + flips)
    return p_values


def _sums(values: Whole) -> Whole:
    """Return the sums of all sign patterns."""
    sums = np.zeros(1, dtype=np.int64)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _exact_p(values: Whole, seen: int) -> float:
    """Return the share of patterns with |sum| >= seen: sums of one half against the sorted sums of the other."""
    half = len(values) // 2
    left, right = _sums(values[:half]), np.sort(_sums(values[half:]))
    hits = 2 * int((len(right) - np.searchsorted(right, seen - left, side="left")).sum())  # each side of 0 the same
    return hits / 2 ** len(values) if seen > 0 else 1.0


def _signs(count: int, flips: int, seed: int) -> NDArray[np.int8]:
    """Return the sign patterns (flips, count) that tests of `count` differences share: the first signs of a stream."""
    length = 1 << (count - 1).bit_length()  # so that tests of about equally many share it
    return _stream(length * flips, seed)[: flips * count].reshape(flips, count)


@functools.lru_cache(maxsize=2)
def _stream(length: int, seed: int) -> NDArray[np.int8]:
    """Return that many random signs; a longer stream begins with a shorter one."""
    generator = np.random.Generator(np.random.PCG64(seed))
    signs = np.empty(length, dtype=np.int8)
    for at in range(0, length, BLOCK):
        signs[at : at + BLOCK] = 2 * generator.integers(0, 2, size=min(BLOCK, length - at)) - 1
    return signs


def _sampled_hits(values: Whole, seen: Sequence[int], flips: int, seed: int) -> list[int]:
    """Count for each test, a column of `values`, the random patterns with |sum| >= seen.

    Sums of whole numbers below 2^53 are exact as floats, in whatever order they are added, and fast.
    """
    exact = values.astype(np.float64) if np.abs(values).sum(axis=0).max() < 2**53 else values
    signs, hits = _signs(len(values), flips, seed), np.zeros(len(seen), dtype=np.int64)
    for at in range(0, flips, 1000):
        sums = signs[at : at + 1000].astype(exact.dtype) @ exact
        hits += (np.abs(sums, out=sums) >= seen).sum(axis=0)
    return [int(count) for count in hits]


# --- failures, and many tests -----------------------------------------------------------------------------------------


def mcnemar(more: int, fewer: int) -> float:
    """Return the exact two-sided p-value of McNemar's test: `more` and `fewer` are Binomial(more + fewer, 1/2).

    more, fewer: on how many units the one side failed more often than the other, and less often; without any p = 1.
    """
    return float(binomtest(more, more + fewer).pvalue) if more + fewer else 1.0


def holm(p_values: ArrayLike) -> list[float]:
    """Return Holm's step-down adjusted p-values: max over i <= j of min(1, (m - i + 1) p_(i)); NaN is no test."""
    values = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(len(values), math.nan)
    tests = np.flatnonzero(~np.isnan(values))
    order = tests[np.argsort(values[tests], kind="stable")]
    factors = np.arange(len(tests), 0, -1)
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, factors * values[order]))
    return adjusted.tolist()


# --- what can be found at all -----------------------------------------------------------------------------------------


def smallest_p(units: int) -> float:
    """Return the smallest two-sided p-value that `units` paired differences can reach: 2 / 2^n, or 1 / (flips + 1)."""
    return 2.0 ** (1 - units) if 1 <= units <= EXACT else 1 / (FLIPS + 1) if units else math.nan


def attainable(tests: int, units: int) -> bool:
    """Return whether the smallest p of so many units survives Holm's correction over `tests` tests."""
    return units >= MINIMUM and tests * smallest_p(units) < ALPHA


def restarts_needed(tests: int) -> int:
    """Return how many restarts, each on its own split, it takes for one of `tests` tests to be significant at all."""
    return next(units for units in range(MINIMUM, EXACT + 1) if attainable(tests, units))


def detectable_difference(spread: float, units: int, tests: int) -> float:
    """Return the smallest true mean difference that is found with a power of 80 %, NaN where none can be.

    spread: standard deviation of the differences over units. The first step of Holm's correction asks for
    p < alpha / m, which a difference of (t(1 - alpha / 2m) + t(0.8)) spread / sqrt(n) passes with that power, t being
    quantiles of Student's distribution with n - 1 degrees of freedom.
    """
    if not attainable(tests, units):
        return math.nan
    quantiles = stdtrit(units - 1, 1 - ALPHA / (2 * tests)) + stdtrit(units - 1, POWER)
    return float(quantiles * spread / math.sqrt(units))
