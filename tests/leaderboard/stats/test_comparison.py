"""A strategy beside the baseline, corrected over a section, and the tiers of a cell."""

import math

import numpy as np
import pytest
from scipy.stats import permutation_test

from leaderboard.stats import comparison, resampling

DRAW = np.random.Generator(np.random.PCG64(21))
BASE = DRAW.normal(0.6, 0.02, 12)
BETTER = BASE + DRAW.normal(0.03, 0.005, 12)
ALIKE = BASE + DRAW.normal(0.0, 0.02, 12)
NOISY = BETTER - 0.035 + np.tile([0.1, -0.1], 6)  # on average below BASE
ONE_SPLIT = ["s"] * 12
NEVER = [False] * 12


def grid(record, scores, **config):
    """One record per restart and strategy; restart r trains on split r mod 3."""
    return [
        record(float(score), strategy=strategy, restart=r, split_seed=r % 3, split_hash=f"{r % 3}" * 64, **config)
        for strategy, values in scores.items()
        for r, score in enumerate(values)
    ]


def compare(*sides):
    """Return the comparison of one pair, made beside another one that is not looked at."""
    other = comparison.Sides(BASE, BETTER, ONE_SPLIT, NEVER, NEVER)
    return comparison.compare_all([other, comparison.Sides(*sides)])[1]


def test_a_comparison_holds_the_paired_numbers():
    found = compare(BETTER, BASE, ONE_SPLIT, NEVER, NEVER)
    assert found.restarts == 12 and not found.too_few
    assert found.difference == pytest.approx((BETTER - BASE).mean(), rel=1e-12)
    assert (found.low, found.high) == resampling.interval(BETTER - BASE)
    assert found.low < found.difference < found.high
    reference = permutation_test((BETTER - BASE,), np.mean, permutation_type="samples", n_resamples=math.inf)
    assert found.p == pytest.approx(reference.pvalue, abs=1e-12) == found.smallest_p == 2**-11
    assert found.failures_p == 1 and math.isnan(found.p_holm)


def test_eleven_restarts_are_too_few_to_test():
    found = compare(BETTER[:11], BASE[:11], ONE_SPLIT[:11], NEVER[:11], NEVER[:11])
    assert found.too_few and not found.distinguishable
    assert math.isnan(found.p) and math.isnan(found.failures_p)
    assert found.low < found.difference < found.high  # shown all the same


def test_correction_over_several_comparisons():
    """Two of three are tested, so the smaller p counts twice."""
    few = compare(BETTER[:3], BASE[:3], ONE_SPLIT[:3], NEVER[:3], NEVER[:3])
    told = compare(BETTER, BASE, ONE_SPLIT, NEVER, [True] * 8 + [False] * 4)
    not_told = compare(ALIKE, BASE, ONE_SPLIT, NEVER, NEVER)
    first, second, third = comparison.corrected([few, told, not_told])
    assert math.isnan(first.p_holm) and not first.distinguishable
    assert second.p_holm == pytest.approx(2 * 2**-11) and second.distinguishable
    assert second.failures_p_holm == pytest.approx(2 * 2 / 2**8)
    assert third.p_holm == not_told.p and not third.distinguishable


def tiers(scores):
    return comparison.tiers_of(scores, comparison.told_apart(scores))


def test_tiers_group_what_cannot_be_told_apart():
    """BETTER beats BASE and ALIKE in every restart; NOISY is lower on average and too noisy to tell from any."""
    assert tiers([BETTER, NOISY, BASE, ALIKE]) == [1, 1, 2, 2]
    assert tiers([BETTER[:11], BASE[:11]]) is None
    assert tiers([]) is None
    assert tiers([BASE, BETTER]) == [2, 1]
    assert comparison.told_apart([BETTER, NOISY, BASE, ALIKE]) == {(0, 2), (0, 3)}


def test_more_pairs_than_the_smallest_p_can_tell_apart_are_not_tested():
    """15 strategies make 105 pairs, and 105 * 2^-11 > 0.05; 14 make 91."""
    many = [BASE + 0.1 * at for at in range(15)]
    assert comparison.told_apart(many) is None and tiers(many) is None
    assert len(comparison.told_apart(many[:14])) == 91


def test_rows_stand_by_tier_and_carry_their_comparisons(record, arrange):
    entries = grid(record, {"none": BASE, "a": BETTER, "b": NOISY})
    (section,) = arrange(entries)
    rows = section.cells[0].rows
    assert [(row.strategy, row.tier) for row in rows] == [("a", 1), ("b", 1), ("none", 2)]
    assert rows[2].comparison is None
    assert rows[0].comparison.p_holm == pytest.approx(2 * 2**-11)
    groups = [line["split"] for line in rows[0].trials]
    assert len(set(groups)) == 3
    assert (rows[0].comparison.low, rows[0].comparison.high) == resampling.interval(BETTER - BASE, groups)


def test_comparisons_are_corrected_over_all_cells_of_a_section(record, arrange):
    scores = {"none": BASE, "a": BETTER, "b": ALIKE}
    entries = grid(record, scores) + grid(record, scores, task="cola")
    (section,) = arrange(entries)
    found = [cell.row("a").comparison.p_holm for cell in section.cells]
    assert found == [pytest.approx(4 * 2**-11), pytest.approx(4 * 2**-11)]


def test_an_incomplete_row_is_not_compared(record, arrange):
    entries = grid(record, {"none": BASE, "a": BETTER[:11], "b": ALIKE})
    (section,) = arrange(entries)
    row = section.cells[0].row("a")
    assert row.comparison is None and row.tier is None and not row.complete
    assert section.cells[0].row("b").comparison is not None


def test_nothing_is_compared_with_an_incomplete_baseline(record, arrange):
    (section,) = arrange(grid(record, {"none": BASE[:11], "a": BETTER, "b": ALIKE}))
    assert all(row.comparison is None for row in section.cells[0].rows)
    assert section.cells[0].row("a").tier == 1


def test_restarts_are_paired_by_number_not_by_score(record, arrange):
    """The same scores in another order have the same means and another p."""
    (shuffled,) = arrange(grid(record, {"none": BASE, "a": BETTER[::-1]}))
    found = shuffled.cells[0].row("a").comparison
    assert found.p == resampling.sign_flip(BETTER[::-1] - BASE) != resampling.sign_flip(BETTER - BASE)
