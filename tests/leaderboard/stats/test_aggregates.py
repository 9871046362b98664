"""The statistics on arrays checked by hand and against independent implementations."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import trim_mean

from leaderboard.stats import aggregates as statistics


def test_missing_entries_are_left_out():
    assert statistics.mean([0.5, math.nan, 0.7]) == pytest.approx(0.6)
    assert statistics.std([0.5, math.nan, 0.7]) == pytest.approx(math.sqrt(0.02))
    assert statistics.maximum([math.nan, 0.7]) == 0.7


def test_undefined_numbers_are_nan():
    assert math.isnan(statistics.std([0.5]))
    assert all(math.isnan(f([])) for f in (statistics.mean, statistics.std, statistics.maximum))
    assert math.isnan(statistics.mean_not_failed([0.5], [True]))


def test_mean_and_std_are_exact_until_the_last_rounding():
    """Against fractions, at magnitudes where a sum of floats would lose the small ones."""
    scores = [1e17, 1.0, -1e17, 5e-324, 0.1, -(2.0**-40), 0.0]
    centre = sum(map(Fraction, scores)) / len(scores)
    assert statistics.mean(scores) == float(centre)
    spread = sum((Fraction(score) - centre) ** 2 for score in scores) / (len(scores) - 1)
    assert statistics.std(scores) == math.sqrt(spread)


def test_mean_not_failed_leaves_out_failed_runs_only():
    assert statistics.mean_not_failed([0.5, 0.7, 0.9], [True, False, False]) == pytest.approx(0.8)


def test_the_interquartile_mean_by_hand_and_by_scipy():
    assert statistics.iqm([0.0, 0.5, 0.7, 9.0]) == pytest.approx(0.6)
    assert statistics.iqm([0.1, 0.2, 0.6]) == pytest.approx(0.3)  # too few to cut
    assert math.isnan(statistics.iqm([math.nan]))
    for count in (5, 8, 20, 23):
        scores = np.random.Generator(np.random.PCG64(count)).normal(0.6, 0.1, count)
        assert statistics.iqm(scores) == pytest.approx(trim_mean(scores, 0.25), rel=1e-14)


@pytest.mark.parametrize("count", [1, 4, 7])
def test_the_expected_maximum_is_the_mean_over_all_subsets(count):
    """Every way of drawing k of n without replacement, one by one; the smallest score occurs twice."""
    scores = [0.5, *np.random.Generator(np.random.PCG64(count)).normal(0.6, 0.1, count)]
    for k, found in enumerate(statistics.expected_max(scores), start=1):
        assert found == pytest.approx(np.mean([max(drawn) for drawn in itertools.combinations(scores, k)]), rel=1e-13)


def test_the_expected_maximum_starts_at_the_mean_and_leaves_missing_runs_out():
    found = statistics.expected_max([0.5, math.nan, 0.7, 0.9])
    assert len(found) == 3 and found[0] == pytest.approx(0.7)
    assert statistics.expected_max([]) == []


def test_the_area_under_a_paucity_curve_by_hand():
    """log10: widths 1 and 1; (0.4 + 0.6) / 2 and (0.6 + 1.0) / 2, averaged."""
    assert statistics.area([0.01, 0.1, 1.0], [0.4, 0.6, 1.0]) == pytest.approx(0.65)
    assert statistics.area([0.1, 0.25, 1.0], [0.7, 0.7, 0.7]) == pytest.approx(0.7)
    assert math.isnan(statistics.area([0.1], [0.7])) and math.isnan(statistics.area([0.1, 1.0], [0.7, math.nan]))
