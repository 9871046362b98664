"""Sign flips against full enumeration and scipy, corrections by hand, and what so many units can find."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binomtest

from leaderboard.stats import significance
from leaderboard.stats.significance import sign_flip, sign_flips

DRAW = np.random.Generator(np.random.PCG64(11))
SCORES = DRAW.normal(0.6, 0.05, 20)
BASE = SCORES + DRAW.normal(0.0, 0.01, 20)


def enumerated(values) -> float:
    """Try every pattern of signs, one by one."""
    seen = abs(sum(values))
    patterns = itertools.product((1, -1), repeat=len(values))
    sums = [abs(sum(s * v for s, v in zip(signs, values, strict=True))) for signs in patterns]
    return sum(total >= seen - 1e-9 for total in sums) / len(sums)


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([0.1], 1.0),
        ([0.1, 0.2], 0.5),  # 2 of 4 patterns have |sum| = 0.3
        ([0.1, -0.1], 1.0),
        ([0.1, 0.2, 0.3], 0.25),
        ([0.1, 0, 0.2], 0.5),
        ([0.0, 0.0], 1.0),
        ([0.3, 0.2, 0.1, 0.1, -0.1], 4 * 2 / 32),  # 0.8 once, 0.6 with three choices of the negative one; and mirrored
    ],
)
def test_sign_flip_by_hand(differences, p):
    assert sign_flip(differences) == p == enumerated(differences)


@pytest.mark.parametrize("count", [2, 3, 7, 12])
def test_sign_flip_agrees_with_enumeration_in_any_order(count):
    draw = np.random.Generator(np.random.PCG64(count))
    for values in (draw.normal(0.3, 1, count), draw.integers(-3, 5, count) / 277):  # with ties and zeros
        assert sign_flip(values) == sign_flip(values[::-1]) == enumerated(values.tolist())


def sampled_slowly(differences, flips, seed=0) -> float:
    """One test by itself, in whole numbers: a row of signs for every flip."""
    whole = [round(value * 2**36) for value in differences]
    seen, draw = abs(sum(whole)) - len(whole), np.random.Generator(np.random.PCG64(seed))
    whole = [value for value in whole if value]
    signs = (2 * draw.integers(0, 2, size=(flips, len(whole))) - 1).tolist()
    hits = sum(abs(sum(s * v for s, v in zip(row, whole, strict=True))) >= seen for row in signs)
    return (1 + hits) / (1 + flips)


def test_tests_made_together_are_those_made_alone():
    """Of unlike length, with ties, zeros, few and many differences, and sums above 2^53."""
    draw = np.random.Generator(np.random.PCG64(4))
    many = [draw.integers(-3, 4, count) / 277 for count in (50, 50, 64, 66, 75)] + [draw.normal(3e4, 3e5, 40)]
    few = [[0.1, 0, 0.2], [], [0.0, 0.0], [0.1] * 12]
    together = sign_flips([*many, *few], flips=300, seed=5)
    assert together[: len(many)] == [sampled_slowly(values, 300, 5) for values in many]
    assert together[len(many) :] == pytest.approx([0.5, math.nan, 1.0, 2 / 2**12], nan_ok=True)
    assert sign_flips([]) == []


@pytest.mark.parametrize("units", [1, 2, 12, 20, 30, 31])
def test_the_smallest_p_is_reached_when_all_differences_agree(units):
    assert sign_flip(np.linspace(0.1, 0.2, units)) == pytest.approx(significance.smallest_p(units))
    assert math.isnan(significance.smallest_p(0))


# --- corrections


@pytest.mark.parametrize(("more", "fewer"), [(0, 0), (0, 1), (5, 0), (1, 8), (6, 6), (3, 11)])
def test_mcnemar_is_the_exact_binomial_test(more, fewer):
    """P(X <= min) for X of so many fair coins, on both sides."""
    below = sum(math.comb(more + fewer, k) for k in range(min(more, fewer) + 1))
    assert significance.mcnemar(more, fewer) == pytest.approx(min(1.0, 2 * below / 2 ** (more + fewer)), rel=1e-12)
    assert more + fewer == 0 or significance.mcnemar(more, fewer) == binomtest(more, more + fewer).pvalue


@pytest.mark.parametrize(
    ("p", "corrected"),
    [
        ([0.04, 0.01, 0.02], [0.04, 0.03, 0.04]),  # sorted 0.01, 0.02, 0.04 times 3, 2, 1
        ([0.6, 0.8], [1.0, 1.0]),
        ([], []),
        ([0.01, math.nan, 0.03], [0.02, math.nan, 0.03]),  # what was not tested does not count
    ],
)
def test_holm_by_hand(p, corrected):
    assert significance.holm(p) == pytest.approx(corrected, nan_ok=True)


# --- what can be found


@pytest.mark.parametrize(("count", "restarts"), [(1, 12), (102, 12), (103, 13), (378, 14), (1395, 16)])
def test_restarts_needed_by_hand(count, restarts):
    """m tests at n restarts need m 2 / 2^n < 0.05, and 12 restarts are the least."""
    assert significance.restarts_needed(count) == restarts
    assert restarts == 12 or count * 2 / 2 ** (restarts - 1) >= 0.05 > count * 2 / 2**restarts
    assert significance.attainable(count, restarts) and not significance.attainable(count, restarts - 1)


@pytest.mark.parametrize(("units", "count"), [(12, 1), (12, 9), (20, 9), (40, 27)])
def test_the_detectable_difference_is_found_four_times_of_five(units, count):
    """Of normal differences with that mean, the first step of Holm rejects about 80 %; of half of it far fewer."""
    draw = np.random.Generator(np.random.PCG64(3))
    shift = significance.detectable_difference(1.0, units, count)
    found = [
        np.mean([count * p < 0.05 for p in sign_flips(draw.normal(mean, 1, (400, units)), flips=4000)])
        for mean in (shift, shift / 2)
    ]
    assert 0.72 <= found[0] <= 0.88 and found[1] < 0.4


def test_nothing_is_detectable_with_too_few_units_or_too_many_tests():
    assert math.isnan(significance.detectable_difference(1.0, 11, 1)) and math.isnan(
        significance.detectable_difference(1.0, 12, 103)
    )
