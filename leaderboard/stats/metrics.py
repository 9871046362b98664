"""The metrics of tasks: predictions and labels in, one number out.

Predictions are class ids or, for regression, real numbers; scores are fractions (correlations in [-1, 1]). The metrics
that need scikit-learn import it: it is slow to load, and loads pandas.
"""

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[Any]
Values = Sequence[int] | Sequence[float] | Array


def accuracy(predictions: Values, labels: Values) -> float:
    """Return the share of equal class ids."""
    return float(np.equal(predictions, labels).mean())


def f1(predictions: Values, labels: Values, *, average: str = "binary") -> float:
    """Return F1 of class 1 of two: 2 TP / (2 TP + FP + FN), 0 when there is nothing to find and nothing found."""
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predictions, average=average, zero_division=0.0))


macro_f1 = functools.partial(f1, average="macro")  # the mean of the F1 of every class that is predicted or there


def matthews(predictions: Values, labels: Values) -> float:
    """Return the Matthews correlation of class ids, of two or more classes [Gorodkin 2004]; 0 when undefined."""
    if is_constant(predictions) or is_constant(labels):
        return 0.0
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(labels, predictions))


def pearson(predictions: Values, labels: Values) -> float:
    """Return the Pearson correlation; 0 when undefined (a constant or a non-finite value)."""
    return _correlation(stats.pearsonr, predictions, labels)


def spearman(predictions: Values, labels: Values) -> float:
    """Return the Spearman rank correlation, ties at their mean rank; 0 when undefined (as Pearson's)."""
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
    """Return whether all values are the same, or there is none."""
    return np.unique(np.asarray(values)).size <= 1


def _correlation(function: Callable[..., Any], predictions: Values, labels: Values) -> float:
    x, y = np.asarray(predictions, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if not (np.isfinite(x).all() and np.isfinite(y).all()) or is_constant(x) or is_constant(y):
        return 0.0
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # SciPy warns of nearly constant input; the value is what we report
        value = float(function(x, y).statistic)
    return value if np.isfinite(value) else 0.0
