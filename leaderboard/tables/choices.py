"""From the trials of tuned families to one row per family and restart: what each rule for choosing comes to.

The trials of a family in one restart are its *configurations*. `default` is the one that trained draw 0 on all labelled
examples; `holdout` chooses by the holdout score of all configurations; `ensemble` averages the best of these, where
the labels of dev are known; `oracle` chooses by dev itself, which nobody can do. A row carries its configurations, so
that other budgets can be looked at afterwards.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from leaderboard.stats import aggregates, choosing
from leaderboard.stats.rounding import rounded
from leaderboard.tables.cells import compare_rows
from leaderboard.tables.ensembles import ensemble
from leaderboard.tables.rows import Row
from leaderboard.tables.trials import TrialRow, grouped

PLACE = ("model", "weights", "protocol", "task", "metric", "data", "fraction", "size")


def choose(trials: Iterable[TrialRow]) -> list[TrialRow]:
    """Return the trials of the tables: of each family and restart one by each rule, all others as they are.

    A restart counts once every configuration up to the largest of its cell has ended; seconds and passes of a chosen
    one are those of all that it was chosen from.
    """
    listed = list(trials)
    found = [trial for trial in listed if trial.rule != "holdout"]
    for _, cell in grouped((trial for trial in listed if trial.rule == "holdout"), *PLACE):
        budget = 1 + max(trial.draw for trial in cell)
        for _, configurations in grouped(cell, "strategy", "key"):
            found += _chosen(sorted(configurations, key=lambda trial: trial.draw), budget)
    return found


def _chosen(configurations: Sequence[TrialRow], budget: int) -> list[TrialRow]:
    """Return what the rules choose from the configurations of one restart; nothing while one has no record."""
    if [trial.draw for trial in configurations] != list(range(budget)):
        return []
    broken = [trial for trial in configurations if not trial.has_result]
    if broken:
        first = replace(broken[0], reason=f"configuration {broken[0].draw}: {broken[0].reason}", budget=budget)
        rules = ("holdout", "oracle", *(["ensemble"] if len(first.labels) and budget > 1 else []))
        return [replace(first, rule=rule) for rule in rules]
    scores = [trial.score for trial in configurations]
    found = {
        "holdout": configurations[choosing.chosen(_held(configurations))],
        "ensemble": ensemble(configurations),
        "oracle": configurations[choosing.chosen(scores)],
    }
    return [
        replace(
            trial,
            rule=rule,
            budget=budget,
            seconds=sum(trial.seconds for trial in configurations),
            passes=sum(trial.passes for trial in configurations),
            configurations=tuple(configurations),
        )
        for rule, trial in found.items()
        if trial is not None
    ]


def _held(configurations: Sequence[TrialRow]) -> list[float]:
    return [trial.held_out for trial in configurations]


@dataclass(frozen=True)
class Choice:
    """How a family was tuned in a cell: means over its restarts.

    curve: expected dev score at budgets 1..B, chosen by holdout; oracle: chosen by dev; agreement: rank correlation of
    holdout and dev over configurations; found_best: share of the restarts in which holdout chose a configuration that
    no other beats on dev; draws: how often each configuration was chosen; default: mean of draw 0 on all examples;
    gain, gain_low, gain_high: how far the tuned row is above that on the same restarts, with its interval (NaN unless
    both are complete); ensemble: mean of the best configurations together.
    """

    strategy: str
    curve: tuple[float, ...]
    oracle: tuple[float, ...]
    agreement: float
    found_best: float
    draws: tuple[int, ...]
    default: float
    gain: float
    gain_low: float
    gain_high: float
    ensemble: float


def choice_of(row: Row, default: Row | None, ensemble: Row | None) -> Choice:
    """Return how the family of a row was tuned; `default` and `ensemble` are its rows by these rules."""
    gain = compare_rows(row, default) if default else None
    done = [trial for trial in row.trials if trial.configurations]
    pairs = [(_held(trial.configurations), [one.score for one in trial.configurations]) for trial in done]
    best = [scores[choosing.chosen(held)] == max(scores) for held, scores in pairs]
    budget = max((len(held) for held, _ in pairs), default=0)
    return Choice(
        strategy=row.strategy,
        curve=_means(choosing.budget_curve(held, scores) for held, scores in pairs),
        oracle=_means(choosing.budget_curve(scores, scores) for _, scores in pairs),
        agreement=rounded(aggregates.mean([choosing.agreement(held, scores) for held, scores in pairs])),
        found_best=rounded(aggregates.mean([float(one) for one in best])),
        draws=tuple(sum(trial.draw == draw for trial in done) for draw in range(budget)),
        default=default.mean if default else math.nan,
        gain=gain.difference if gain else math.nan,
        gain_low=gain.low if gain else math.nan,
        gain_high=gain.high if gain else math.nan,
        ensemble=ensemble.mean if ensemble else math.nan,
    )


def _means(curves: Iterable[list[float]]) -> tuple[float, ...]:
    table = np.array(list(curves))
    return tuple(rounded(aggregates.mean(column)) for column in table.T)
