"""The statistics on arrays checked by hand and against independent implementations."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import trim_mean

from leaderboard.stats import aggregates as statistics


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (statistics.mean([0.5, math.nan, 0.7]), 0.6),
        (statistics.std([0.5, math.nan, 0.7]), math.sqrt(0.02)),
        (statistics.maximum([math.nan, 0.7]), 0.7),
        (statistics.mean_not_failed([0.5, 0.7, 0.9], [True, False, False]), 0.8),
        (statistics.iqm([0.0, 0.5, 0.7, 9.0]), 0.6),
        (statistics.iqm([0.1, 0.2, 0.6]), 0.3),  # too few to cut
        (statistics.expected_max([0.5, math.nan, 0.7, 0.9])[0], 0.7),  # it starts at the mean
        (statistics.area([0.01, 0.1, 1.0], [0.4, 0.6, 1.0]), 0.65),  # widths 1 and 1: (0.4 + 0.6) / 2, (0.6 + 1.0) / 2
        (statistics.area([0.1, 0.25, 1.0], [0.7, 0.7, 0.7]), 0.7),
        (statistics.mean([]), math.nan),
        (statistics.maximum([]), math.nan),
        (statistics.std([]), math.nan),
        (statistics.std([0.5]), math.nan),
        (statistics.mean_not_failed([0.5], [True]), math.nan),
        (statistics.iqm([math.nan]), math.nan),
        (statistics.area([0.1], [0.7]), math.nan),
        (statistics.area([0.1, 1.0], [0.7, math.nan]), math.nan),
    ],
)
def test_by_hand_without_missing_entries_and_nan_where_it_is_undefined(found, expected):
    assert found == pytest.approx(expected, nan_ok=True)


def test_mean_and_std_are_exact_until_the_last_rounding():
    """Against fractions, at magnitudes where a sum of floats would lose the small ones."""
    scores = [1e17, 1.0, -1e17, 5e-324, 0.1, -(2.0**-40), 0.0]
    centre = sum(map(Fraction, scores)) / len(scores)
    assert statistics.mean(scores) == float(centre)
    spread = sum((Fraction(score) - centre) ** 2 for score in scores) / (len(scores) - 1)
    assert statistics.std(scores) == math.sqrt(spread)


@pytest.mark.parametrize("count", [5, 8, 20, 23])
def test_the_interquartile_mean_is_scipys(count):
    scores = np.random.Generator(np.random.PCG64(count)).normal(0.6, 0.1, count)
    assert statistics.iqm(scores) == pytest.approx(trim_mean(scores, 0.25), rel=1e-14)


@pytest.mark.parametrize("count", [1, 4, 7])
def test_the_expected_maximum_is_the_mean_over_all_subsets(count):
    """Every way of drawing k of n without replacement, one by one; the smallest score occurs twice, one is missing."""
    scores = [0.5, *np.random.Generator(np.random.PCG64(count)).normal(0.6, 0.1, count)]
    expected = [np.mean([max(drawn) for drawn in itertools.combinations(scores, k)]) for k in range(1, len(scores) + 1)]
    assert statistics.expected_max([*scores, math.nan]) == pytest.approx(expected, rel=1e-13)
    assert statistics.expected_max([]) == []
