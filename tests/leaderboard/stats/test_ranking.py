"""Over all cells: the pooled test, its interval, tiers, the critical difference and areas under paucity curves."""

import itertools
import math

import numpy as np
import pytest

from leaderboard.stats import ranking, resampling, significance

DRAW = np.random.Generator(np.random.PCG64(31))
CELLS = [("cola", 0.1), ("cola", 1.0), ("rte", 0.1)]
BASE = {cell: DRAW.normal(0.5, 0.02, 12) for cell in CELLS}
BETTER = {cell: scores + DRAW.normal(0.02, 0.01, 12) for cell, scores in BASE.items()}


def records(record, table, sizes=None):
    """One record per strategy, cell and restart; `sizes` cuts the restarts of a cell."""
    return [
        record(float(score), strategy=strategy, task=task, fraction=fraction, restart=r)
        for strategy, cells in table.items()
        for (task, fraction), scores in cells.items()
        for r, score in enumerate(scores[: (sizes or {}).get((task, fraction), 12)])
    ]


@pytest.fixture
def section(record, arrange):
    (found,) = arrange(records(record, {"none": BASE, "a": BETTER}))
    return found


def test_the_pooled_difference_is_the_mean_over_cells(section):
    first, second = section.ranking.places
    assert (first.strategy, second.strategy) == ("a", "none")
    expected = np.mean([(BETTER[cell] - BASE[cell]).mean() for cell in CELLS])
    assert first.difference == pytest.approx(expected, rel=1e-12)
    assert first.low < expected < first.high
    assert math.isnan(second.p) and math.isnan(second.low)


def test_the_pooled_test_flips_a_restarts_differences_together(record, arrange):
    """Against every pattern of signs of the restarts, each turning the restart's differences in all cells."""
    sizes = {("cola", 1.0): 5}
    draw = np.random.Generator(np.random.PCG64(5))
    noisy = {cell: scores + draw.normal(0.003, 0.02, 12) for cell, scores in BASE.items()}
    (section,) = arrange(records(record, {"none": BASE, "a": noisy}, sizes))
    counts = [sizes.get(cell, 12) for cell in CELLS]
    differences = [noisy[cell][:n] - BASE[cell][:n] for cell, n in zip(CELLS, counts, strict=True)]
    seen = abs(sum(d.mean() for d in differences))
    hits = 0
    for signs in itertools.product((1, -1), repeat=12):
        hits += abs(sum((d * signs[: len(d)]).mean() for d in differences)) >= seen - 1e-12
    place = next(place for place in section.ranking.places if place.strategy == "a")
    assert place.p == pytest.approx(hits / 2**12, abs=1e-12)
    assert 0.001 < place.p < 1
    assert section.ranking.restarts == 12


def test_pooled_p_values_are_corrected_over_strategies(record, arrange):
    table = {"none": BASE, "a": BETTER, "b": {cell: scores + 1e-3 for cell, scores in BETTER.items()}}
    (section,) = arrange(records(record, table))
    assert {place.strategy: place.p_holm for place in section.ranking.places if place.strategy != "none"} == {
        "a": 2 * 2**-11,
        "b": 2 * 2**-11,
    }
    assert [place.tier for place in section.ranking.places] == [1, 2, 3]


def test_the_best_mean_leads_the_first_tier_wherever_its_mean_rank_stands(record, arrange):
    """`a` is first on three of four tasks by a hair and far behind on the fourth: told apart from `none`, and worse."""
    base = {(task, 0.1): DRAW.normal(0.5, 0.02, 12) for task in ("cola", "mrpc", "rte", "sst2")}
    mixed = {cell: scores + (-0.1 if cell[0] == "sst2" else 0.001) for cell, scores in base.items()}
    (section,) = arrange(records(record, {"none": base, "a": mixed}))
    assert [(place.strategy, place.tier) for place in section.ranking.places] == [("a", 2), ("none", 1)]
    assert section.ranking.groups == ()


def test_few_restarts_are_not_tested(record, arrange):
    (section,) = arrange(records(record, {"none": BASE, "a": BETTER}, dict.fromkeys(CELLS, 5)))
    place = section.ranking.places[0]
    assert math.isnan(place.p) and math.isnan(place.p_holm) and place.tier is None
    assert place.low < place.difference < place.high


def test_parts_of_restarts_add_up_to_the_mean_over_cells(section):
    rows = [cell.row("a") for cell in section.cells]
    parts = ranking.per_restart(rows)
    assert len(parts) == 12
    assert parts.sum() == pytest.approx(np.mean([row.mean for row in rows]), rel=1e-12)


def test_the_critical_difference_counts_tasks_not_cells(section):
    assert section.ranking.tasks == 2
    assert section.ranking.critical_difference == significance.critical_difference(2, 2)


def test_mean_ranks_are_over_cells_not_over_tasks_first(record, arrange):
    """`none` is first in both cells of cola and last in that of rte: 4/3, not 3/2."""
    worse = {cell: scores + (0.1 if cell[0] == "rte" else -0.1) for cell, scores in BASE.items()}
    (section,) = arrange(records(record, {"none": BASE, "a": worse}))
    places = {place.strategy: place.mean_rank for place in section.ranking.places}
    assert places == {"none": pytest.approx(4 / 3), "a": pytest.approx(5 / 3)}


def test_areas_by_hand(section):
    """Only cola has two shares of its data: the area of a straight line is the mean of its ends."""
    first, second = section.curves
    assert {(curve.task, curve.fractions) for curve in section.curves} == {("cola", (0.1, 1.0))}
    assert first.strategy == "a" and second.difference == 0
    assert second.area == pytest.approx((BASE["cola", 0.1].mean() + BASE["cola", 1.0].mean()) / 2)
    assert first.difference == pytest.approx(first.area - second.area)


def test_the_interval_of_an_area_agrees_with_the_bootstrap_of_its_parts(section):
    """Restarts are the same at both shares, so the area is one mean: of the average of a restart's two differences."""
    first, second = section.curves
    average = sum(BETTER["cola", fraction] - BASE["cola", fraction] for fraction in (0.1, 1.0)) / 2
    assert (first.low, first.high) == pytest.approx(resampling.interval(average), abs=1e-9)
    assert math.isnan(second.low)


def test_an_incomplete_strategy_has_no_area(record, arrange):
    entries = records(record, {"none": BASE, "a": BETTER})
    entries = [e for e in entries if (e["config"]["strategy"], e["config"]["restart"]) != ("a", 3)]
    (section,) = arrange(entries)
    assert [curve.strategy for curve in section.curves] == ["none"]
