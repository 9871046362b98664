"""Two strategies on the same restarts: numbers, units, corrections, and the pooled comparison over cells."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import permutation_test

from leaderboard.stats import comparison
from leaderboard.stats.comparison import Sides
from leaderboard.stats.intervals import interval
from leaderboard.stats.rounding import rounded

DRAW = np.random.Generator(np.random.PCG64(21))
BASE = DRAW.normal(0.6, 0.02, 12)
BETTER = BASE + DRAW.normal(0.03, 0.005, 12)
ALIKE = BASE + DRAW.normal(0.0, 0.02, 12)
OWN = tuple(f"split {r}" for r in range(12))
THREE = tuple(f"split {r % 3}" for r in range(12))


def compare(*sides):
    """Return the comparison of one pair, made with another one that is not looked at."""
    return comparison.compare_all([Sides(BASE, BETTER, OWN), Sides(*sides)])[1]


def test_a_comparison_holds_the_paired_numbers():
    found = compare(BETTER, BASE, OWN)
    assert (found.restarts, found.units, found.too_few) == (12, 12, False)
    assert found.difference == pytest.approx((BETTER - BASE).mean(), abs=5e-7)
    assert (found.low, found.high) == tuple(map(rounded, interval(BETTER - BASE)))
    assert found.low < found.difference < found.high
    reference = permutation_test((BETTER - BASE,), np.mean, permutation_type="samples", n_resamples=math.inf)
    assert found.p == pytest.approx(reference.pvalue, rel=1e-3) and found.smallest_p == 2**-11
    assert (found.wins, found.losses, found.improvement) == (12, 0, 1)
    assert math.isnan(found.p_holm) and not found.significant


def test_the_other_way_round_the_signs_turn():
    one, other = compare(ALIKE, BASE, OWN), compare(BASE, ALIKE, OWN)
    assert one.reversed() == other
    assert one.wins + one.losses == 12 and one.improvement == pytest.approx(one.wins / 12, abs=1e-6)


def test_ties_count_half():
    found = compare(np.array([0.5, 0.6, 0.7, 0.7]), np.array([0.5, 0.5, 0.5, 0.9]), OWN[:4])
    assert (found.wins, found.losses, found.improvement) == (2, 1, 0.625)


def test_eleven_units_are_too_few_to_test():
    found = compare(BETTER[:11], BASE[:11], OWN[:11])
    assert found.too_few and math.isnan(found.p) and not found.significant
    assert found.low < found.difference < found.high  # shown all the same
    assert math.isnan(comparison.failures_p([True] * 11, [False] * 11, OWN[:11]))


def test_restarts_that_share_a_split_are_one_unit():
    """48 restarts on 12 splits are tested like the 12 means, and reach no smaller p."""
    draw = np.random.Generator(np.random.PCG64(6))
    gains = np.tile(draw.normal(0.01, 0.02, 12), 4) + draw.normal(0, 0.002, 48)
    found = compare(gains, np.zeros(48), OWN * 4)
    means = compare(gains.reshape(4, 12).mean(axis=0), np.zeros(12), OWN)
    assert (found.restarts, found.units) == (48, 12)
    assert (found.p, found.low, found.high) == (means.p, means.low, means.high)
    assert compare(gains[:12], np.zeros(12), THREE).too_few


def test_failures_count_units():
    """Of 12 splits with two restarts each, 8 have more failures of the one, and none of the other."""
    failed = [True] * 8 + [False] * 16
    assert comparison.failures_p(failed, [False] * 24, OWN * 2) == pytest.approx(2 / 2**8, rel=1e-3)


def test_correction_over_several_comparisons():
    """Two of three are tested, so the smaller p counts twice."""
    few, clear, alike = compare(BETTER[:3], BASE[:3], OWN[:3]), compare(BETTER, BASE, OWN), compare(ALIKE, BASE, OWN)
    first, second, third = comparison.corrected([few, clear, alike])
    assert math.isnan(first.p_holm) and not first.significant
    assert second.p_holm == pytest.approx(2 * 2**-11, rel=1e-3) and second.significant
    assert third.p_holm == alike.p and not third.significant


# --- over cells


def test_the_pooled_comparison_flips_a_units_signs_together():
    """Against every pattern of signs of the units, each turning the unit's wins in all cells; scales do not matter."""
    gains = [DRAW.normal(0.4, 1, 12), 1000 * DRAW.normal(0.4, 1, 8)]
    cells = [Sides(gain, np.zeros(len(gain)), OWN[: len(gain)]) for gain in gains]
    found = comparison.pooled(cells)
    improvements = [(gain > 0).mean() for gain in gains]
    assert found.improvement == pytest.approx(np.mean(improvements), abs=1e-6)
    seen = abs(sum(np.sign(gain).mean() for gain in gains))
    hits = 0
    for signs in itertools.product((1, -1), repeat=12):
        hits += abs(sum((np.sign(gain) * signs[: len(gain)]).mean() for gain in gains)) >= seen - 1e-12
    assert found.p == pytest.approx(hits / 2**12, rel=1e-3)
    assert 0 <= found.low < found.improvement < found.high <= 1 and found.units == 12


def test_few_units_are_not_pooled_into_a_test():
    found = comparison.pooled([Sides(BETTER, BASE, THREE)] * 4)
    assert (found.units, found.improvement) == (3, 1) and math.isnan(found.p)
    assert math.isnan(comparison.pooled([]).improvement)
