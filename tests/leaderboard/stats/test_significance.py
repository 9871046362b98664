"""Exact tests, corrections, tiers and the critical difference: by hand, by scipy, by published tables."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest, mannwhitneyu

from leaderboard.stats import significance


@pytest.mark.parametrize(("only", "only_base"), [(0, 0), (0, 1), (5, 0), (1, 8), (6, 6), (3, 11)])
def test_mcnemar_agrees_with_the_binomial_test(only, only_base):
    failed = [True] * only + [False] * only_base + [True, False]
    baseline = [False] * only + [True] * only_base + [True, False]
    expected = binomtest(only, only + only_base).pvalue if only + only_base else 1.0
    assert significance.mcnemar(failed, baseline) == pytest.approx(expected, rel=1e-12)


def test_mcnemar_by_hand():
    """All 5 discordant restarts failed only with the baseline: 2 / 2^5."""
    assert significance.mcnemar([False] * 6, [True] * 5 + [False]) == 0.0625


def test_holm_by_hand():
    """Sorted 0.01, 0.02, 0.04 times 3, 2, 1: 0.03, 0.04, 0.04."""
    assert significance.holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert significance.holm([0.6, 0.5]) == [1.0, 1.0]
    assert significance.holm([]) == []


def test_holm_does_not_count_what_was_not_tested():
    first, second, third = significance.holm([0.01, math.nan, 0.03])
    assert (first, third) == (0.02, 0.03) and math.isnan(second)


def test_holm_rejects_what_the_step_down_procedure_rejects():
    draw = np.random.Generator(np.random.PCG64(4))
    for _ in range(50):
        p_values = draw.uniform(0, 0.08, 6)
        rejected: set[int] = set()
        for step, index in enumerate(np.argsort(p_values)):
            if p_values[index] >= 0.05 / (6 - step):
                break
            rejected.add(int(index))
        assert {i for i, p in enumerate(significance.holm(p_values)) if p < 0.05} == rejected


def test_probability_of_improvement_by_hand():
    """Of the 4 pairs two are won, one is lost and one is a tie."""
    assert significance.improvement([0.5, 0.9], [0.5, 0.7]) == (2 + 0.5) / 4
    assert significance.improvement([0.9, math.nan], [0.7]) == 1
    assert math.isnan(significance.improvement([], [0.7]))


def test_probability_of_improvement_agrees_with_mann_whitney():
    draw = np.random.Generator(np.random.PCG64(9))
    x, y = draw.integers(0, 9, 20) / 10, draw.integers(0, 9, 15) / 10
    assert significance.improvement(x, y) == pytest.approx(mannwhitneyu(x, y).statistic / 300, rel=1e-14)


def test_tiers_by_hand():
    """0 beats 2 and 3 but not 1; 2 beats 3."""
    beaten = {(2, 0), (3, 0), (3, 1), (3, 2)}
    assert significance.tiers([0, 1, 2, 3], lambda item, leader: (item, leader) in beaten) == [1, 1, 2, 3]


def test_tiers_end_where_nothing_can_be_told_apart():
    assert significance.tiers([2, 0, 1], lambda item, leader: False) == [1, 1, 1]
    assert significance.tiers([2, 0, 1], lambda item, leader: True) == [1, 2, 3]
    assert significance.tiers([], lambda item, leader: True) == []


@pytest.mark.parametrize(("strategies", "quantile"), [(2, 1.960), (3, 2.343), (6, 2.850), (10, 3.164)])
def test_the_critical_difference_agrees_with_the_published_quantiles(strategies, quantile):
    """Demsar 2006, Table 5a, for 14 tasks."""
    expected = quantile * math.sqrt(strategies * (strategies + 1) / (6 * 14))
    assert significance.critical_difference(strategies, 14) == pytest.approx(expected, rel=4e-4)


def test_one_strategy_has_no_critical_difference():
    assert math.isnan(significance.critical_difference(1, 4)) and math.isnan(significance.critical_difference(6, 0))
