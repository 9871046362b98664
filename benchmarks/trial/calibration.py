"""Logits as records keep them, and how well the probabilities that they give are calibrated.

All functions are pure. Probabilities are softmax values (examples, classes) of classification; regression has none.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax

from fisher.common.errors import InputError

BINS = 15
LARGEST = float(np.finfo(np.float16).max)

Array = NDArray[np.float64]


def encode_logits(logits: ArrayLike) -> dict[str, Any]:
    """Logits (examples, classes) for a record: little-endian float16 as base64; what is too large is cut to 65504."""
    values = np.clip(np.asarray(logits, dtype=np.float64), -LARGEST, LARGEST).astype("<f2")
    return {"shape": list(values.shape), "float16": base64.b64encode(values.tobytes()).decode("ascii")}


def decode_logits(stored: Any) -> Array:
    """The logits (examples, classes) that `encode_logits` stored. Raises InputError for anything else."""
    try:
        rows, classes = stored["shape"]
        values = np.frombuffer(base64.b64decode(stored["float16"], validate=True), dtype="<f2")
        logits = values.reshape(rows, classes).astype(np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"logits must be a shape and as many float16 values in base64: {error}") from None
    if not np.isfinite(logits).all():
        raise InputError("logits must be finite, got one that is not")
    return logits


def calibration(logits: ArrayLike, labels: Sequence[int]) -> dict[str, float]:
    """The three figures of a record: `ece`, `brier` and `nll` of these logits."""
    log_p = log_softmax(np.asarray(logits, dtype=np.float64), axis=-1)
    p = np.exp(log_p)
    return {"ece": ece(p, labels), "brier": brier(p, labels), "nll": nll(log_p, labels)}


def ece(probabilities: Array, labels: Sequence[int]) -> float:
    """Expected calibration error [Guo et al. 2017, eq. 3]: mean |accuracy - confidence| over BINS equal-width bins.

    A bin holds the examples whose largest probability is in (low, high], and counts as many times as it holds.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == np.asarray(labels)
    bins = np.clip(np.ceil(confidence * BINS) - 1, 0, BINS - 1).astype(int)
    gaps = np.bincount(bins, weights=correct - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def brier(probabilities: Array, labels: Sequence[int]) -> float:
    """Brier score: mean over examples of sum_k (p_k - y_k)^2, in [0, 2]; of two classes twice scikit-learn's."""
    truth = np.eye(probabilities.shape[1])[np.asarray(labels)]
    return float(np.square(probabilities - truth).sum(axis=1).mean())


def nll(log_probabilities: Array, labels: Sequence[int]) -> float:
    """Mean negative log-likelihood of the labels, in nats."""
    return float(-log_probabilities[np.arange(len(labels)), np.asarray(labels)].mean())
