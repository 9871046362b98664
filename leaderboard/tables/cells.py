"""One task at one share of the training data: a row per strategy, what is missing in it, and what may be compared.

Strategies are compared on the same units: a unit is one restart with its split, dev set and seeds. A cell expects every
unit that any of its strategies has, and restarts 0..n-1 without gaps; a row that lacks one is shown, marked and not
ranked. A row that was planned with fewer restarts than others is whole with those: it stands beside the ranking, and is
compared with the baseline on the restarts that both have.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from leaderboard.records.plan import expected
from leaderboard.records.schema import ERRORS, RESULTS
from leaderboard.render.text import ranges
from leaderboard.stats import aggregates as statistics
from leaderboard.stats import comparison, resampling
from leaderboard.stats.comparison import Comparison, Scores, Sides
from leaderboard.tables.trials import Line, grouped, short


def is_synthetic(task: str) -> bool:
    """Return whether a task is one of the embedded ones, which must never be taken for GLUE."""
    return task.startswith("pocket-")


@dataclass(frozen=True)
class Row:
    """One strategy in one cell; scores are fractions, undefined numbers are NaN.

    expected = restarts (with a result) + missing (no record) + errors + skipped; `cell_restarts` is what is expected of
    a row unless its plan says less. mean_low and mean_high bound the mean (bootstrap), failure_low and failure_high the
    failure rate (Wilson). relative_seconds is over the restarts that the baseline has too. `trials` are its lines in
    the order of restarts, `comparison` how it stands to the baseline (None for the baseline and where one of the two is
    not complete), `tier` its place among strategies that cannot be told apart (None where that was not tested).
    """

    strategy: str
    restarts: int
    expected: int
    cell_restarts: int
    missing: int
    errors: int
    skipped: int
    mean: float
    std: float
    max: float
    mean_low: float
    mean_high: float
    iqm: float
    expected_max: tuple[float, ...]
    failed: int
    failed_plain: int
    failure_low: float
    failure_high: float
    mean_not_failed: float
    imputed: int
    seconds: float
    relative_seconds: float
    peak_memory: float
    notes: tuple[str, ...] = field(default=())
    trials: tuple[Line, ...] = field(default=(), repr=False)
    comparison: Comparison | None = None
    tier: int | None = None

    @property
    def complete(self) -> bool:
        """Whether the row has a result for every restart that is expected of it."""
        return self.restarts == self.expected > 0

    @property
    def short(self) -> bool:
        """Whether the row was planned with fewer restarts than others of its cell."""
        return self.expected < self.cell_restarts

    @property
    def ranked(self) -> bool:
        """Whether the row has a result for every restart of its cell."""
        return self.complete and not self.short

    @property
    def scores(self) -> Scores:
        """The score of each trial, NaN where it has none."""
        return np.array([line["score"] for line in self.trials], dtype=np.float64)

    @property
    def failure_rate(self) -> float:
        """Failed runs as a share of the restarts with a result."""
        return self.failed / self.restarts if self.restarts else math.nan


@dataclass(frozen=True)
class Cell:
    """One task (with its metric and dev set) at one fraction.

    Rows stand by tier and falling mean, then complete ones with fewer restarts, then the others.
    """

    task: str
    metric: str
    data: str
    fraction: float
    rows: tuple[Row, ...]

    @property
    def ranked(self) -> tuple[Row, ...]:
        """The rows that may be ranked."""
        return tuple(row for row in self.rows if row.ranked)

    def row(self, strategy: str | None) -> Row | None:
        """Return the row of a strategy, None if the cell has none."""
        return next((row for row in self.rows if row.strategy == strategy), None)


@dataclass(frozen=True)
class Unit:
    """What strategies of a cell are compared on: a restart, and how it is called in sentences."""

    restart: int
    name: str


Units = dict[str, Unit]


def _units(lines: Iterable[Line]) -> Units:
    """Name each unit by its restart, and by more where one restart number stands for several units."""
    fields = {line["unit"]: (line["restart"], line["split_seed"]) for line in lines}
    restarts, pairs = Counter(restart for restart, _ in fields.values()), Counter(fields.values())
    units = {}
    for unit, (restart, split_seed) in fields.items():
        name = str(restart) if restarts[restart] == 1 else f"{restart} with split seed {split_seed}"
        full = name if pairs[restart, split_seed] == 1 else f"{name} (data or seeds {short(unit)})"
        units[unit] = Unit(restart, full)
    gaps = set(range(max(restarts))) - restarts.keys()
    return units | {f"gap {restart}": Unit(restart, str(restart)) for restart in gaps}


def _wanted(lines: list[Line], units: Units) -> Units:
    """Return the units that a strategy was planned with: all of the cell, where no plan says less."""
    all_of_cell = 1 + max(unit.restart for unit in units.values())
    most = expected((line["planned"] for line in lines), (line["restart"] for line in lines), all_of_cell)
    return {key: unit for key, unit in units.items() if unit.restart < most}


def _join(names: Iterable[str]) -> str:
    listed = list(names)
    numbers = [int(name) for name in listed if name.isdecimal()]
    others = sorted(name for name in listed if not name.isdecimal())
    text = "; ".join(([ranges(numbers)] if numbers else []) + others)
    return f"restart{'s' if len(listed) > 1 else ''} {text}"


def _notes(lines: list[Line], units: Units) -> tuple[str, ...]:
    """Say in one sentence each what is missing, skipped, ended in an error or was imputed."""
    groups: dict[tuple[int, str], list[str]] = {}
    for unit in units.keys() - {line["unit"] for line in lines}:
        groups.setdefault((0, "no record: not ranked"), []).append(units[unit].name)
    for line in lines:
        if line["status"] not in RESULTS:
            text = f"{line['status']}{': ' if line['reason'] else ''}{line['reason']}"
            groups.setdefault((1, text), []).append(units[line["unit"]].name)
        elif line["imputed"]:
            text = "training diverged, the floor counts as score (imputed)"
            groups.setdefault((2, text), []).append(units[line["unit"]].name)
    return tuple(f"{_join(where)}: {text}" for (_, text), where in sorted(groups.items()))


def _row(strategy: str, lines: list[Line], units: Units) -> Row:
    wanted = _wanted(lines, units)
    done = [line for line in lines if line["status"] in RESULTS]
    scores, failures = [line["score"] for line in done], [line["failed"] for line in done]
    low, high = statistics.wilson(sum(failures), len(done))
    mean_low, mean_high = resampling.interval(scores, [line["split"] for line in done])
    return Row(
        strategy=strategy,
        restarts=len(done),
        expected=len(wanted),
        cell_restarts=len(units),
        missing=len(wanted) - len(lines),
        errors=sum(line["status"] in ERRORS for line in lines),
        skipped=sum(line["status"] == "skipped" for line in lines),
        mean=statistics.mean(scores),
        std=statistics.std(scores),
        max=statistics.maximum(scores),
        mean_low=mean_low,
        mean_high=mean_high,
        iqm=statistics.iqm(scores),
        expected_max=tuple(statistics.expected_max(scores)),
        failed=sum(failures),
        failed_plain=sum(line["failed_plain"] for line in done),
        failure_low=low,
        failure_high=high,
        mean_not_failed=statistics.mean_not_failed(scores, failures),
        imputed=sum(line["imputed"] for line in done),
        seconds=statistics.mean([line["seconds"] for line in done]),
        relative_seconds=math.nan,
        peak_memory=statistics.maximum([line["peak_memory"] for line in done]),
        notes=_notes(lines, wanted),
        trials=tuple(lines),
    )


Pairs = list[tuple[Line, Line]]


def shared(row: Row, other: Row) -> Pairs:
    """Return the trials of two rows on the restarts that both have a result of, in order."""
    others = {line["unit"]: line for line in other.trials if line["status"] in RESULTS}
    return [(line, others[line["unit"]]) for line in row.trials if line["status"] in RESULTS and line["unit"] in others]


def compare_rows(row: Row, base: Row) -> Comparison | None:
    """Return how a row stands to another, where both are complete, on the restarts that both have."""
    return _comparisons([row], base)[0]


def _comparisons(rows: list[Row], base: Row) -> list[Comparison | None]:
    """Return how each row stands to `base`; None for itself and where the two are not complete or share no restart."""
    sides = [_sides(row, base) for row in rows]
    made = iter(comparison.compare_all([pair for pair in sides if pair is not None]))
    return [None if pair is None else next(made) for pair in sides]


def _sides(row: Row, base: Row) -> Sides | None:
    pairs = shared(row, base) if row is not base and row.complete and base.complete else []
    if not pairs:
        return None
    scores, other_scores = (np.array([pair[side]["score"] for pair in pairs]) for side in (0, 1))
    failed, other_failed = ([pair[side]["failed"] for pair in pairs] for side in (0, 1))
    return Sides(scores, other_scores, [line["split"] for line, _ in pairs], failed, other_failed)


def _against(rows: list[Row], base: Row) -> list[Row]:
    """Return the rows with their comparisons and their costs beside the baseline's."""
    made = _comparisons(rows, base)
    return [
        replace(row, relative_seconds=_cost(row, base), comparison=found) for row, found in zip(rows, made, strict=True)
    ]


