"""What is compared in a cell: pairs, tiers, units, rows that are one method, tasks that no run learned."""

import math

import numpy as np
import pytest

from leaderboard.stats.intervals import interval
from leaderboard.stats.rounding import rounded
from leaderboard.stats.significance import sign_flip

DRAW = np.random.Generator(np.random.PCG64(21))
BASE = DRAW.normal(0.6, 0.02, 12)
BETTER = BASE + DRAW.normal(0.03, 0.005, 12)
ALIKE = BASE + DRAW.normal(0.0, 0.02, 12)
NOISY = BETTER - 0.035 + np.tile([0.1, -0.1], 6)  # on average below BASE


def grid(record, scores, **config):
    """One record per restart and strategy."""
    return [
        record(float(score), strategy=strategy, restart=r, **config)
        for strategy, values in scores.items()
        for r, score in enumerate(values)
    ]


@pytest.fixture
def cell(record, arrange):
    """Return a function from scores to the only cell."""

    def made(scores, **config):
        (section,) = arrange(grid(record, scores, **config))
        return section.cells[0]

    return made


def test_rows_carry_comparisons_corrected_over_their_cell(record, arrange):
    entries = grid(record, {"none": BASE, "a": BETTER, "b": ALIKE}) + grid(
        record, {"none": BASE, "a": BETTER}, task="t"
    )
    first, second = arrange(entries)[0].cells
    assert first.row("none").comparison is None
    found = first.row("a").comparison
    assert (found.low, found.high) == tuple(map(rounded, interval(BETTER - BASE)))
    assert (found.p_holm, second.row("a").comparison.p_holm) == pytest.approx((2 * 2**-11, 2**-11), rel=1e-3)


def test_pairs_are_all_pairs_of_rows(cell):
    found = cell({"none": BASE, "a": BETTER, "b": NOISY})
    names = [row.strategy for row in found.rows]
    assert names == ["a", "none", "b"], "by falling mean"
    assert [(pair.a, pair.b) for pair in found.pairs] == [(0, 1), (0, 2), (1, 2)]
    assert found.pairs[0].comparison.difference == found.row("a").comparison.difference
    assert found.pairs[2].comparison.reversed().difference == found.row("b").comparison.difference
    assert found.pairs[0].comparison.p_holm == pytest.approx(3 * 2**-11, rel=1e-3), "over the three pairs"


def test_tiers_group_what_does_not_differ_significantly(cell):
    """BETTER beats BASE and ALIKE in every restart; NOISY is lower on average and too noisy to differ from any."""
    found = cell({"none": BASE, "a": BETTER, "b": NOISY, "c": ALIKE})
    assert {row.strategy: row.tier for row in found.rows} == {"a": 1, "b": 1, "none": 2, "c": 2}


def test_more_pairs_than_the_smallest_p_allows_are_not_grouped(record, arrange):
    """15 strategies make 105 pairs, and 105 * 2^-11 > 0.05; 14 make 91."""
    many = {f"s{at:02}": BASE + 0.02 * at for at in range(15)}
    for count in (15, 14):
        (section,) = arrange(grid(record, dict(list(many.items())[:count])))
        tiers = {row.tier for row in section.cells[0].rows}
        assert tiers == ({None} if count == 15 else set(range(1, 15)))


def test_an_incomplete_row_is_not_compared(cell):
    found = cell({"none": BASE, "a": BETTER[:11], "b": ALIKE})
    row = found.row("a")
    assert row.comparison is None and row.tier is None and not row.complete
    assert found.row("b").comparison is not None


def test_nothing_is_compared_with_an_incomplete_baseline(cell):
    found = cell({"none": BASE[:11], "a": BETTER, "b": ALIKE})
    assert all(row.comparison is None for row in found.rows)
    assert found.row("a").tier == 1


def test_restarts_are_paired_by_number_not_by_score(cell):
    """The same scores in another order have the same means and another p."""
    found = cell({"none": BASE, "a": BETTER[::-1]}).row("a").comparison
    assert found.p == pytest.approx(sign_flip(BETTER[::-1] - BASE), rel=1e-3) != sign_flip(BETTER - BASE)


# --- units


