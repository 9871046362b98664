"""Ranks, tiers and groups by hand and by brute force; the critical difference by published quantiles."""

import math

import pytest

from leaderboard.stats import ranking


def test_ranks_give_ties_their_average():
    assert ranking.ranks([0.7, 0.9, 0.7, 0.5]) == [2.5, 1, 2.5, 4]


def test_mean_ranks_by_hand():
    assert ranking.mean_ranks([[0.9, 0.5, 0.7], [0.5, 0.9, 0.7]]) == [2, 2, 2]
    assert ranking.mean_ranks([[0.9, 0.5, 0.5]]) == [1, 2.5, 2.5]


def test_competition_ranks_share_the_better_rank():
    assert ranking.competition_ranks([2.0, 1.5, 1.5, 3.0]) == [3, 1, 1, 4]


def test_tiers_by_hand():
    """0 beats 2 and 3 but not 1; 2 beats 3."""
    beaten = {(2, 0), (3, 0), (3, 1), (3, 2)}
    assert ranking.tiers(4, lambda item, leader: (item, leader) in beaten) == [1, 1, 2, 3]
    assert ranking.tiers(3, lambda item, leader: False) == [1, 1, 1]
    assert ranking.tiers(3, lambda item, leader: True) == [1, 2, 3]
    assert ranking.tiers(0, lambda item, leader: True) == []


def test_groups_by_hand():
    """0 and 3 differ, and nobody else: two groups, each as large as it can be."""
    assert ranking.groups(4, lambda i, j: (i, j) == (0, 3)) == [(0, 1, 2), (1, 2, 3)]
    assert ranking.groups(0, lambda i, j: True) == ranking.groups(3, lambda i, j: True) == []
    assert ranking.groups(40, lambda i, j: False) == [tuple(range(40))]


@pytest.mark.parametrize(("strategies", "quantile"), [(2, 1.960), (3, 2.343), (6, 2.850), (10, 3.164)])
def test_the_critical_difference_agrees_with_the_published_quantiles(strategies, quantile):
    """Demsar 2006, Table 5a, for 14 tasks."""
    expected = quantile * math.sqrt(strategies * (strategies + 1) / (6 * 14))
    assert ranking.critical_difference(strategies, 14) == pytest.approx(expected, rel=4e-4)


def test_one_strategy_has_no_critical_difference():
    assert math.isnan(ranking.critical_difference(1, 4)) and math.isnan(ranking.critical_difference(6, 0))
