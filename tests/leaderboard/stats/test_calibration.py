"""Calibration figures against scikit-learn and against sums written out."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from leaderboard.stats.calibration import BINS, calibration

GENERATOR = np.random.default_rng(0)
LOGITS = GENERATOR.normal(scale=2, size=(300, 3))
LABELS = GENERATOR.integers(0, 3, size=300).tolist()


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


def test_likelihood_and_brier_score_are_scikit_learns() -> None:
    found = calibration(LOGITS, LABELS)
    assert found["nll"] == pytest.approx(log_loss(LABELS, softmax(LOGITS)))
    binary, labels = LOGITS[:, :2], [label % 2 for label in LABELS]
    wanted = 2 * brier_score_loss(labels, softmax(binary)[:, 1])
    assert calibration(binary, labels)["brier"] == pytest.approx(wanted)


def test_calibration_error_is_the_sum_over_bins() -> None:
    p, total = softmax(LOGITS), 0.0
    for low, high in ((at / BINS, (at + 1) / BINS) for at in range(BINS)):
        inside = [row for row in range(300) if low < max(p[row]) <= high]
        if inside:
            accuracy = sum(int(np.argmax(p[row])) == LABELS[row] for row in inside) / len(inside)
            total += len(inside) / 300 * abs(accuracy - sum(max(p[row]) for row in inside) / len(inside))
    assert calibration(LOGITS, LABELS)["ece"] == pytest.approx(total)


def test_a_perfect_and_a_wrong_prediction_have_the_ends_of_the_scales() -> None:
    sure = np.array([[40.0, -40.0]] * 4)
    assert calibration(sure, [0] * 4) == pytest.approx({"ece": 0, "brier": 0, "nll": 0})
    assert calibration(sure, [1] * 4) == pytest.approx({"ece": 1, "brier": 2, "nll": 80})
