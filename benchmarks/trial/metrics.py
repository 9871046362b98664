"""Scores of a task.

All functions are pure: predictions and labels in, numbers out. Predictions are class ids or, for regression, real
numbers; scores are fractions (correlations in [-1, 1]).
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from benchmarks.data.tasks import Task
from fisher.common.errors import InputError

Array = NDArray[Any]
Values = Sequence[int] | Sequence[float] | Array


def accuracy(predictions: Values, labels: Values) -> float:
    """Share of equal class ids."""
    return float(accuracy_score(labels, predictions))


def f1(predictions: Values, labels: Values) -> float:
    """F1 of class 1 of two: 2 TP / (2 TP + FP + FN), 0 when there is nothing to find and nothing found."""
    return float(f1_score(labels, predictions, zero_division=0.0))


def macro_f1(predictions: Values, labels: Values) -> float:
    """Mean of the F1 of every class that is predicted or there."""
    return float(f1_score(labels, predictions, average="macro", zero_division=0.0))


def matthews(predictions: Values, labels: Values) -> float:
    """Matthews correlation of class ids, of two or more classes [Gorodkin 2004]; 0 when undefined."""
    if is_constant(predictions) or is_constant(labels):
        return 0.0
    return float(matthews_corrcoef(labels, predictions))


def pearson(predictions: Values, labels: Values) -> float:
    """Pearson correlation; 0 when undefined (a constant or a non-finite value)."""
    return _correlation(stats.pearsonr, predictions, labels)


def spearman(predictions: Values, labels: Values) -> float:
    """Spearman rank correlation, ties at their mean rank; 0 when undefined (a constant or a non-finite value)."""
    return _correlation(stats.spearmanr, predictions, labels)


METRICS: dict[str, Callable[[Values, Values], float]] = {
    "accuracy": accuracy,
    "f1": f1,
    "macro_f1": macro_f1,
    "matthews": matthews,
    "pearson": pearson,
    "spearman": spearman,
}


def is_constant(values: Values) -> bool:
    """Whether all values are the same, or there is none."""
    return np.unique(np.asarray(values)).size <= 1


def _correlation(function: Callable[..., Any], predictions: Values, labels: Values) -> float:
    x, y = np.asarray(predictions, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if not (np.isfinite(x).all() and np.isfinite(y).all()) or is_constant(x) or is_constant(y):
        return 0.0
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # SciPy warns of nearly constant input; the value is what we report
        value = float(function(x, y).statistic)
    return value if np.isfinite(value) else 0.0


def metric_name(task: Task, metric: str) -> str:
    """The score that `metric` ("primary", "combined" or one of the task's own) stands for.

    Raises InputError when the task has no such score.
    """
    own = (task.primary, *task.secondary)
    if metric == "primary":
        return task.primary
    if metric != "combined" and metric not in own:
        raise InputError(f"{task.name}: metric must be primary, combined or one of {', '.join(own)}, got {metric!r}.")
    return metric


def fit_measure(task: Task) -> str:
    """The score on the examples fitted on by which a run counts as fitted, whatever the task's primary score is."""
    return "spearman" if task.labels is None else "accuracy"


def scores(task: Task, predictions: Values, labels: Values) -> dict[str, float]:
    """The task's scores by name: primary first, then secondary, then `combined`, their mean.

    MNLI's two sections are two dev sets and are scored one at a time. Raises InputError unless there are as many
    predictions as labels and at least one.
    """
    if len(predictions) != len(labels) or len(labels) == 0:
        raise InputError(
            f"{task.name}: predictions and labels must be equally many and not none, "
            f"got {len(predictions)} and {len(labels)}."
        )
    values = {name: METRICS[name](predictions, labels) for name in (task.primary, *task.secondary)}
    return values | {"combined": sum(values.values()) / len(values)}
