"""Ranks, tiers and groups by hand and by brute force; the critical difference by published quantiles."""

import math

import pytest

from leaderboard.stats import ranking

BEATEN = {(2, 0), (3, 0), (3, 1), (3, 2)}  # 0 beats 2 and 3 but not 1; 2 beats 3


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (ranking.mean_ranks([[0.9, 0.5, 0.7], [0.5, 0.9, 0.7]]).tolist(), [2, 2, 2]),
        (ranking.mean_ranks([[0.7, 0.9, 0.7, 0.5]]).tolist(), [2.5, 1, 2.5, 4]),
        (ranking.tiers(4, lambda item, leader: (item, leader) in BEATEN), [1, 1, 2, 3]),
        (ranking.tiers(3, lambda item, leader: False), [1, 1, 1]),
        (ranking.tiers(3, lambda item, leader: True), [1, 2, 3]),
        (ranking.tiers(0, lambda item, leader: True), []),
        (ranking.groups(4, lambda i, j: (i, j) == (0, 3)), [(0, 1, 2), (1, 2, 3)]),  # each as large as it can be
        (ranking.groups(0, lambda i, j: True), []),
        (ranking.groups(3, lambda i, j: True), []),
        (ranking.groups(40, lambda i, j: False), [tuple(range(40))]),
        (math.isnan(ranking.critical_difference(1, 4)), True),
        (math.isnan(ranking.critical_difference(6, 0)), True),
    ],
)
def test_by_hand(found, expected):
    assert found == expected


@pytest.mark.parametrize(("strategies", "quantile"), [(2, 1.960), (3, 2.343), (6, 2.850), (10, 3.164)])
def test_the_critical_difference_agrees_with_the_published_quantiles(strategies, quantile):
    """Demsar 2006, Table 5a, for 14 tasks."""
    expected = quantile * math.sqrt(strategies * (strategies + 1) / (6 * 14))
    assert ranking.critical_difference(strategies, 14) == pytest.approx(expected, rel=4e-4)
