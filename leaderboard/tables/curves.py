"""Paucity curves: the area under the mean score over the log of the share of the training data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leaderboard.stats import aggregates
from leaderboard.stats.intervals import interval
from leaderboard.tables.cells import TASK, Cell, common, unit_over_cells
from leaderboard.tables.rows import Row
from leaderboard.tables.trials import grouped


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


def curves(cells: Sequence[Cell], baseline: str | None) -> tuple[Curve, ...]:
    """Return the area under the paucity curve of every strategy that has all restarts at all fractions of a task."""
    tasks = grouped(cells, *TASK)
    return tuple(curve for key, group in tasks if len(group) > 1 for curve in _curves(key, group, baseline))


def _curves(key: tuple[str, str, str], cells: list[Cell], baseline: str | None) -> list[Curve]:
    fractions = tuple(cell.fraction for cell in cells)
    table = {row.strategy: [other for cell in cells if (other := cell.row(row.strategy))] for row in cells[0].rows}
    table = {name: rows for name, rows in table.items() if len(rows) == len(cells) and all(row.full for row in rows)}
    areas = {name: aggregates.area(fractions, [row.mean for row in rows]) for name, rows in table.items()}
    base, base_area = table.get(baseline or "", []), areas.get(baseline or "", math.nan)
    ordered = sorted(areas.items(), key=lambda item: (-item[1], item[0]))
    return [
        Curve(*key, fractions, name, area, area - base_area, *_bounds(fractions, table[name], base))
        for name, area in ordered
    ]


def _bounds(fractions: tuple[float, ...], rows: list[Row], base: list[Row]) -> tuple[float, float]:
    """Return the bootstrap interval of the difference of two areas, over what each unit adds to it."""
    if not base or rows is base:
        return math.nan, math.nan
    weights = [aggregates.area(fractions, unit) for unit in np.eye(len(fractions))]
    cells = [common(row, other) for row, other in zip(rows, base, strict=True)]
    name = unit_over_cells(cells)
    shares: dict[int, float] = {}
    for weight, pairs in zip(weights, cells, strict=True):
        for trial, other in pairs:
            unit, added = getattr(trial, name), weight * (trial.score - other.score) / len(pairs)
            shares[unit] = shares.get(unit, 0.0) + added
    return interval(np.array(list(shares.values())) * len(shares))
