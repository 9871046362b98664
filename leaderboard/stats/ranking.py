"""Strategies over all cells of a section: mean ranks, the pooled comparison to the baseline, tiers, paucity curves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from leaderboard.render.text import percent
from leaderboard.stats import aggregates as statistics
from leaderboard.stats import comparison, resampling, significance
from leaderboard.stats.comparison import Scores
from leaderboard.stats.significance import MINIMUM
from leaderboard.tables.cells import Cell, Pairs, Row, shared


@dataclass(frozen=True)
class Place:
    """A strategy over all cells of a section.

    difference: the mean over cells of (its mean - the baseline's), a fraction, with the interval low..high; p, p_holm:
    the pooled sign flip of that difference, alone and corrected over strategies; relative_seconds: the ratio of the
    sums over cells of seconds per trial. All are NaN without a complete baseline. tier: as in a cell, over all cells.
    place is None beside the ranking, where the strategy was planned with fewer restarts: mean_rank is NaN, wins is 0,
    and difference and seconds are over the restarts that the baseline has too.
    """

    place: int | None
    strategy: str
    mean_rank: float
    wins: int
    difference: float
    failed: int
    restarts: int
    relative_seconds: float
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    p_holm: float = math.nan
    tier: int | None = None


@dataclass(frozen=True)
class Ranking:
    """Mean ranks of the strategies that have all restarts of all cells, and why the others are not ranked.

    beside: those that were planned with fewer restarts and have them in all cells, by name.
    critical_difference: by how much two mean ranks over cells must differ, with tasks as Nemenyi's blocks, not cells,
    because the fractions of a task are nested; it takes all tasks to have as many fractions. restarts: how many
    different ones the pooled test has. groups: the largest groups of places in which no pair can be told apart, by
    `groups_test`: the pooled sign flip of all pairs, Holm-corrected (`sign flip`), or where there are too few restarts
    the critical difference (`nemenyi`).
    """

    places: tuple[Place, ...]
    unranked: tuple[tuple[str, str], ...]
    beside: tuple[Place, ...] = ()
    tasks: int = 0
    restarts: int = 0
    critical_difference: float = math.nan
    groups: tuple[tuple[str, ...], ...] = ()
    groups_test: str = "nemenyi"


@dataclass(frozen=True)
class Curve:
    """The area under one strategy's paucity curve on one task, and its difference to the baseline's, low..high."""

    task: str
    metric: str
    data: str
    fractions: tuple[float, ...]
    strategy: str
    area: float
    difference: float
    low: float
    high: float


def _why_unranked(strategy: str, cells: tuple[Cell, ...]) -> str | None:
    """Return why a strategy is not ranked, None if it is."""
    rows = [cell.row(strategy) for cell in cells]
    plans = {(row.restarts, row.cell_restarts) for row in rows if row and row.complete}
    if all(row and row.complete and row.short for row in rows) and len(plans) == 1:
        return "{} restarts by plan, the ranked ones {}".format(*plans.pop())
    reasons = []
    for cell, row in zip(cells, rows, strict=True):
        if row is None or not row.ranked:
            got = "no trial" if row is None else f"{row.restarts} of {row.expected} restarts"
            got += f" by plan, others {row.cell_restarts}," if row and row.short else ""
            reasons.append(f"{got} at {cell.task} {percent(cell.fraction)}")
    more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return f"{reasons[0]}{more}" if reasons else None


def rank(cells: tuple[Cell, ...], baseline: str | None) -> Ranking:
    """Rank strategies by their mean rank over cells: in each, 1 for the best mean, ties share the average rank."""
    reasons = {row.strategy: _why_unranked(row.strategy, cells) for cell in cells for row in cell.rows}
    unranked = tuple(sorted((name, why) for name, why in reasons.items() if why is not None))
    names = sorted(name for name, why in reasons.items() if why is None)
    table = {name: [row for cell in cells for row in cell.rows if row.strategy == name] for name in reasons}
    base = table.get(baseline or "", [])
    base = base if len(base) == len(cells) and all(row.complete for row in base) else []
    beside = [
        Place(None, name, math.nan, 0, **_over_cells(table[name], base))
        for name, _ in unranked
        if len(table[name]) == len(cells) and all(row.complete for row in table[name])
    ]
    if not names:
        return Ranking((), unranked, tuple(_compared(beside, table, base)))
    ranks = statistics.mean_ranks([[table[name][i].mean for name in names] for i in range(len(cells))])
    best = [max(table[name][i].mean for name in names) for i in range(len(cells))]
    wins = {name: sum(row.mean == top for row, top in zip(table[name], best, strict=True)) for name in names}
    entries = [
        Place(place, name, mean_rank, wins[name], **_over_cells(table[name], base))
        for place, name, mean_rank in zip(statistics.places(ranks), names, ranks, strict=True)
    ]
    entries.sort(key=lambda entry: (entry.place, entry.strategy))
    tasks = len({(cell.task, cell.metric, cell.data) for cell in cells})
    scores = [per_restart(table[entry.strategy]) for entry in entries]
    apart = comparison.told_apart(scores)
    if tiers := comparison.tiers_of(scores, apart):
        entries = [replace(entry, tier=tier) for entry, tier in zip(entries, tiers, strict=True)]
    compared = _compared([*entries, *beside], table, base)
    critical = significance.critical_difference(len(names), tasks)
    return Ranking(
        places=tuple(compared[: len(entries)]),
        unranked=unranked,
        beside=tuple(compared[len(entries) :]),
        tasks=tasks,
        restarts=len(scores[0]),
        critical_difference=critical,
        groups=_groups(entries, apart, critical),
        groups_test="nemenyi" if apart is None else "sign flip",
    )


def _groups(entries: Sequence[Place], apart: comparison.Apart | None, critical: float) -> tuple[tuple[str, ...], ...]:
    def told(i: int, j: int) -> bool:
        return (i, j) in apart if apart is not None else entries[j].mean_rank - entries[i].mean_rank >= critical

    found = significance.groups(len(entries), told)
    return tuple(tuple(entries[item].strategy for item in group) for group in found)


def _pairs(rows: Sequence[Row], base: Sequence[Row]) -> list[Pairs]:
    """Return in each cell the trials of both on the restarts that both have; nothing without a baseline."""
    return [shared(row, other) for row, other in zip(rows, base, strict=True)] if base else []


def _over_cells(rows: list[Row], base: list[Row]) -> dict[str, Any]:
    pairs = _pairs(rows, base)
    own, cost = (sum(statistics.mean([pair[side]["seconds"] for pair in some]) for some in pairs) for side in (0, 1))
    means = [[statistics.mean([pair[side]["score"] for pair in some]) for some in pairs] for side in (0, 1)]
    return {
        "difference": statistics.mean([mean - other for mean, other in zip(*means, strict=True)]),
        "failed": sum(row.failed for row in rows),
        "restarts": sum(row.restarts for row in rows),
        "relative_seconds": own / cost if cost > 0 else math.nan,
    }


# --- the pooled test --------------------------------------------------------------------------------------------------


def per_restart(rows: Sequence[Row]) -> Scores:
    """Return what each restart adds to the mean of the cells' means: the sum of its scores / (n of the cell * cells).

    Summed over restarts, the difference of two strategies is their mean difference over cells. A restart has the same
    seeds in all cells, so its differences may be related: a sign flip turns all of them together.
    """
    shares: dict[int, list[float]] = {}
    for row in rows:
        for line in row.trials:
            shares.setdefault(line["restart"], []).append(line["score"] / (row.restarts * len(rows)))
    return np.array([math.fsum(shares[restart]) for restart in sorted(shares)])


def _restart_differences(pairs: Sequence[Pairs]) -> Scores:
    """Return what each restart adds to the mean over cells of the differences."""
    shares: dict[int, list[float]] = {}
    for some in pairs:
        for line, other in some:
            shares.setdefault(line["restart"], []).append((line["score"] - other["score"]) / (len(some) * len(pairs)))
    return np.array([math.fsum(shares[restart]) for restart in sorted(shares)])


def _compared(entries: list[Place], table: dict[str, list[Row]], base: list[Row]) -> list[Place]:
    """Add the pooled intervals and p-values, where there is a baseline."""
    entries = list(entries)
    for index, entry in enumerate(entries):
        if base and table[entry.strategy] is not base:
            pairs = _pairs(table[entry.strategy], base)
            differences = _restart_differences(pairs)
            low, high = resampling.interval_of(np.mean(_resampled(pairs), axis=0), len(differences))
            p = resampling.sign_flip(differences) if len(differences) >= MINIMUM else math.nan
            entries[index] = replace(entry, low=low, high=high, p=p)
    adjusted = significance.holm([entry.p for entry in entries])
    return [replace(entry, p_holm=p) for entry, p in zip(entries, adjusted, strict=True)]


def _resampled(pairs: Sequence[Pairs]) -> list[Scores]:
    """Return the bootstrap means of the differences in each cell; equal cells meet equal draws."""
    return [
        resampling.bootstrap_means(
            [line["score"] - other["score"] for line, other in some], [line["split"] for line, _ in some]
        )
        for some in pairs
    ]


# --- paucity curves ---------------------------------------------------------------------------------------------------


def curves(cells: tuple[Cell, ...], baseline: str | None) -> tuple[Curve, ...]:
    """Return the area under the paucity curve of every strategy that is ranked at all fractions of a task."""
    tasks: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in cells:
        tasks.setdefault((cell.task, cell.metric, cell.data), []).append(cell)
    return tuple(
        curve for place, group in tasks.items() if len(group) > 1 for curve in _curves_of(place, group, baseline)
    )


def _curves_of(place: tuple[str, str, str], cells: list[Cell], baseline: str | None) -> list[Curve]:
    fractions = tuple(cell.fraction for cell in cells)
    table = {row.strategy: [other for cell in cells if (other := cell.row(row.strategy))] for row in cells[0].rows}
    table = {name: rows for name, rows in table.items() if len(rows) == len(cells) and all(r.ranked for r in rows)}
    areas = {name: statistics.area(fractions, [row.mean for row in rows]) for name, rows in table.items()}
    base, base_area = table.get(baseline or "", []), areas.get(baseline or "", math.nan)
    ordered = sorted(areas.items(), key=lambda item: (-item[1], item[0]))
    return [
        Curve(*place, fractions, name, area, area - base_area, *_area_bounds(fractions, table[name], base))
        for name, area in ordered
    ]


def _area_bounds(fractions: tuple[float, ...], rows: list[Row], base: list[Row]) -> tuple[float, float]:
    """Return the bootstrap interval of the difference of two areas, at the fewest restarts of a fraction."""
    if not base or rows is base:
        return math.nan, math.nan
    weights = [statistics.area(fractions, unit) for unit in np.eye(len(fractions))]
    resampled = _resampled(_pairs(rows, base))
    shares = [weight * means for weight, means in zip(weights, resampled, strict=True)]
    return resampling.interval_of(np.sum(shares, axis=0), min(row.restarts for row in rows))
