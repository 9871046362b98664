"""How well the probabilities of a classifier are calibrated.

All functions are pure. Probabilities are softmax values (examples, classes) of classification; regression has none.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax

BINS = 15

Array = NDArray[np.float64]


def calibration(logits: ArrayLike, labels: Sequence[int]) -> dict[str, float]:
    """Return the three figures of a record: `ece`, `brier` and `nll` of these logits."""
    log_p = log_softmax(np.asarray(logits, dtype=np.float64), axis=-1)
    p = np.exp(log_p)
    return {"ece": ece(p, labels), "brier": brier(p, labels), "nll": nll(log_p, labels)}


def ece(probabilities: Array, labels: Sequence[int]) -> float:
    """Return the expected calibration error [Guo et al. 2017, eq. 3]: mean |accuracy - confidence| over BINS bins.

    Bins are of equal width: one holds the examples whose largest probability is in (low, high], and counts as many
    times as it holds.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == np.asarray(labels)
    bins = np.clip(np.ceil(confidence * BINS) - 1, 0, BINS - 1).astype(int)
    gaps = np.bincount(bins, weights=correct - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def brier(probabilities: Array, labels: Sequence[int]) -> float:
    """Return the Brier score: the mean of sum_k (p_k - y_k)^2, in [0, 2]; of two classes twice scikit-learn's."""
    truth = np.eye(probabilities.shape[1])[np.asarray(labels)]
    return float(np.square(probabilities - truth).sum(axis=1).mean())


def nll(log_probabilities: Array, labels: Sequence[int]) -> float:
    """Return the mean negative log-likelihood of the labels, in nats."""
    return float(-log_probabilities[np.arange(len(labels)), np.asarray(labels)].mean())
