"""Intervals against slow loops and scipy: units, seeds, order, coverage."""

import math

import numpy as np
import pytest
from scipy.stats import bootstrap, norm, t

from leaderboard.stats.intervals import by_unit, interval, intervals, tail, wilson

DRAW = np.random.Generator(np.random.PCG64(11))
SCORES = DRAW.normal(0.6, 0.05, 20)
BASE = SCORES + DRAW.normal(0.0, 0.01, 20)


NOTHING = (math.nan, math.nan)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (interval([]), NOTHING),
        (interval([0.5]), NOTHING),
        (interval([0.7] * 5), (0.7, 0.7)),
        (interval([0.0, 1.0]), (0, 1)),  # means 0, 1/2, 1 with shares 1/4, 1/2, 1/4: their whole range
        (wilson(0, 3), (0, 3.841459 / 6.841459)),  # z^2 / (n + z^2)
        (wilson(0, 0), NOTHING),
        (wilson(6, 12, 4), wilson(2, 4)),  # 12 restarts on 4 splits
        (
            wilson(7, 12, 4),
            (wilson(2, 4)[0], wilson(3, 4)[1]),
        ),  # 2 or 3: the further bounds
        (wilson(0, 12, 4), wilson(0, 4)),
        (wilson(12, 12, 4), wilson(4, 4)),
    ],
)
def test_by_hand(found, expected):
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-11, nan_ok=True)


def test_the_interval_agrees_with_scipys_percentiles_at_the_expanded_level():
    count = len(SCORES)
    level = 1 - 2 * norm.cdf(-math.sqrt(count / (count - 1)) * t.ppf(0.975, count - 1))
    own = interval(SCORES, resamples=50_000)
    reference = bootstrap((SCORES,), np.mean, n_resamples=50_000, confidence_level=level, method="percentile", rng=3)
    assert own == pytest.approx(tuple(reference.confidence_interval), abs=4e-4)  # 4 times the noise of either


def test_columns_resampled_together_are_those_resampled_alone():
    columns = np.stack([SCORES, BASE, BASE - SCORES], axis=1)
    low, high = intervals(np.tile(columns, 100))
    assert [(low[at], high[at]) for at in (0, 1, 299)] == [interval(column) for column in columns.T]


def test_units_have_the_mean_of_their_entries():
    """Three restarts of split a, one of b: units count by what they add to the mean over restarts."""
    assert by_unit([0.1, 0.2, 0.3, 0.6], ["a", "a", "a", "b"]).tolist() == pytest.approx([0.3, 0.3])
    assert by_unit([[0.1, 1], [0.3, 3]], ["b", "b"]).tolist() == [pytest.approx([0.2, 2])]
    assert by_unit([0.1, 0.2], ["a", "b"]).tolist() == [0.1, 0.2]


def test_one_seed_gives_one_interval_and_another_another():
    assert interval(SCORES, seed=1) == interval(SCORES, seed=1) != interval(SCORES, seed=2)


@pytest.mark.parametrize(("count", "least"), [(5, 0.88), (12, 0.92), (20, 0.93)])
def test_the_interval_covers_the_true_mean(count, least):
    """95 % asked; plain percentiles cover 83 % of the time with 5 units."""
    low, high = intervals(np.random.Generator(np.random.PCG64(1)).normal(size=(count, 1000)), resamples=2000)
    assert np.mean((low < 0) & (high > 0)) >= least


def test_the_mean_over_units_of_different_size_stays_among_the_scores():
    """Resampled sums over a fixed number would range from 0.6 to 1.2 here; the mean is a ratio and cannot."""
    scores, units = [0.80, 0.81, 0.82, 0.81, 0.81], ["a", "a", "b", "c", "d"]
    draws = np.random.Generator(np.random.PCG64(3)).integers(4, size=(4000, 4))
    sums, counts = np.array([1.61, 0.82, 0.81, 0.81]), np.array([2, 1, 1, 1])
    ratios = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    low, high = interval(scores, units, confidence=0.6)
    share = tail(4, 0.6)
    assert (low, high) == pytest.approx(np.quantile(ratios, [share, 1 - share]), abs=1.5e-3)
    assert min(scores) <= interval(scores, units)[0] and interval(scores, units)[1] <= max(scores)
