"""One task at one share of the training data: a row per strategy, and what may be compared.

Strategies are compared on the same restarts. A cell expects every restart (with its split, dev set and seeds) that any
of its strategies has, and numbers 0..n-1 without gaps; a row that lacks one is shown, marked and not ranked. A row that
was planned with fewer restarts than others is complete with those: it is not ranked either, and is compared with the
others on the restarts that both have. Strategies with the same predictions are ranked as one. A task that no run
learned has no ranking and no comparison.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboard.render.text import percent
from leaderboard.stats import aggregates, comparison, significance
from leaderboard.stats.comparison import Comparison, Sides
from leaderboard.stats.ranking import tiers
from leaderboard.stats.rounding import rounded
from leaderboard.tables.rows import FITTED, Row, make_row, named_restarts
from leaderboard.tables.trials import TrialRow, grouped

AGREEMENT = 0.995  # share of a dev set's predictions
CLOSE = 0.005  # how near two predictions of a number are to agree, as a share of the range of all predictions
TASK = ("task", "metric", "data")  # what the cells of one task have in common
PLACE = (*TASK, "fraction", "size")


Pairs = dict[tuple[int, int], Comparison]  # of two rows, by their index: how the first compares with the second


@dataclass(frozen=True)
class Cell:
    """One task (with its metric and dev set) at one fraction of the training data, or at one size.

    Rows stand by falling mean, then complete ones with fewer restarts, then the others, then those with the predictions
    of another row. pairs: Holm is over all of them.
    """

    task: str
    metric: str
    data: str
    fraction: float
    size: str
    rows: tuple[Row, ...]
    pairs: Pairs = field(default_factory=dict, repr=False)

    @property
    def key(self) -> tuple[str, str, str, float, str]:
        """What the cell is of."""
        return self.task, self.metric, self.data, self.fraction, self.size

    @property
    def amount(self) -> str:
        """How much of the training data is used, in words."""
        return self.size or percent(self.fraction)

    @property
    def ranked(self) -> tuple[Row, ...]:
        """The rows that may be ranked; none where no strategy learned the task."""
        return tuple(row for row in self.rows if row.ranked) if self.learned else ()

    @property
    def best(self) -> tuple[Row, ...]:
        """The ranked rows with the highest mean."""
        top = max((row.mean for row in self.ranked), default=math.nan)
        return tuple(row for row in self.ranked if row.mean == top)

    @property
    def runs(self) -> int:
        """Runs with a result."""
        return sum(row.restarts for row in self.rows)

    @property
    def learned(self) -> bool:
        """Whether a run did not fail, or there is none."""
        return not self.runs or any(row.failed < row.restarts for row in self.rows)

    @property
    def undertrained(self) -> bool:
        """Whether the cell ranks how fast strategies train: `none` is not fitted, or tuned to the most steps there are.

        That is: fewer than half of the runs of `none` that know it are fitted; of tuned ones, most are chosen at the
        largest number of steps (or epochs) of any configuration, where there are several numbers.
        """
        row = self.row("none")
        trials = [trial for trial in row.trials if trial.has_result] if row else []
        steps = [length(trial) for trial in trials if trial.configurations]
        if len(every := lengths(trials)) > 1:
            return 2 * steps.count(max(every)) > len(steps)
        return few_fitted(trials)

    @property
    def tested(self) -> list[Comparison]:
        """The comparisons with the baseline that were tested."""
        return [row.comparison for row in self.rows if row.comparison is not None and not row.comparison.too_few]

    @property
    def detectable(self) -> float:
        """The true difference that a test against the baseline finds with a power of 80 %, at the typical spread.

        NaN where they find none.
        """
        if not self.tested:
            return math.nan
        spread, units = zip(*((found.spread**2, found.units) for found in self.tested), strict=True)
        typical = math.sqrt(aggregates.mean(spread))
        return rounded(significance.detectable_difference(typical, min(units), len(units)))

    def row(self, strategy: str | None) -> Row | None:
        """Return the row of a strategy, None if the cell has none."""
        return next((row for row in self.rows if row.strategy == strategy), None)


def few_fitted(trials: Iterable[TrialRow]) -> bool:
    """Whether fewer than half of the trials that know it fit the examples they are trained on."""
    known = [trial.fit >= FITTED for trial in trials if not math.isnan(trial.fit)]
    return 2 * sum(known) < len(known)


def length(trial: TrialRow) -> float:
    """Return how long a configuration trains, in steps or else in epochs; 0 where neither is searched."""
    return float(trial.config.get("steps", trial.config.get("epochs", 0)))


def lengths(trials: Iterable[TrialRow]) -> set[float]:
    """Return how long the configurations train that these trials were chosen from."""
    return {length(one) for trial in trials for one in trial.configurations}


def common(row: Row, other: Row) -> list[tuple[TrialRow, TrialRow]]:
    """Return the trials of two rows on the restarts that both have a result of, in order."""
    others = {trial.key: trial for trial in other.trials if trial.has_result}
    return [(trial, others[trial.key]) for trial in row.trials if trial.has_result and trial.key in others]


def duplicates(rows: Sequence[Row]) -> dict[str, str]:
    """Return the strategies that are one run under another name, each with the first one of these predictions."""
    reach = _reach([trial for row in rows for trial in row.trials])
    found: dict[str, str] = {}
    for at, row in enumerate(rows):
        known = [one for one in rows[:at] if one.strategy not in found and len(one.trials) >= len(row.trials)]
        earlier = next((one.strategy for one in known if _same_predictions(row, one, reach)), None)
        if earlier is not None:
            found[row.strategy] = earlier
    return found


def _reach(trials: Sequence[TrialRow]) -> float:
    """Return up to which difference two predictions agree: 0 for class ids; for numbers a share of their range.

    The range of the predictions stands for that of the labels.
    """
    numbers = [trial.predictions for trial in trials if trial.predictions.dtype.kind == "f" and len(trial.predictions)]
    if not numbers:
        return 0.0
    return CLOSE * (max(float(values.max()) for values in numbers) - min(float(values.min()) for values in numbers))


def _same_predictions(row: Row, other: Row, reach: float) -> bool:
    """Return whether the predictions of every common restart agree; restarts that both collapsed in do not count."""
    counted = [(one, two) for one, two in common(row, other) if not (one.collapsed and two.collapsed)]
    return bool(counted) and all(_agree(one.predictions, two.predictions, reach) for one, two in counted)


def _agree(one: NDArray[Any], two: NDArray[Any], reach: float) -> bool:
    return 0 < len(one) == len(two) and bool((np.abs(one - two) <= reach).mean() >= AGREEMENT)


def unit_over_cells(cells: Iterable[Sequence[tuple[TrialRow, TrialRow]]]) -> str:
    """Return the field of a trial that names its unit in all cells, whose restarts share their seeds.

    It is the restart; the split seed, where restarts share a split in any cell.
    """
    alone = all(len({trial.unit for trial, _ in pairs}) == len(pairs) for pairs in cells)
    return "restart" if alone else "split_seed"


def sides(row: Row, other: Row, unit: str = "unit") -> Sides:
    """Return the scores of two rows on their common restarts, and the units (a trial's field) that these belong to."""
    pairs = common(row, other)
    scores = np.array([[trial.score for trial in pair] for pair in pairs], dtype=np.float64).reshape(-1, 2)
    return Sides(scores[:, 0], scores[:, 1], tuple(str(getattr(trial, unit)) for trial, _ in pairs))


def compare_rows(row: Row, other: Row) -> Comparison | None:
    """Return how a row compares with another, None unless both are complete and share a restart."""
    both = sides(row, other) if row.complete and other.complete else None
    return comparison.compare_all([both])[0] if both and both.units else None


def _pairs(rows: Sequence[Row]) -> Pairs:
    """Compare all rows that are complete, and not another's under a second name."""
    compared = [at for at, row in enumerate(rows) if row.complete and row.same_as is None and not row.is_floor]
    found = {(a, b): both for a, b in combinations(compared, 2) if (both := sides(rows[a], rows[b])).units}
    made = comparison.corrected(comparison.compare_all(list(found.values())))
    return dict(zip(found, made, strict=True))


def _against(rows: list[Row], pairs: Pairs, base: int) -> list[Row]:
    """Return the rows with their comparisons to the baseline, corrected over these, and their relative cost."""
    made = {a: found for (a, b), found in pairs.items() if b == base}
    made |= {b: found.reversed() for (a, b), found in pairs.items() if a == base}
    with_failures = [replace(found, failures_p=_failures_p(rows[at], rows[base])) for at, found in made.items()]
    final = dict(zip(made, comparison.corrected(with_failures), strict=True))
    return [
        replace(row, relative_seconds=relative_seconds(common(row, rows[base])), comparison=final.get(at))
        for at, row in enumerate(rows)
    ]


def _failures_p(row: Row, base: Row) -> float:
    both = common(row, base)
    failed, others = ([pair[side].failed for pair in both] for side in (0, 1))
    return comparison.failures_p(failed, others, [trial.unit for trial, _ in both])


def relative_seconds(pairs: Iterable[tuple[TrialRow, TrialRow]]) -> float:
    """Return the median of the seconds of a trial in those of the other: one that was held up does not move it."""
    ratios = [trial.seconds / other.seconds for trial, other in pairs if other.seconds > 0]
    return median(ratios) if ratios else math.nan


def _tiers(rows: Sequence[Row], pairs: Pairs) -> list[int | None]:
    """Return the tier of each row, None where it has none; the ranked rows stand first, by falling mean."""
    count = sum(row.ranked for row in rows)
    nothing: list[int | None] = [None] * len(rows)
    tested = {pair: one for pair, one in pairs.items() if not one.too_few}
    found = {(a, b): tested[a, b] for a, b in combinations(range(count), 2) if (a, b) in tested}
    if not found or not significance.attainable(len(tested), min(one.units for one in found.values())):
        return nothing
    order = tiers(count, lambda item, leader: found[leader, item].significant and found[leader, item].difference > 0)
    return [*order, *nothing[count:]]


def _place(row: Row) -> tuple[bool, bool, bool, float, str]:
    unranked = -row.mean if row.restarts else math.inf
    return row.same_as is not None, not row.ranked, not row.complete, unranked, row.strategy


def _known(row: Row, baseline: str | None) -> tuple[bool, int, bool, int, str]:
    """Sort rows so that of several with the same predictions the best known comes first."""
    return row.strategy != baseline, -row.restarts, row.strategy != "none", len(row.strategy), row.strategy


def make_cell(key: tuple[str, str, str, float, str], trials: list[TrialRow], baseline: str | None) -> Cell:
    """Return the cell of (task, metric, data, fraction, size) from the trials that belong there."""
    restarts = named_restarts(trials)
    trials = sorted(trials, key=lambda trial: (trial.restart, trial.split_seed, trial.key))
    rows = [make_row(strategy, group, restarts) for strategy, group in grouped(trials, "strategy")]
    cell = Cell(*key, rows=tuple(sorted(rows, key=_place)))
    return _compared(cell, baseline) if cell.learned else cell


def _compared(cell: Cell, baseline: str | None) -> Cell:
    trained = [row for row in cell.rows if row.complete and not row.is_floor]
    known = sorted(trained, key=lambda row: _known(row, baseline))
    repeated = duplicates(known)
    rows = sorted((replace(row, same_as=repeated.get(row.strategy)) for row in cell.rows), key=_place)
    pairs = _pairs(rows)
    base = next((at for at, row in enumerate(rows) if row.strategy == baseline), None)
    rows = rows if base is None else _against(rows, pairs, base)
    rows = [replace(row, tier=tier) for row, tier in zip(rows, _tiers(rows, pairs), strict=True)]
    return replace(cell, rows=tuple(rows), pairs=pairs)