def _cost(row: Row, base: Row) -> float:
    """Return the row's seconds in those of the baseline, on the restarts that both have."""
    pairs = shared(row, base)
    cost = sum(line["seconds"] for _, line in pairs)
    return sum(line["seconds"] for line, _ in pairs) / cost if cost > 0 else math.nan


def _with_tiers(rows: list[Row]) -> list[Row]:
    """Return the rows in order: by tier where there are tiers, then by mean; those that are not ranked last."""

    def place(row: Row) -> tuple[bool, bool, float, str]:
        return not row.ranked, not row.complete, -row.mean if row.restarts else math.inf, row.strategy

    rows = sorted(rows, key=place)
    ranked = [row for row in rows if row.ranked]
    scores = [row.scores for row in ranked]
    tiers = comparison.tiers_of(scores, comparison.told_apart(scores))
    if tiers is not None:
        ranked = [replace(row, tier=tier) for row, tier in zip(ranked, tiers, strict=True)]
        ranked.sort(key=lambda row: row.tier or 0)
    return ranked + [row for row in rows if not row.ranked]


def make_cell(key: tuple[str, str, str, float], lines: list[Line], baseline: str | None) -> Cell:
    """Return the cell of (task, metric, data, fraction) from the trials that belong there."""
    units = _units(lines)
    lines = sorted(lines, key=lambda line: (line["restart"], line["split_seed"], line["unit"]))
    rows = [_row(strategy, group, units) for strategy, group in grouped(lines, "strategy")]
    base = next((row for row in rows if row.strategy == baseline), None)
    rows = rows if base is None else _against(rows, base)
    task, metric, data, fraction = key
    return Cell(task, metric, data, fraction, tuple(_with_tiers(rows)))


def with_corrections(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    """Return the cells with every comparison corrected for all that are made in them."""
    cells = tuple(cells)
    made = [row.comparison for cell in cells for row in cell.rows if row.comparison is not None]
    found = iter(comparison.corrected(made))
    return tuple(
        replace(cell, rows=tuple(replace(row, comparison=next(found)) if row.comparison else row for row in cell.rows))
        for cell in cells
    )
