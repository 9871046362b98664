"""Scores of a task: which of the metrics count for it.

All functions are pure: predictions and labels in, numbers out. Predictions are class ids or, for regression, real
numbers; scores are fractions (correlations in [-1, 1]).
"""

from benchmarks.data.tasks import Task
from fisher.common.errors import InputError
from leaderboard.stats.metrics import METRICS, Values


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
