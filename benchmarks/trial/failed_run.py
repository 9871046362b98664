"""The failed-run rule: whether a fine-tuning run found anything in its texts, judged by its predictions at the end.

A run failed if it diverged, if it scores no more than the best constant prediction (the floor), or no more than its own
predictions in a random order would (chance). Pure functions: predictions and labels in, a verdict out.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from benchmarks.data.tasks import Task
from benchmarks.trial.metrics import metric_name, scores
from leaderboard.stats.metrics import Array, Values, is_constant

PERMUTATIONS = 1000
QUANTILE = 0.95
TIE = 1e-9  # two formulas for one score differ in the last bits; a run must not pass by that
_CHUNK = 4_000_000  # permuted predictions held at a time

FailedBy = Literal["diverged", "rule", "chance"]


@dataclass(frozen=True)
class Verdict:
    """What the end of a run says: its score, whether it failed and by which part of the rule.

    `failed_plain` is the plain rule's answer (diverged, or not above the floor); `threshold` is that of chance and may
    lie below the floor (the higher of the two is the bar); `collapsed`: one single predicted class or value; `imputed`:
    the score is not measured but the floor, because the run diverged.
    """

    score: float
    failed: bool
    failed_by: FailedBy | None
    failed_plain: bool
    floor: float
    threshold: float
    collapsed: bool
    imputed: bool


def judge(task: Task, metric: str, predictions: Values | None, labels: Values, *, diverged: bool, seed: int) -> Verdict:
    """The failed-run rule, one for every metric, on the predictions of the end of training.

    A run failed if it `diverged` (its loss, or a prediction, became NaN or infinite); else by `rule` if its score is
    not above the floor [Mosbach et al. 2021 §3]; else by `chance` if it is not above `chance_threshold`. The first of
    these is `failed_by`. A diverged run's score is the floor, whatever was predicted; it may come without predictions.
    """
    name = metric_name(task, metric)
    base = floor(task, name, labels)
    if diverged or predictions is None or not np.isfinite(np.asarray(predictions, dtype=np.float64)).all():
        return Verdict(base, True, "diverged", True, base, base, False, True)
    score = scores(task, predictions, labels)[name]
    chance = chance_threshold(task, name, predictions, labels, seed=seed)
    by_rule = score <= base + TIE
    failed_by: FailedBy | None = "rule" if by_rule else "chance" if score <= chance + TIE else None
    return Verdict(score, failed_by is not None, failed_by, by_rule, base, chance, is_constant(predictions), False)


def floor(task: Task, metric: str, labels: Values) -> float:
    """The best score under `metric` of any constant prediction on these labels.

    Exact: every class is tried; a constant's correlation is undefined, hence 0. For `combined` it is the best constant
    of the mean, not the mean of the best.
    """
    name = metric_name(task, metric)
    if task.labels is None:
        return 0.0
    return max(scores(task, np.full(len(labels), label), labels)[name] for label in range(len(task.labels)))


def chance_threshold(task: Task, metric: str, predictions: Values, labels: Values, *, seed: int) -> float:
    """95th percentile of `metric` over 1,000 permutations of these predictions, drawn from PCG64(seed).

    A score may lie above the floor of constant predictions by luck alone: of predictions that ignore the text, about
    half have a Matthews correlation above 0. For `combined` it is the mean of all metrics of one and the same
    permutation, so that the very score that is reported is tested. A permutation leaves both marginals alone: accuracy,
    F1 and Matthews then depend on the number of hits only, and a correlation on one dot product of standardised values
    or ranks.
    """
    name = metric_name(task, metric)
    x, y = np.asarray(predictions), np.asarray(labels)
    if is_constant(x) or is_constant(y):
        return scores(task, predictions, labels)[name]  # every permutation has that score
    names = (task.primary, *task.secondary) if name == "combined" else (name,)
    generator = np.random.Generator(np.random.PCG64(seed))
    rows = max(1, _CHUNK // len(x))
    values = []
    for start in range(0, PERMUTATIONS, rows):
        places = np.tile(np.arange(len(x)), (min(rows, PERMUTATIONS - start), 1))
        places = generator.permuted(places, axis=1)  # (rows, n)
        values.append(np.mean([_PERMUTED[name](x, y, places) for name in names], axis=0))
    return float(np.quantile(np.concatenate(values), QUANTILE))


def _permuted_accuracy(x: Array, y: Array, places: Array) -> Array:
    return np.asarray((x[places] == y).mean(axis=1))


def _permuted_f1(x: Array, y: Array, places: Array) -> Array:
    """2 TP / (predicted positives + true positives): only TP changes, (rows,)."""
    found = ((x == 1)[places] & (y == 1)).sum(axis=1)
    return np.asarray(2 * found / max(1, (x == 1).sum() + (y == 1).sum()))


def _permuted_macro_f1(x: Array, y: Array, places: Array) -> Array:
    """Mean over classes of 2 TP / (predicted + true): only TP changes, (rows,)."""
    classes = np.union1d(x, y)
    found = [((x == k)[places] & (y == k)).sum(axis=1) * 2 / ((x == k).sum() + (y == k).sum()) for k in classes]
    return np.asarray(np.mean(found, axis=0))


def _permuted_matthews(x: Array, y: Array, places: Array) -> Array:
    """R_K = (c n - sum_k p_k t_k) / sqrt((n^2 - sum p_k^2)(n^2 - sum t_k^2)): only the hits c change, (rows,)."""
    classes = np.union1d(x, y)
    predicted, true = ((v[None, :] == classes[:, None]).sum(axis=1).astype(np.float64) for v in (x, y))  # (K,) each
    hits, n = (x[places] == y).sum(axis=1), len(x)
    scale = np.sqrt((n**2 - predicted @ predicted) * (n**2 - true @ true))
    return np.asarray((hits * n - predicted @ true) / scale)


def _permuted_pearson(x: Array, y: Array, places: Array) -> Array:
    return np.asarray((_standardised(x)[places] * _standardised(y)).sum(axis=1))  # (rows, n) -> (rows,)


def _permuted_spearman(x: Array, y: Array, places: Array) -> Array:
    return _permuted_pearson(stats.rankdata(x), stats.rankdata(y), places)


_PERMUTED = {
    "accuracy": _permuted_accuracy,
    "f1": _permuted_f1,
    "macro_f1": _permuted_macro_f1,
    "matthews": _permuted_matthews,
    "pearson": _permuted_pearson,
    "spearman": _permuted_spearman,
}


def _standardised(values: Array) -> Array:
    """Mean 0 and Euclidean norm 1; scaled first, so that huge values do not overflow; zeros when all are equal."""
    largest = np.abs(values).max()
    centred: Array = values / largest if largest > 0 else np.zeros(len(values))
    centred = centred - centred.mean()
    norm = np.linalg.norm(centred)
    return centred / norm if norm > 0 else centred
