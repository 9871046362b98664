"""Over all cells: mean ranks, the pooled comparison, tiers and groups, and areas under paucity curves."""

import itertools
import math
import operator

import numpy as np
import pytest

from leaderboard.stats import intervals
from leaderboard.stats.comparison import Sides, pooled
from leaderboard.stats.ranking import critical_difference
from leaderboard.tables.curves import curves
from tests.leaderboard.conftest import grid, make

DRAW = np.random.Generator(np.random.PCG64(31))
CELLS = [("cola", 0.1), ("cola", 1.0), ("rte", 0.1)]
BASE = {cell: DRAW.normal(0.5, 0.02, 12) for cell in CELLS}
BETTER = {cell: scores + DRAW.normal(0.02, 0.01, 12) for cell, scores in BASE.items()}
POOLED = pooled([Sides(BETTER[cell], BASE[cell], tuple(map(str, range(12)))) for cell in CELLS])


def records(table, restarts=12):
    """One record per strategy, cell and restart."""
    return [
        one
        for strategy, cells in table.items()
        for (task, fraction), scores in cells.items()
        for one in grid({strategy: scores[:restarts]}, task=task, fraction=fraction)
    ]


@pytest.fixture
def section(arrange):
    (found,) = arrange(records({"none": BASE, "a": BETTER}))
    return found


def test_the_pooled_comparison_is_that_of_the_cells(section):
    first, second = section.ranking.strategies
    assert (first.strategy, second.strategy) == ("a", "none")
    found = first.pooled
    assert (found.improvement, found.p, found.units) == (POOLED.improvement, POOLED.p, 12)
    assert found.low <= found.improvement <= found.high
    assert math.isnan(second.pooled.p) and math.isnan(second.pooled.improvement)


def test_pooled_p_values_are_corrected_over_strategies(arrange):
    table = {"none": BASE, "a": BETTER, "b": {cell: scores + 1e-3 for cell, scores in BETTER.items()}}
    (section,) = arrange(records(table))
    by_name = {entry.strategy: entry.pooled for entry in section.ranking.strategies}
    assert by_name["b"].p_holm == 2 * by_name["b"].p and by_name["a"].p_holm >= by_name["b"].p_holm
    assert [entry.tier for entry in section.ranking.strategies] == [1, 2, 3]


@pytest.mark.parametrize(("splits", "p"), [(3, math.nan), (12, 2**-11)])
def test_shared_splits_are_the_units(arrange, splits, p):
    """24 restarts on 3 splits cannot be tested, and on 12 they reach what 12 can."""
    entries = [
        make(0.5 + gain + r / 1000, strategy=strategy, task=task, restart=r, split_seed=r % splits)
        for strategy, gain in (("none", 0.0), ("a", 0.1))
        for task in ("cola", "rte")
        for r in range(24)
    ]
    (section,) = arrange(entries)
    first = section.ranking.strategies[0]
    assert (first.pooled.units, section.ranking.units) == (splits, splits)
    assert first.pooled.p == pytest.approx(p, rel=1e-3, nan_ok=True)


FOUR = {(task, 0.1): DRAW.normal(0.3, 0.02, 12) for task in ("stsb", "cola", "mrpc", "rte")}
POINTS = {cell: scores + (0.4 if cell[0] == "stsb" else -0.005) for cell, scores in FOUR.items()}
AHEAD = {cell: scores + 0.1 for cell, scores in BASE.items()}
HALF = {cell: scores + np.tile([0.03, -0.03], 6) + 0.001 for cell, scores in BASE.items()}
WORSE = {cell: scores + (0.1 if cell[0] == "rte" else -0.1) for cell, scores in BASE.items()}
WNLI = grid({"none": [0.5] * 12, "a": [0.1] * 12}, status="failed", task="wnli")
UNEVEN = [one for one in records({"none": BASE, "a": AHEAD}) if one["config"]["task"] != "rte"]
UNEVEN += records({"none": {("rte", 0.1): BASE["rte", 0.1]}, "a": {("rte", 0.1): AHEAD["rte", 0.1]}}, 6)
RANKED = {
    # `a` wins 40 points on one task and loses half a point on three: it is not better
    "large points weigh no more": (
        records({"none": FOUR, "a": POINTS}),
        {"tier": {"none": 1, "a": 2}, "pooled.improvement": {"none": math.nan, "a": 0.25}},
    ),
    # `a` is ahead on every restart and never shares its rank; `b` is ahead of `none` on half of them
    "intervals draw restarts together": (
        records({"none": BASE, "a": AHEAD, "b": HALF}),
        {"rank_low": {"a": 1, "b": 2, "none": 2}, "mean_rank": {"a": 1, "b": 2, "none": 3}}
        | {"rank_high": {"a": 1, "b": 3, "none": 3}},
    ),
    "cells with other restarts": (UNEVEN, {"rank_low": {"none": math.nan, "a": math.nan}}),
    # `none` is first in both cells of cola and last in that of rte: 4/3, not 3/2
    "means are over cells": (records({"none": BASE, "a": WORSE}), {"mean_rank": {"none": 4 / 3, "a": 5 / 3}}),
    # `none` is far ahead where every run failed, which says nothing
    "a task that no run learned": (
        records({"none": BASE, "a": BETTER}) + WNLI,
        {"mean_rank": {"a": 1, "none": 2}},
    ),
}


