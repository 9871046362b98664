"""Trials whose scores are those of their predictions, and slow ensembles of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from leaderboard.build import build
from leaderboard.records.labels import encode_labels
from leaderboard.records.logits import decode_logits, encode_logits

EXAMPLES, DEV = 40, "ef" * 32
LABELS = [at * 7 % 3 for at in range(EXAMPLES)]
SCORES = [at * 7 % 11 / 4 for at in range(EXAMPLES)]
AXES = {"lr": "1e-05 to 0.001, log; default 0.0001"}


def outcome(numbers: np.random.Generator, *, regression: bool = False) -> tuple[float, dict[str, Any]]:
    """Draw what a trial predicts; its score is that of the predictions."""
    if regression:
        values = [round(float(v), 6) for v in np.array(SCORES) + numbers.normal(scale=2, size=EXAMPLES)]
        return float(spearmanr(values, SCORES).statistic), {"predictions": values, "floor": 0.0}
    logits = (np.eye(3)[LABELS] + numbers.normal(scale=1.5, size=(EXAMPLES, 3))).astype(np.float16)
    predictions, stored = logits.argmax(1).tolist(), {"logits": encode_logits(logits), "floor": 0.35}
    return float(np.mean(np.array(predictions) == LABELS)), {"predictions": predictions, **stored}


def probabilities(results: list[dict[str, Any]]) -> np.ndarray:
    """The mean probabilities (example, class) of some results."""
    each = np.exp([decode_logits(result["logits"]) for result in results])
    return (each / each.sum(axis=2, keepdims=True)).mean(axis=0)


def joined_score(results: list[dict[str, Any]], *, regression: bool = False) -> float:
    """The score of what some results predict together."""
    if regression:
        return spearmanr(np.mean([one["predictions"] for one in results], axis=0), SCORES).statistic
    return np.mean(probabilities(results).argmax(1) == LABELS)


@pytest.fixture
def ensembles(store) -> Callable[..., pd.DataFrame]:
    """Return a function from records to the lines of their ensembles by a rule, by name."""

    def lines(entries, rule, labels=LABELS, name="run"):
        folder = store(entries, name)
        if labels:
            (folder / "labels.json").write_bytes(encode_labels({DEV: labels}))
        build([folder], folder)
        frame = pd.read_csv(folder / "leaderboard.csv")
        return frame[frame.rule == rule].set_index("strategy")

    return lines