@pytest.mark.parametrize(
    ("fraction", "data", "units"), [(0.1, "official", 1), (1.0, "official", 12), (1.0, "pooled", 1)]
)
def test_the_split_is_the_unit_but_where_it_is_the_whole_pool(record, arrange, fraction, data, units):
    """At 100 % of an official training set every restart trains on the same examples, and nothing was drawn."""
    entries = grid(
        record,
        {"none": BASE, "a": BETTER},
        fraction=fraction,
        split_hash="9" * 64,
        split_seed=0,
        protocol={"data": data},
    )
    for entry in entries:
        entry["config"]["protocol"] = {**entry["config"]["protocol"], "data": data}
    (section,) = arrange(entries)
    row = section.cells[0].row("a")
    assert (row.units, row.comparison.units) == (units, units)
    assert math.isnan(row.mean_low) == math.isnan(row.comparison.p) == (units == 1)


def test_the_smallest_difference_that_a_cell_could_find(cell):
    """Between what 12 normal differences of this spread reach: about 4 standard errors for two tests."""
    found = cell({"none": BASE, "a": BETTER, "b": ALIKE})
    spread = math.sqrt(((BETTER - BASE).var(ddof=1) + (ALIKE - BASE).var(ddof=1)) / 2)
    assert len(found.tested) == 2 and found.detectable == pytest.approx(3.49 * spread / math.sqrt(12), rel=0.01)
    assert math.isnan(cell({"none": BASE[:5], "a": BETTER[:5]}).detectable)


# --- one method under several names


def predicted(record, tables, **result):
    """Two restarts per strategy with given predictions (one list per restart)."""
    return [
        record(0.6 + r / 10 + at / 100, strategy=strategy, restart=r, result={"predictions": list(values), **result})
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


@pytest.mark.parametrize(
    ("base", "other", "same"),
    [
        (CLASSES, [changed(values, 2, 1) for values in CLASSES], True),  # 99.5 % agree
        (CLASSES, [CLASSES[0], changed(CLASSES[1], 3, 1)], False),  # fewer in one restart
        (NUMBERS, [changed(values, 400, 0.02) for values in NUMBERS], True),  # 0.4 % of the range
        (NUMBERS, [changed(values, 400, 0.03) for values in NUMBERS], False),
        (NUMBERS, [changed(values, 2, 3.0) for values in NUMBERS], True),
        (CLASSES, [values[:-1] for values in CLASSES], False),
        ([[], []], [[], []], False),
    ],
)
def test_rows_with_the_same_predictions_are_one(record, arrange, base, other, same):
    (section,) = arrange(predicted(record, {"none": base, "wdecay": other, "mixout": CLASSES[::-1]}))
    cell = section.cells[0]
    assert cell.row("wdecay").same_as == ("none" if same else None)
    assert cell.row("mixout").same_as is None
    assert len(cell.ranked) == (2 if same else 3)
    assert len(cell.pairs) == (1 if same else 3), "before corrections"


def test_collapsed_runs_do_not_make_two_methods_one(record, arrange):
    """Both predict one class throughout: that says nothing of the methods."""
    ones = [[1] * 400] * 2
    (section,) = arrange(predicted(record, {"none": ones, "a": ones}, collapsed=True))
    assert section.cells[0].row("a").same_as is None
    entries = predicted(record, {"none": CLASSES, "a": [CLASSES[0], [1] * 400]})
    entries[-1]["result"]["collapsed"] = True
    assert arrange(entries)[0].cells[0].row("a").same_as is None, "one collapsed, the other did not"


def test_a_row_never_stands_for_one_with_more_restarts(record, arrange):
    entries = predicted(record, {"a": CLASSES, "none": CLASSES[:1]})
    (section,) = arrange(entries)
    assert section.cells[0].row("a").same_as is None


# --- nothing learned


def test_where_every_run_failed_nothing_is_ranked_or_compared(record, arrange):
    entries = [
        record(0.5 + gain, status="failed", strategy=strategy, restart=r)
        for strategy, gain in (("none", 0.0), ("a", 0.01))
        for r in range(12)
    ]
    (section,) = arrange(entries)
    cell = section.cells[0]
    assert (cell.learned, cell.runs) == (False, 24)
    assert cell.ranked == cell.best == cell.pairs == () and cell.row("a").comparison is None
    assert section.ranking.strategies == ()
    entries[-1]["result"] |= {"status": "ok", "failed": False, "failed_by": None}
    assert arrange(entries)[0].cells[0].learned, "one run that did not fail is enough"
