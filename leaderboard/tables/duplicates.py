"""Strategies of a cell that are one run under several names: their predictions agree in every restart."""

from collections.abc import Sequence

import numpy as np

from leaderboard.tables.trials import TrialRow

AGREEMENT = 0.995  # share of a dev set's predictions
CLOSE = 0.005  # how near two predictions of a number are to agree, as a share of the range of all predictions


def same_predictions(trials: Sequence[TrialRow], others: Sequence[TrialRow], reach: float) -> bool:
    """Return whether the predictions of every common restart agree; restarts that both collapsed in do not count.

    reach: up to which difference two numbers agree (0 for classes).
    """
    by_key = {other.key: other for other in others if other.has_result}
    pairs = [(trial, by_key[trial.key]) for trial in trials if trial.has_result and trial.key in by_key]
    counted = [(trial, other) for trial, other in pairs if not (trial.collapsed and other.collapsed)]
    return bool(counted) and all(_agree(trial, other, reach) for trial, other in counted)


def _agree(trial: TrialRow, other: TrialRow, reach: float) -> bool:
    one, two = trial.predictions, other.predictions
    if len(one) != len(two) or not len(one):
        return False
    return bool((np.abs(one - two) <= reach).mean() >= AGREEMENT)


def duplicates(strategies: Sequence[tuple[str, Sequence[TrialRow]]]) -> dict[str, str]:
    """Return the strategies that repeat an earlier one's predictions, each with the first such strategy."""
    reach = _reach([trial for _, trials in strategies for trial in trials])
    found: dict[str, str] = {}
    distinct: list[tuple[str, Sequence[TrialRow]]] = []
    for strategy, trials in strategies:
        known = [(name, others) for name, others in distinct if len(others) >= len(trials)]
        earlier = next((name for name, others in known if same_predictions(trials, others, reach)), None)
        if earlier is None:
            distinct.append((strategy, trials))
        else:
            found[strategy] = earlier
    return found


def _reach(trials: Sequence[TrialRow]) -> float:
    """Return 0 for class ids; for numbers a share of their range, which stands for that of the labels."""
    numbers = [trial.predictions for trial in trials if trial.predictions.dtype.kind == "f" and len(trial.predictions)]
    if not numbers:
        return 0.0
    return CLOSE * (max(float(values.max()) for values in numbers) - min(float(values.min()) for values in numbers))
