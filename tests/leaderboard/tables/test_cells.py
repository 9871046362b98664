"""What is compared in a cell: pairs, tiers, units, rows that are one method, tasks that no run learned."""

import math

import numpy as np
import pytest

from leaderboard.stats.intervals import interval
from leaderboard.stats.rounding import rounded
from leaderboard.stats.significance import sign_flip
from tests.leaderboard.conftest import grid, make

DRAW = np.random.Generator(np.random.PCG64(21))
BASE = DRAW.normal(0.6, 0.02, 12)
BETTER = BASE + DRAW.normal(0.03, 0.005, 12)
ALIKE = BASE + DRAW.normal(0.0, 0.02, 12)
NOISY = BETTER - 0.035 + np.tile([0.1, -0.1], 6)  # on average below BASE


@pytest.fixture
def cell(arrange):
    """Return a function from scores to the only cell."""

    def made(scores, **config):
        (section,) = arrange(grid(scores, **config))
        return section.cells[0]

    return made


def test_rows_carry_comparisons_corrected_over_their_cell(arrange):
    entries = grid({"none": BASE, "a": BETTER, "b": ALIKE}) + grid({"none": BASE, "a": BETTER}, task="t")
    first, second = arrange(entries)[0].cells
    found = first.row("a").comparison
    assert (found.low, found.high) == tuple(map(rounded, interval(BETTER - BASE)))
    assert (found.p_holm, second.row("a").comparison.p_holm) == pytest.approx((2 * 2**-11, 2**-11), rel=1e-3)


def test_pairs_are_all_pairs_of_rows(cell):
    found = cell({"none": BASE, "a": BETTER, "b": NOISY})
    names = [row.strategy for row in found.rows]
    assert names == ["a", "none", "b"], "by falling mean"
    assert list(found.pairs) == [(0, 1), (0, 2), (1, 2)]
    assert found.pairs[0, 1].difference == found.row("a").comparison.difference
    assert found.pairs[1, 2].reversed().difference == found.row("b").comparison.difference
    assert found.pairs[0, 1].p_holm == pytest.approx(3 * 2**-11, rel=1e-3), "over the three pairs"


@pytest.mark.parametrize(
    ("scores", "tiers", "compared"),
    [
        # BETTER beats BASE and ALIKE in every restart; NOISY is lower on average and too noisy to differ from any
        (
            {"none": BASE, "a": BETTER, "b": NOISY, "c": ALIKE},
            {"a": 1, "b": 1, "none": 2, "c": 2},
            {"a", "b", "c"},
        ),
        ({"none": BASE, "a": BETTER[:11], "b": ALIKE}, {"a": None, "none": 1, "b": 1}, {"b"}),
        ({"none": BASE[:11], "a": BETTER, "b": ALIKE}, {"none": None, "a": 1, "b": 2}, set()),
    ],
)
def test_tiers_and_comparisons_are_of_complete_rows(cell, scores, tiers, compared):
    rows = cell(scores).rows
    assert {row.strategy: row.tier for row in rows} == tiers
    assert {row.strategy for row in rows if row.comparison} == compared


@pytest.mark.parametrize(("count", "tiers"), [(15, {None}), (14, {*range(1, 15)})])
def test_more_pairs_than_the_smallest_p_allows_are_not_grouped(cell, count, tiers):
    """15 strategies make 105 pairs, and 105 * 2^-11 > 0.05; 14 make 91."""
    assert {row.tier for row in cell({f"s{at:02}": BASE + 0.02 * at for at in range(count)}).rows} == tiers


def test_restarts_are_paired_by_number_not_by_score(cell):
    """The same scores in another order have the same means and another p."""
    found = cell({"none": BASE, "a": BETTER[::-1]}).row("a").comparison
    assert found.p == pytest.approx(sign_flip(BETTER[::-1] - BASE), rel=1e-3) != sign_flip(BETTER - BASE)


# --- units


