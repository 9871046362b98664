"""Bootstrap intervals and sign-flip tests of one array of scores or differences; NaN is a missing entry, left out.

Both work on whole multiples of 2^-36 (1.5e-11), so their sums are exact: results depend on the values and the seed
alone, never on the order of summation or the machine's linear algebra.
"""

import functools
import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, stdtrit

CONFIDENCE = 0.95
RESAMPLES = 10_000
FLIPS = 20_000
BLOCK = 1_000_000  # random signs drawn at a time
EXACT = 30  # differences other than 0 up to which every one of the 2^n sign patterns is counted

_QUANTUM = 2.0**-36
Whole = NDArray[np.int64]


def _whole(values: ArrayLike) -> Whole:
    return np.rint(np.asarray(values, dtype=np.float64) / _QUANTUM).astype(np.int64)


@functools.lru_cache(maxsize=8)
def _counts(groups: tuple[int, ...], resamples: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how often each trial is drawn, (resamples, trials), and how many are in all, (resamples,).

    groups: one group number per trial, from 0.

    First as many groups as there are, then in each drawn group as many of its trials as it has, both with replacement.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    membership = np.asarray(groups)
    total = int(membership.max()) + 1
    drawn = generator.multinomial(total, np.full(total, 1 / total), size=resamples)
    counts = np.zeros((resamples, len(groups)), dtype=np.int64)
    for group in range(total):
        members = np.flatnonzero(membership == group)
        share = np.full(len(members), 1 / len(members))
        counts[:, members] = generator.multinomial(drawn[:, group] * len(members), share)
    return counts.astype(np.float64), counts.sum(axis=1).astype(np.float64)


def bootstrap_means(
    values: ArrayLike, groups: ArrayLike | None = None, *, resamples: int = RESAMPLES, seed: int = 0
) -> NDArray[np.float64]:
    """Return the means of `resamples` bootstrap samples of `values` (1-d), drawn within and over `groups`.

    groups: what trials share beside the restart (their split), one label per entry; None means one group. Arrays of one
    length and grouping meet the same draws, so differences of their means are paired. Raises ValueError if no value is
    present.
    """
    scores = np.asarray(values, dtype=np.float64)
    present = ~np.isnan(scores)
    if not present.any():
        raise ValueError("a bootstrap needs at least one value, got none")
    labels = np.zeros(len(scores), dtype=np.int64) if groups is None else np.asarray(groups)
    _, first, inverse = np.unique(labels[present], return_index=True, return_inverse=True)
    numbers = np.argsort(np.argsort(first))[inverse]  # groups by first appearance: labels do not matter
    return _means(_whole(scores[present]).tobytes(), tuple(numbers.tolist()), resamples, seed)


@functools.lru_cache(maxsize=500)
def _means(values: bytes, groups: tuple[int, ...], resamples: int, seed: int) -> NDArray[np.float64]:
    """Return the bootstrap means, not to be changed, of whole numbers; tables ask for the same ones several times."""
    counts, drawn = _counts(groups, resamples, seed)
    whole = np.frombuffer(values, dtype=np.int64)
    if (
        np.abs(whole).max() * drawn.max() < 2**53
    ):  # sums are exact as floats, in whatever order they are added, and fast
        means = (counts @ whole.astype(np.float64)) / drawn * _QUANTUM
    else:
        means = (counts.astype(np.int64) @ whole) / drawn * _QUANTUM
    means.flags.writeable = False
    return means


def tail(count: int, confidence: float = CONFIDENCE) -> float:
    """Return the lower percentile (as a share) of an expanded interval of `count` > 1 trials (Hesterberg 2015)."""
    width = math.sqrt(count / (count - 1)) * float(stdtrit(count - 1, (1 + confidence) / 2))
    return float(ndtr(-width))


def interval_of(means: NDArray[np.float64], count: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the expanded percentile interval of bootstrap means of `count` trials, (NaN, NaN) for one trial.

    The percentiles are Phi(-+ sqrt(n / (n - 1)) t), t the quantile of Student's distribution with n - 1 degrees of
    freedom, instead of 2.5 and 97.5 (Hesterberg 2015): plain percentiles are too narrow for few trials.
    """
    if count < 2:
        return math.nan, math.nan
    rank = int(len(means) * tail(count, confidence))
    ordered = np.partition(means, [rank, len(means) - 1 - rank])
    return float(ordered[rank]), float(ordered[len(means) - 1 - rank])


def interval(
    values: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the bootstrap interval of the mean of `values`; of paired differences it is the paired interval."""
    count = int((~np.isnan(np.asarray(values, dtype=np.float64))).sum())
    if count < 2:
        return math.nan, math.nan
    means = bootstrap_means(values, groups, resamples=resamples, seed=seed)
    return interval_of(means, count, confidence=confidence)


def smallest_p(count: int) -> float:
    """Return the smallest two-sided p-value that `count` paired differences can reach: 2 / 2^n, or 1 / (flips + 1)."""
    return 2.0 ** (1 - count) if 1 <= count <= EXACT else 1 / (FLIPS + 1) if count else math.nan


def sign_flip(differences: ArrayLike, *, flips: int = FLIPS, seed: int = 0) -> float:
    """Return the two-sided p-value of "the differences are symmetric around 0", NaN if there are none.

    The share of sign patterns whose |sum| is at least the one seen: all 2^n patterns for at most `EXACT` differences
    other than 0, else (1 + hits) / (1 + flips) over seeded random ones.
    """
    return sign_flips([differences], flips=flips, seed=seed)[0]


def sign_flips(tests: Iterable[ArrayLike], *, flips: int = FLIPS, seed: int = 0) -> list[float]:
    """Return `sign_flip` of each array of differences; those with equally many other than 0 share one product."""
    p_values: list[float] = []
    sampled: dict[int, list[tuple[int, Whole, int]]] = {}  # by their number: place, differences, |sum| seen
    for place, differences in enumerate(tests):
        values = np.asarray(differences, dtype=np.float64)
        whole = _whole(values[~np.isnan(values)])
        slack = len(whole)  # every difference is rounded by half a quantum at most, so equal sums stay equal
        seen = abs(int(whole.sum())) - slack
        whole = whole[whole != 0]
        if len(whole) > EXACT:
            sampled.setdefault(len(whole), []).append((place, whole, seen))
            p_values.append(math.nan)  # until all of that many are there
        else:
            p_values.append(_exact_p(whole, seen) if slack else math.nan)
    for group in sampled.values():
        hits = _sampled_hits(np.stack([whole for _, whole, _ in group], axis=1), [s for *_, s in group], flips, seed)
        for (place, *_), count in zip(group, hits, strict=True):
            p_values[place] = (1 + count) / (1 + flips)
    return p_values


def _exact_p(whole: Whole, seen: int) -> float:
    return _exact_hits(whole, seen) / 2 ** len(whole) if seen > 0 else 1.0


def _sums(whole: Whole) -> Whole:
    """Return the sums of all sign patterns."""
    sums = np.zeros(1, dtype=np.int64)
    for value in whole:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _exact_hits(whole: Whole, seen: int) -> int:
    """Count the patterns with |sum| >= seen > 0: sums of one half against the sorted sums of the other."""
    half = len(whole) // 2
    left, right = _sums(whole[:half]), np.sort(_sums(whole[half:]))
    return 2 * int((len(right) - np.searchsorted(right, seen - left, side="left")).sum())


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


def _sampled_hits(whole: Whole, seen: Sequence[int], flips: int, seed: int) -> list[int]:
    """Count for each test, a column of `whole`, the random patterns with |sum| >= seen.

    Sums of whole numbers below 2^53 are exact as floats, in whatever order they are added, and fast.
    """
    exact = whole.astype(np.float64) if np.abs(whole).sum(axis=0).max() < 2**53 else whole
    signs, hits = _signs(len(whole), flips, seed), np.zeros(len(seen), dtype=np.int64)
    for at in range(0, flips, 1000):
        sums = signs[at : at + 1000].astype(exact.dtype) @ exact
        hits += (np.abs(sums, out=sums) >= seen).sum(axis=0)
    return [int(count) for count in hits]
