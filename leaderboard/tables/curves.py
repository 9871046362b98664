"""Paucity curves: the area under the mean score over the log of the share of the training data."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from leaderboard.stats import aggregates
from leaderboard.stats.intervals import interval
from leaderboard.tables.cells import TASK, Cell, common, unit_over_cells
from leaderboard.tables.rows import Row
from leaderboard.tables.trials import grouped


def curves(cells: Sequence[Cell], baseline: str | None) -> list[dict[str, Any]]:
    """Return the area under the paucity curve of every strategy that has all restarts at all fractions of a task.

    Each with its difference to the baseline's and the interval low..high of that, as `leaderboard.json` has them.
    """
    tasks = grouped(cells, *TASK)
    return [curve for key, group in tasks if len(group) > 1 for curve in _curves(key, group, baseline)]


def _curves(key: tuple[str, str, str], cells: list[Cell], baseline: str | None) -> list[dict[str, Any]]:
    fractions = tuple(cell.fraction for cell in cells)
    table = {row.strategy: [other for cell in cells if (other := cell.row(row.strategy))] for row in cells[0].rows}
    table = {name: rows for name, rows in table.items() if len(rows) == len(cells) and all(row.full for row in rows)}
    areas = {name: aggregates.area(fractions, [row.mean for row in rows]) for name, rows in table.items()}
    base, base_area = table.get(baseline or "", []), areas.get(baseline or "", math.nan)
    places = dict(zip(TASK, key, strict=True)) | {"fractions": fractions}
    return [
        {
            **places,
            "strategy": name,
            "area": area,
            "difference": area - base_area,
            **dict(zip(("low", "high"), _bounds(fractions, table[name], base), strict=True)),
        }
        for name, area in sorted(areas.items(), key=lambda item: (-item[1], item[0]))
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