@pytest.mark.parametrize(
    ("fraction", "data", "units"), [(0.1, "official", 1), (1.0, "official", 12), (1.0, "pooled", 1)]
)
def test_the_split_is_the_unit_but_where_it_is_the_whole_pool(cell, fraction, data, units):
    """At 100 % of an official training set every restart trains on the same examples, and nothing was drawn."""
    one_split = {"split_hash": "9" * 64, "split_seed": 0}
    row = cell({"none": BASE, "a": BETTER}, fraction=fraction, protocol={"data": data}, **one_split).row("a")
    assert (row.units, row.comparison.units) == (units, units)
    assert math.isnan(row.mean_low) == math.isnan(row.comparison.p) == (units == 1)


def test_the_smallest_difference_that_a_cell_could_find(cell):
    """Between what 12 normal differences of this spread reach: about 4 standard errors for two tests."""
    found = cell({"none": BASE, "a": BETTER, "b": ALIKE})
    spread = math.sqrt(((BETTER - BASE).var(ddof=1) + (ALIKE - BASE).var(ddof=1)) / 2)
    assert len(found.tested) == 2 and found.detectable == pytest.approx(3.49 * spread / math.sqrt(12), rel=0.01)
    assert math.isnan(cell({"none": BASE[:5], "a": BETTER[:5]}).detectable)


# --- one method under several names


def predicted(tables, collapsed=()):
    """Restarts of strategies with given predictions (one list per restart); those named have collapsed."""
    return [
        make(
            0.6 + r / 10 + at / 100,
            strategy=strategy,
            restart=r,
            result={"predictions": list(values), "collapsed": f"{strategy} {r}" in collapsed},
        )
        for at, (strategy, restarts) in enumerate(tables.items())
        for r, values in enumerate(restarts)
    ]


CLASSES = [[0, 1] * 200, [1, 0] * 200]
NUMBERS = [(DRAW.random(400) * 5).tolist(), (DRAW.random(400) * 5).tolist()]


def changed(values, count, by):
    """Return predictions of which the first `count` are moved."""
    return [
        value + by * (at < count) if isinstance(value, float) else (value + by * (at < count)) % 2
        for at, value in enumerate(values)
    ]


ONES, MIXED = [[1] * 400] * 2, [CLASSES[0], [1] * 400]


@pytest.mark.parametrize(
    ("base", "other", "collapsed", "same"),
    [
        (CLASSES, [changed(values, 2, 1) for values in CLASSES], "", True),  # 99.5 % agree
        (CLASSES, [CLASSES[0], changed(CLASSES[1], 3, 1)], "", False),  # fewer in one restart
        (NUMBERS, [changed(values, 400, 0.02) for values in NUMBERS], "", True),  # 0.4 % of the range
        (NUMBERS, [changed(values, 400, 0.03) for values in NUMBERS], "", False),
        (NUMBERS, [changed(values, 2, 3.0) for values in NUMBERS], "", True),
        (CLASSES, [values[:-1] for values in CLASSES], "", False),
        ([[], []], [[], []], "", False),
        (ONES, ONES, "none 0 none 1 other 0 other 1", False),  # one class throughout says nothing of the methods
        (CLASSES, MIXED, "other 1", False),  # one collapsed, the other did not
    ],
)
def test_rows_with_the_same_predictions_are_one(arrange, base, other, collapsed, same):
    (section,) = arrange(predicted({"none": base, "other": other, "mixout": CLASSES[::-1]}, collapsed))
    cell = section.cells[0]
    assert cell.row("other").same_as == ("none" if same else None)
    assert cell.row("mixout").same_as is None
    assert len(cell.ranked) == (2 if same else 3)
    assert len(cell.pairs) == (1 if same else 3), "before corrections"


def test_a_row_never_stands_for_one_with_more_restarts(arrange):
    (section,) = arrange(predicted({"a": CLASSES, "none": CLASSES[:1]}))
    assert section.cells[0].row("a").same_as is None


# --- nothing learned


def test_where_every_run_failed_nothing_is_ranked_or_compared(arrange):
    entries = grid({"none": [0.5] * 12, "a": [0.51] * 12}, status="failed")
    (section,) = arrange(entries)
    cell = section.cells[0]
    assert (cell.learned, cell.runs) == (False, 24)
    assert cell.ranked == cell.best == () and cell.pairs == {} and cell.row("a").comparison is None
    assert section.ranking.strategies == ()
    entries[-1]["result"] |= {"status": "ok", "failed": False, "failed_by": None}
    assert arrange(entries)[0].cells[0].learned, "one run that did not fail is enough"
