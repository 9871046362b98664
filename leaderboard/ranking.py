"""Strategies over all cells of a section: mean ranks, the pooled comparison to the baseline, tiers, paucity curves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from leaderboard import comparison, resampling, significance, statistics
from leaderboard.cells import Cell, Row
from leaderboard.comparison import Scores
from leaderboard.significance import MINIMUM
from leaderboard.text import percent


@dataclass(frozen=True)
class Place:
    """A strategy over all cells of a section.

    difference: the mean over cells of (its mean - the baseline's), a fraction, with the interval low..high; p, p_holm:
    the pooled sign flip of that difference, alone and corrected over strategies; relative_seconds: the ratio of the
    sums over cells of seconds per trial. All are NaN without a ranked baseline. tier: as in a cell, over all cells.
    """

    place: int
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
    """Mean ranks of the strategies that are complete in all cells, and why the others are not ranked.

    critical_difference: by how much two mean ranks must differ over this many tasks (ranks averaged over the fractions
    of a task first); restarts: how many different ones the pooled test has.
    """

    places: tuple[Place, ...]
    unranked: tuple[tuple[str, str], ...]
    tasks: int = 0
    restarts: int = 0
    critical_difference: float = math.nan


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
    reasons = []
    for cell in cells:
        row = cell.row(strategy)
        if row is None or not row.complete:
            got = "no trial" if row is None else f"{row.restarts} of {row.expected} restarts"
            reasons.append(f"{got} at {cell.task} {percent(cell.fraction)}")
    more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return f"{reasons[0]}{more}" if reasons else None


def rank(cells: tuple[Cell, ...], baseline: str | None) -> Ranking:
    """Rank strategies by their mean rank over cells: in each, 1 for the best mean, ties share the average rank."""
    reasons = {row.strategy: _why_unranked(row.strategy, cells) for cell in cells for row in cell.rows}
    unranked = tuple(sorted((name, why) for name, why in reasons.items() if why is not None))
    names = sorted(name for name, why in reasons.items() if why is None)
    if not names:
        return Ranking((), unranked)
    table = {name: [row for cell in cells for row in cell.rows if row.strategy == name] for name in names}
    ranks = statistics.mean_ranks([[table[name][i].mean for name in names] for i in range(len(cells))])
    best = [max(table[name][i].mean for name in names) for i in range(len(cells))]
    base = table.get(baseline or "", [])
    entries = [
        Place(place, name, mean_rank, **_over_cells(table[name], base, best))
        for place, name, mean_rank in zip(statistics.places(ranks), names, ranks, strict=True)
    ]
    entries.sort(key=lambda entry: (entry.place, entry.strategy))
    tasks = len({(cell.task, cell.metric, cell.data) for cell in cells})
    return Ranking(
        places=tuple(_pooled(entries, table, base)),
        unranked=unranked,
        tasks=tasks,
        restarts=len(per_restart(table[names[0]])),
        critical_difference=significance.critical_difference(len(names), tasks),
    )


def _over_cells(rows: list[Row], base: list[Row], best: list[float]) -> dict[str, Any]:
    pairs = list(zip(rows, base, strict=bool(base)))
    cost = sum(other.seconds for _, other in pairs)
    return {
        "wins": sum(row.mean == top for row, top in zip(rows, best, strict=True)),
        "difference": statistics.mean([row.mean - other.mean for row, other in pairs]),
        "failed": sum(row.failed for row in rows),
        "restarts": sum(row.restarts for row in rows),
        "relative_seconds": sum(row.seconds for row in rows) / cost if cost > 0 else math.nan,
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


def _pooled(entries: list[Place], table: dict[str, list[Row]], base: list[Row]) -> list[Place]:
    """Add the pooled interval, p-values and tiers to the places."""
    scores = [per_restart(table[entry.strategy]) for entry in entries]
    tiers = comparison.tiers_of(scores, range(len(entries)))
    if tiers is not None:
        entries = [replace(entry, tier=tier) for entry, tier in zip(entries, tiers, strict=True)]
    if not base:
        return entries
    own = per_restart(base)
    for index, entry in enumerate(entries):
        if table[entry.strategy] is not base:
            low, high = _interval(table[entry.strategy], base, len(own))
            p = resampling.sign_flip(scores[index] - own) if len(own) >= MINIMUM else math.nan
            entries[index] = replace(entry, low=low, high=high, p=p)
    adjusted = significance.holm([entry.p for entry in entries])
    return [replace(entry, p_holm=p) for entry, p in zip(entries, adjusted, strict=True)]


def _interval(rows: list[Row], base: list[Row], restarts: int) -> tuple[float, float]:
    """Return the bootstrap interval of the mean over cells of the differences; equal cells meet equal draws."""
    means = _resampled_differences(rows, base)
    return resampling.interval_of(np.mean(means, axis=0), restarts)


def _resampled_differences(rows: list[Row], base: list[Row]) -> list[Scores]:
    """Return the bootstrap means of the differences in each cell."""
    return [
        resampling.bootstrap_means(row.scores - other.scores, [line["split"] for line in row.trials])
        for row, other in zip(rows, base, strict=True)
    ]


# --- paucity curves ---------------------------------------------------------------------------------------------------


def curves(cells: tuple[Cell, ...], baseline: str | None) -> tuple[Curve, ...]:
    """Return the area under the paucity curve of every strategy that is complete at all fractions of a task."""
    tasks: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in cells:
        tasks.setdefault((cell.task, cell.metric, cell.data), []).append(cell)
    return tuple(
        curve for place, group in tasks.items() if len(group) > 1 for curve in _curves_of(place, group, baseline)
    )


def _curves_of(place: tuple[str, str, str], cells: list[Cell], baseline: str | None) -> list[Curve]:
    fractions = tuple(cell.fraction for cell in cells)
    table = {row.strategy: [other for cell in cells if (other := cell.row(row.strategy))] for row in cells[0].rows}
    table = {name: rows for name, rows in table.items() if len(rows) == len(cells) and all(r.complete for r in rows)}
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
    shares = [weight * means for weight, means in zip(weights, _resampled_differences(rows, base), strict=True)]
    return resampling.interval_of(np.sum(shares, axis=0), min(row.restarts for row in rows))
