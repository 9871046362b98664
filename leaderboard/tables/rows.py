"""A strategy's row in a cell: its numbers over restarts, and what is missing in it."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from leaderboard.records.plan import expected
from leaderboard.records.schema import ERRORS
from leaderboard.render.text import ranges
from leaderboard.stats import aggregates
from leaderboard.stats.comparison import Comparison, Scores
from leaderboard.stats.intervals import interval, wilson
from leaderboard.stats.rounding import rounded
from leaderboard.tables.trials import TrialRow, short

FITTED = 0.95  # accuracy on the examples fitted on (of a regression Spearman) from which a run counts as fitted
MEANS = ("fit", "gap", "ece", "brier", "nll", "passes", "forgetting")


@dataclass(frozen=True)
class Row:
    """One strategy in one cell; scores are fractions, undefined numbers are NaN.

    expected = restarts (with a result) + missing (no record) + errors + skipped; `cell_restarts` is what is expected of
    a row unless its plan says less; `units` how many of the restarts are independent. mean_low and mean_high bound the
    mean (bootstrap), failure_low and failure_high the failure rate (Wilson). seconds is a median over trials,
    relative_seconds that of their ratios to the baseline on the restarts of both. fit, gap, ece, brier, nll, passes and
    forgetting are means over the restarts that know them, fitted counts those with a fit of at least FITTED. `trials`
    stand in the order of restarts. `same_as` is the strategy whose predictions these are;
    `comparison` how the row compares with the baseline (None for the baseline and where one of the two is not
    compared); `tier` groups strategies that do not differ significantly from the best of the tier (None: not tested).
    """

    strategy: str
    restarts: int
    units: int
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
    fit: float
    fitted: int
    gap: float
    ece: float
    brier: float
    nll: float
    passes: float
    forgetting: float
    notes: tuple[str, ...] = field(default=())
    trials: tuple[TrialRow, ...] = field(default=(), repr=False)
    same_as: str | None = None
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
    def full(self) -> bool:
        """Whether the row has a result for every restart of its cell."""
        return self.complete and not self.short

    @property
    def ranked(self) -> bool:
        """Whether the row has a rank of its own: every restart, and predictions that no better-known row has."""
        return self.full and self.same_as is None and not self.is_floor

    @property
    def is_floor(self) -> bool:
        """Whether nothing was trained: such a row is shown, and has no part in ranks and tests."""
        return any(trial.is_floor for trial in self.trials)

    @property
    def scores(self) -> Scores:
        """The score of each trial, NaN where it has none."""
        return np.array([trial.score for trial in self.trials], dtype=np.float64)

    @property
    def failure_rate(self) -> float:
        """Failed runs as a share of the restarts with a result."""
        return self.failed / self.restarts if self.restarts else math.nan


class Restart(NamedTuple):
    """A restart that strategies of a cell share, and how it is called in sentences."""

    number: int
    name: str


Restarts = dict[str, Restart]


def named_restarts(trials: Iterable[TrialRow]) -> Restarts:
    """Name each restart by its number, and by more where one number stands for several."""
    fields = {trial.key: (trial.restart, trial.split_seed) for trial in trials}
    numbers, pairs = Counter(number for number, _ in fields.values()), Counter(fields.values())
    named = {}
    for key, (number, split_seed) in fields.items():
        name = str(number) if numbers[number] == 1 else f"{number} with split seed {split_seed}"
        full = name if pairs[number, split_seed] == 1 else f"{name} (data or seeds {short(key)})"
        named[key] = Restart(number, full)
    gaps = set(range(max(numbers))) - numbers.keys()
    return named | {f"gap {number}": Restart(number, str(number)) for number in gaps}


def _wanted(trials: list[TrialRow], restarts: Restarts) -> Restarts:
    """Return the restarts that a strategy was planned with: all of the cell, where no plan says less."""
    all_of_cell = 1 + max(restart.number for restart in restarts.values())
    most = expected((trial.planned for trial in trials), (trial.restart for trial in trials), all_of_cell)
    return {key: restart for key, restart in restarts.items() if restart.number < most}


def _join(names: Iterable[str]) -> str:
    listed = list(names)
    numbers = [int(name) for name in listed if name.isdecimal()]
    others = sorted(name for name in listed if not name.isdecimal())
    text = "; ".join(([ranges(numbers)] if numbers else []) + others)
    return f"restart{'s' if len(listed) > 1 else ''} {text}"


def _notes(trials: list[TrialRow], restarts: Restarts) -> tuple[str, ...]:
    """Say in one sentence each what is missing, skipped, ended in an error or was imputed."""
    groups: dict[tuple[int, str], list[str]] = {}
    for key in restarts.keys() - {trial.key for trial in trials}:
        groups.setdefault((0, "no record: not ranked"), []).append(restarts[key].name)
    for trial in trials:
        if not trial.has_result:
            text = f"{trial.status}{': ' if trial.reason else ''}{trial.reason}"
            groups.setdefault((1, text), []).append(restarts[trial.key].name)
        elif trial.imputed:
            text = "training diverged, the floor counts as score (imputed)"
            groups.setdefault((2, text), []).append(restarts[trial.key].name)
    return tuple(f"{_join(where)}: {text}" for (_, text), where in sorted(groups.items()))


def make_row(strategy: str, trials: list[TrialRow], restarts: Restarts) -> Row:
    """Return the row of a strategy from its trials in a cell with these restarts."""
    wanted = _wanted(trials, restarts)
    done = [trial for trial in trials if trial.has_result]
    scores, failures = [trial.score for trial in done], [trial.failed for trial in done]
    units = [trial.unit for trial in done]
    low, high = wilson(sum(failures), len(done), len(set(units)))
    mean_low, mean_high = interval(scores, units)
    means: dict[str, Any] = {name: rounded(aggregates.mean([getattr(one, name) for one in done])) for name in MEANS}
    return Row(
        strategy=strategy,
        restarts=len(done),
        units=len(set(units)),
        expected=len(wanted),
        cell_restarts=len(restarts),
        missing=len(wanted) - len(trials),
        errors=sum(trial.status in ERRORS for trial in trials),
        skipped=sum(trial.status == "skipped" for trial in trials),
        mean=aggregates.mean(scores),
        std=aggregates.std(scores),
        max=aggregates.maximum(scores),
        mean_low=mean_low,
        mean_high=mean_high,
        iqm=aggregates.iqm(scores),
        expected_max=tuple(aggregates.expected_max(scores)),
        failed=sum(failures),
        failed_plain=sum(trial.failed_plain for trial in done),
        failure_low=low,
        failure_high=high,
        mean_not_failed=aggregates.mean_not_failed(scores, failures),
        imputed=sum(trial.imputed for trial in done),
        seconds=median([trial.seconds for trial in done]) if done else math.nan,
        relative_seconds=math.nan,
        peak_memory=aggregates.maximum([trial.peak_memory for trial in done]),
        fitted=sum(trial.fit >= FITTED for trial in done),
        **means,
        notes=_notes(trials, wanted),
        trials=tuple(trials),
    )