@pytest.mark.parametrize(("entries", "figures"), RANKED.values(), ids=RANKED)
def test_ranked_strategies_have_the_figures(arrange, entries, figures):
    (section,) = arrange(entries)
    for name, wanted in figures.items():
        found = {one.strategy: operator.attrgetter(name)(one) for one in section.ranking.strategies}
        assert found == pytest.approx(wanted, abs=1e-6, nan_ok=True), name


def test_few_restarts_are_not_tested(arrange):
    (section,) = arrange(records({"none": BASE, "a": BETTER}, 5))
    first = section.ranking.strategies[0]
    assert math.isnan(first.pooled.p) and math.isnan(first.pooled.p_holm)
    places = [section.ranking.place(entry) for entry in section.ranking.strategies]
    assert places == ["1=", "1="], "what cannot be tested is shown as a tie"


def test_strategies_are_also_compared_with_a_second_reference(arrange):
    """Devlin's recipe is the baseline, plain fine-tuning the other; p is corrected over the comparisons with it."""
    devlin = {cell: scores - 0.01 for cell, scores in BASE.items()}
    (section,) = arrange(records({"none": BASE, "dropout(0.1) + wdecay(0, 0.01)": devlin, "a": BETTER}))
    assert (section.baseline, section.ranking.reference) == ("dropout(0.1) + wdecay(0, 0.01)", "none")
    by_name = {entry.strategy: entry for entry in section.ranking.strategies}
    assert by_name["a"].reference.improvement == POOLED.improvement
    assert by_name["a"].reference.p_holm == 2 * POOLED.p
    assert math.isnan(by_name["none"].reference.p) and math.isnan(by_name[section.baseline].pooled.p)


def test_the_critical_difference_counts_tasks_not_cells(section):
    assert (section.ranking.tasks, section.ranking.cells) == (2, 3)
    assert section.ranking.critical_difference == critical_difference(2, 2)


def test_strategies_with_the_same_predictions_everywhere_have_one_rank(arrange):
    """`wdecay` is `none` under another name in both tasks, `b` in one of them only."""
    entries = records({"none": BASE, "wdecay": BASE, "b": BETTER})
    for entry in entries:
        same = entry["config"]["strategy"] == "wdecay" or entry["config"]["task"] == "rte"
        entry["result"]["predictions"] = [0, 1] * 50 if same else entry["result"]["predictions"]
        if entry["config"]["strategy"] == "none":
            entry["result"]["predictions"] = [0, 1] * 50
    (section,) = arrange(entries)
    found = {entry.strategy: entry.same for entry in section.ranking.strategies}
    assert found == {"none": ("wdecay",), "b": ()}


@pytest.mark.parametrize(("restarts", "test"), [(12, "sign flip"), (2, "nemenyi")])
def test_groups_are_by_paired_tests_where_there_are_units_enough(arrange, restarts, test):
    """By mean ranks over six tasks, neighbours do not differ; by 12 paired restarts all three do."""
    levels = {"dropout(0.1) + wdecay(0, 0.01)": 0.60, "none": 0.61, "mixout(w_pre, 0.7)": 0.66}
    entries = [
        make(level + r / 1000, strategy=name, restart=r, task=f"t{task}")
        for name, level in levels.items()
        for r in range(restarts)
        for task in range(6)
    ]
    (section,) = arrange(entries)
    found = section.ranking
    assert found.groups_test == test and 1 < found.critical_difference < 2
    assert [entry.mean_rank for entry in found.strategies] == [1, 2, 3]
    names = [entry.strategy for entry in found.strategies]
    assert found.groups == (() if test == "sign flip" else tuple(itertools.pairwise(names)))


# --- paucity curves


def areas(section):
    return curves(section.cells, section.baseline)


def test_areas_by_hand(section):
    """Only cola has two shares of its data: the area of a straight line is the mean of its ends."""
    first, second = areas(section)
    assert {(curve["task"], curve["fractions"]) for curve in areas(section)} == {("cola", (0.1, 1.0))}
    assert first["strategy"] == "a" and second["difference"] == 0
    assert second["area"] == pytest.approx((BASE["cola", 0.1].mean() + BASE["cola", 1.0].mean()) / 2)
    assert first["difference"] == pytest.approx(first["area"] - second["area"])


def test_the_interval_of_an_area_agrees_with_the_bootstrap_of_its_parts(section):
    """Restarts are the same at both shares, so the area is one mean: of the average of a restart's two differences."""
    first, second = areas(section)
    average = sum(BETTER["cola", fraction] - BASE["cola", fraction] for fraction in (0.1, 1.0)) / 2
    assert (first["low"], first["high"]) == pytest.approx(intervals.interval(average), abs=1e-9)
    assert math.isnan(second["low"])


def test_an_incomplete_strategy_has_no_area(arrange):
    entries = records({"none": BASE, "a": BETTER})
    entries = [e for e in entries if (e["config"]["strategy"], e["config"]["restart"]) != ("a", 3)]
    (section,) = arrange(entries)
    assert [curve["strategy"] for curve in areas(section)] == ["none"]
