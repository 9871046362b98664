"""Strategies over all cells of a section: mean ranks, the pooled comparison to the baseline, tiers and groups.

Points of different metrics are never averaged: cells are put together by ranks, and by the probability of improvement.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import rankdata

from leaderboard.stats import ranking, significance
from leaderboard.stats.comparison import Pooled
from leaderboard.stats.comparison import pooled as pool
from leaderboard.stats.intervals import Values, by_unit
from leaderboard.stats.rounding import rounded, rounded_p
from leaderboard.stats.significance import ALPHA
from leaderboard.tables.cells import Cell, common, relative_seconds, sides, unit_over_cells
from leaderboard.tables.names import task_title
from leaderboard.tables.rows import Row

Table = Mapping[str, list[Row]]  # by strategy: its rows, one per cell

NOT_COMPARED = Pooled()
NOT_PLACED: Mapping[str, Any] = {"rank": None, "mean_rank": math.nan, "wins": 0}


@dataclass(frozen=True)
class RankedStrategy:
    """A strategy over all ranked cells of a section.

    rank_low, rank_high: interval of the mean rank, NaN where cells have different units; pooled: how it compares with
    the baseline over all cells, reference: with the ranking's second reference; relative_seconds: its median over
    the restarts of all cells. All are NaN for the baseline, and without a complete one. tier: as in a cell, over
    all cells. same: strategies with its predictions in every cell, which are ranked as this one. rank is None where the
    strategy was planned with fewer restarts: mean_rank is NaN, wins is 0, and comparisons and seconds are over the
    restarts that the baseline has too.
    """

    rank: int | None
    strategy: str
    mean_rank: float
    wins: int
    failed: int
    restarts: int
    relative_seconds: float
    rank_low: float = math.nan
    rank_high: float = math.nan
    same: tuple[str, ...] = ()
    pooled: Pooled = NOT_COMPARED
    reference: Pooled = NOT_COMPARED
    tier: int | None = None


@dataclass(frozen=True)
class Ranking:
    """Mean ranks of the strategies that have all restarts of all cells, and why the others are not ranked.

    cells: how many are ranked: those that some run learned and that are not undertrained. short: strategies that were
    planned with fewer restarts and have them in all cells, by name. critical_difference: by how much two mean ranks
    over cells must differ, with tasks as Nemenyi's blocks, not cells, because the fractions of a task are nested; it
    takes all tasks to have as many fractions. reference: what strategies are compared with besides the baseline
    (Devlin's recipe and `none` are one and the other, where both are complete). units: of the pooled test. groups: the
    largest groups of strategies of which no two differ significantly, by `groups_test`: the pooled sign flip of all
    pairs, Holm-corrected (`sign flip`), or where the units are too few the critical difference (`nemenyi`).
    """

    strategies: tuple[RankedStrategy, ...]
    unranked: tuple[tuple[str, str], ...]
    short: tuple[RankedStrategy, ...] = ()
    cells: int = 0
    tasks: int = 0
    units: int = 0
    critical_difference: float = math.nan
    groups: tuple[tuple[str, ...], ...] = ()
    groups_test: str = "nemenyi"
    reference: str | None = None

    def place(self, entry: RankedStrategy) -> str:
        """Return the rank of a strategy as tables show it: those of one tier tie, and share that of its first."""
        tiers = [other.tier for other in self.strategies]
        if entry.tier is None:
            return "-"
        return f"{1 + tiers.index(entry.tier)}{'=' if tiers.count(entry.tier) > 1 else ''}"


def _why_unranked(strategy: str, cells: Sequence[Cell]) -> str | None:
    """Return why a strategy is not ranked, None if it is."""
    rows = [cell.row(strategy) for cell in cells]
    plans = {(row.restarts, row.cell_restarts) for row in rows if row and row.complete}
    if all(row and row.complete and row.short for row in rows) and len(plans) == 1:
        return "{} restarts by plan, the ranked ones {}".format(*plans.pop())
    reasons = []
    for cell, row in zip(cells, rows, strict=True):
        if row is None or not row.full:
            got = "no trial" if row is None else f"{row.restarts} of {row.expected} restarts"
            got += f" by plan, others {row.cell_restarts}," if row and row.short else ""
            reasons.append(f"{got} at {task_title(cell.task)} {cell.amount}")
    more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return f"{reasons[0]}{more}" if reasons else None


def _same_everywhere(names: Sequence[str], cells: Sequence[Cell]) -> dict[str, str]:
    """Return the strategies that have the predictions of one other in every cell, with that one."""
    others = {name: {row.same_as for cell in cells if (row := cell.row(name))} for name in names}
    return {name: one for name, found in others.items() if len(found) == 1 and (one := next(iter(found))) is not None}


def rank(cells: Sequence[Cell], baseline: str | None, reference: str | None = None) -> Ranking:
    """Rank strategies by their mean rank over cells: in each, 1 for the best mean, ties share a rank.

    Cells that no run learned, and those that rank how fast strategies train, are left out.
    """
    cells = [cell for cell in cells if cell.learned and not cell.undertrained]
    strategies = sorted({row.strategy for cell in cells for row in cell.rows if not row.is_floor})
    repeated = _same_everywhere(strategies, cells)
    table = {name: [row for cell in cells if (row := cell.row(name))] for name in strategies if name not in repeated}
    reasons = {name: why for name in table if (why := _why_unranked(name, cells)) is not None}
    placed = _placed({name: rows for name, rows in table.items() if name not in reasons})
    listed = [*placed, *(name for name in reasons if _complete(table[name], cells))]
    base, second = (_complete(table.get(name or "", []), cells) for name in (baseline, reference))
    pooled, others = _compared(listed, table, base), _compared(listed, table, second)
    tasks = len({(cell.task, cell.metric, cell.data) for cell in cells})
    tiers, pairs = _all_pairs({name: own["mean_rank"] for name, own in placed.items()}, table, tasks)
    entries = [
        RankedStrategy(
            strategy=name,
            **placed.get(name, NOT_PLACED),
            **_totals(table[name], base),
            same=tuple(other for other, one in repeated.items() if one == name),
            pooled=pooled.get(name, NOT_COMPARED),
            reference=others.get(name, NOT_COMPARED),
            tier=tiers.get(name),
        )
        for name in listed
    ]
    return Ranking(
        strategies=tuple(entries[: len(placed)]),
        unranked=tuple(reasons.items()),
        short=tuple(entries[len(placed) :]),
        cells=len(cells),
        tasks=tasks,
        reference=reference if second else None,
        **pairs,
    )


def _complete(rows: list[Row], cells: Sequence[Cell]) -> list[Row]:
    """Return the rows if there is a complete one in every cell, else none."""
    return rows if len(rows) == len(cells) and all(row.complete for row in rows) else []


def _placed(table: Table) -> dict[str, dict[str, Any]]:
    """Return rank, mean rank with its interval, and wins of every strategy, in the order of ranks."""
    if not table:
        return {}
    cells = list(zip(*table.values(), strict=True))
    means = np.array([[row.mean for row in rows] for rows in cells])
    mean_ranks = ranking.mean_ranks(means)
    ranks = rankdata(mean_ranks, method="min")  # ties share the better rank
    wins = (means == means.max(axis=1, keepdims=True)).sum(axis=0)
    lows, highs = _rank_intervals(cells)
    found = {
        name: {
            "rank": int(ranks[at]),
            "mean_rank": rounded(mean_ranks[at]),
            "wins": int(wins[at]),
            "rank_low": rounded(lows[at]),
            "rank_high": rounded(highs[at]),
        }
        for at, name in enumerate(table)
    }
    return dict(sorted(found.items(), key=lambda item: (item[1]["rank"], item[0])))


def _rank_intervals(cells: Sequence[Sequence[Row]]) -> tuple[Values, Values]:
    """Return the intervals of mean ranks, given the ranked rows of every cell; NaN where cells have different units."""
    alone = unit_over_cells([[(trial, trial) for trial in rows[0].trials] for rows in cells])
    units = [[getattr(trial, alone) for trial in rows[0].trials] for rows in cells]
    if any(sorted(own) != sorted(units[0]) for own in units):
        return np.full(len(cells[0]), math.nan), np.full(len(cells[0]), math.nan)
    order = [np.argsort(own, kind="stable") for own in units]
    scores = [np.stack([row.scores for row in rows], axis=1) for rows in cells]
    return ranking.mean_rank_intervals(
        [by_unit(own[at], sorted(names)) for own, at, names in zip(scores, order, units, strict=True)]
    )


def _totals(rows: list[Row], base: list[Row]) -> dict[str, Any]:
    """Return the counts of a strategy over cells, and its seconds in those of the baseline."""
    pairs = [pair for row, other in zip(rows, base, strict=True) for pair in common(row, other)] if base else []
    return {
        "failed": sum(row.failed for row in rows),
        "restarts": sum(row.restarts for row in rows),
        "relative_seconds": relative_seconds(pairs),
    }


# --- the pooled test --------------------------------------------------------------------------------------------------


def _pooled(rows: Sequence[Row], others: Sequence[Row]) -> Pooled:
    """Return the pooled comparison of two strategies.

    A restart has the same seeds in all cells, and is the unit; where restarts share a split in any cell, the split is.
    """
    unit = unit_over_cells(common(row, other) for row, other in zip(rows, others, strict=True))
    return pool([sides(row, other, unit) for row, other in zip(rows, others, strict=True)])


def _compared(names: Iterable[str], table: Table, base: list[Row]) -> dict[str, Pooled]:
    """Return the pooled comparisons of strategies with one, whose rows are `base`, p corrected over them."""
    made = {name: _pooled(table[name], base) for name in names if base and table[name] is not base}
    adjusted = significance.holm([found.p for found in made.values()])
    return {name: replace(found, p_holm=rounded_p(p)) for (name, found), p in zip(made.items(), adjusted, strict=True)}


def _all_pairs(mean_ranks: Mapping[str, float], table: Table, tasks: int) -> tuple[dict[str, int], dict[str, Any]]:
    """Return the tiers of strategies, which stand in order of rank, and what `Ranking` says of the tests of all pairs.

    They are the pooled sign flips of all pairs where there are units enough, else differences of mean ranks.
    """
    names, ranks = list(mean_ranks), list(mean_ranks.values())
    pairs = list(combinations(range(len(names)), 2))
    found = {(i, j): _pooled(table[names[i]], table[names[j]]) for i, j in pairs}
    units = min((one.units for one in found.values()), default=0)
    critical = ranking.critical_difference(len(names), tasks)
    attainable = bool(pairs) and significance.attainable(len(pairs), units)
    p_values = significance.holm([one.p for one in found.values()])
    different = {
        (i, j): p < ALPHA if attainable else ranks[j] - ranks[i] >= critical
        for (i, j), p in zip(pairs, p_values, strict=True)
    }

    def worse(item: int, leader: int) -> bool:
        ahead = found[leader, item].improvement > 0.5 or not attainable
        return different[leader, item] and ahead

    groups = ranking.groups(len(names), lambda i, j: different[i, j])
    return dict(zip(names, ranking.tiers(len(names), worse), strict=True)), {
        "units": units,
        "critical_difference": critical,
        "groups": tuple(tuple(names[item] for item in group) for group in groups),
        "groups_test": "sign flip" if attainable else "nemenyi",
    }
