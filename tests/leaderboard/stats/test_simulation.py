"""Level, power and coverage by simulation; the long version prints the tables of docs/statistics.md (run with -s)."""

import math

import numpy as np
import pytest

from leaderboard.stats import comparison, significance
from leaderboard.stats.comparison import Sides
from leaderboard.stats.intervals import interval

ALPHA = 0.05


def scores(draw, strategies, restarts, splits, share, gain):
    """Scores (strategies + 1, restarts) of unit variance, the baseline first; `share` of it is the split's.

    gain: by how many standard deviations the first strategy is better than the baseline and the others.
    """
    own = draw.normal(size=(strategies + 1, restarts)) * math.sqrt(1 - share)
    common = draw.normal(size=(strategies + 1, splits))[:, np.arange(restarts) % splits] * math.sqrt(share)
    found = own + common
    found[1] += gain
    return found


def units(restarts, splits, by_restart=False):
    return tuple(str(r if by_restart else r % splits) for r in range(restarts))


def cell_family(draw, strategies, restarts, splits, share, gain, *, by_restart=False):
    """Which strategies differ significantly from the baseline in one cell, as the tables test it."""
    found = scores(draw, strategies, restarts, splits, share, gain)
    sides = [Sides(own, found[0], units(restarts, splits, by_restart)) for own in found[1:]]
    return [one.significant for one in comparison.corrected(comparison.compare_all(sides))]


def pooled_family(draw, strategies, restarts, splits, share, gain, *, cells=4):
    """Which strategies differ significantly from the baseline over all cells, as the tables test it."""
    found = [scores(draw, strategies, restarts, splits, share, gain) for _ in range(cells)]
    shared = units(restarts, splits)
    made = [comparison.pooled([Sides(one[at], one[0], shared) for one in found]) for at in range(1, strategies + 1)]
    return [p < ALPHA for p in significance.holm([one.p for one in made])]


def rates(family, count, seed, *args, **options):
    """How often anything is found, and how often the first strategy is, in `count` experiments."""
    draw = np.random.Generator(np.random.PCG64(seed))
    found = np.array([family(draw, *args, **options) for _ in range(count)])
    return found.any(axis=1).mean(), found[:, 0].mean()


@pytest.mark.parametrize("family", [cell_family, pooled_family])
def test_nothing_is_found_where_there_is_nothing(family):
    """Any of 5 strategies, whether every restart has its own split or 24 restarts share 12: at most 5 %, plus noise."""
    for restarts, splits in ((12, 12), (24, 12)):
        assert rates(family, 200, 1, 5, restarts, splits, 0.5, 0.0)[0] <= 0.09


def test_what_is_there_is_found():
    """A strategy that is two standard deviations better, among nine; over four cells one and a half are enough."""
    assert rates(cell_family, 100, 3, 9, 12, 12, 0.5, 2.0)[1] > 0.75
    assert rates(pooled_family, 100, 3, 9, 12, 12, 0.5, 1.5)[1] > 0.75
    assert rates(cell_family, 100, 3, 9, 12, 12, 0.5, 0.5)[1] < 0.4


@pytest.mark.long
def test_level_and_power_of_both_families():
    print("\n| family | strategies | restarts | splits | false finding | found: 0.5 | 1 | 2 standard deviations |")
    for family in (cell_family, pooled_family):
        for strategies in (1, 9, 27):
            for restarts, splits in ((12, 12), (20, 20), (24, 12)):
                if not significance.attainable(strategies, splits):
                    continue
                level, _ = rates(family, 1000, 1, strategies, restarts, splits, 0.5, 0.0)
                power = [rates(family, 300, 2, strategies, restarts, splits, 0.5, gain)[1] for gain in (0.5, 1, 2)]
                found = " | ".join(f"{100 * rate:.0f} %" for rate in power)
                print(f"| {family.__name__} | {strategies} | {restarts} | {splits} | {100 * level:.1f} % | {found} |")
                assert level <= 0.065 and power == sorted(power)
    naive, _ = rates(cell_family, 2000, 1, 1, 12, 4, 0.5, 0.0, by_restart=True)
    print(f"restarts of 4 splits taken for independent: {100 * naive:.1f} % false findings")
    assert naive > 0.12


@pytest.mark.long
def test_how_often_intervals_cover_the_true_mean():
    draw = np.random.Generator(np.random.PCG64(1))
    print("\n| splits | restarts per split | share of the split | covered |")
    for splits, restarts in ((3, 1), (4, 1), (5, 1), (8, 1), (12, 1), (20, 1), (4, 3), (5, 4), (12, 2)):
        for share in (0, 0.2, 0.5) if restarts > 1 else (0,):
            shared = units(splits * restarts, splits)
            samples = [scores(draw, 1, splits * restarts, splits, share, 0.0)[0] for _ in range(1000)]
            found = [interval(sample, shared) for sample in samples]
            covered = np.mean([low < 0 < high for low, high in found])
            print(f"| {splits} | {restarts} | {share} | {100 * covered:.0f} % |")
            assert 0.7 < covered <= 1
