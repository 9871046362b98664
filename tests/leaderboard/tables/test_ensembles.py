"""Ensembles against a recomputation from the records in a few lines of NumPy, and what keeps them out of a table."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import log_loss

from leaderboard.build import build
from leaderboard.records.labels import encode_labels, read_labels
from leaderboard.records.logits import encode_logits
from leaderboard.verify import verify
from tests.leaderboard.conftest import tuned_trials

ROOT = Path(__file__).parents[3]
BUDGET, EXAMPLES, RESTARTS = 7, 40, 3
DEV = "ef" * 32
LABELS = [at * 7 % 3 for at in range(EXAMPLES)]
SCORES = [at * 7 % 11 / 4 for at in range(EXAMPLES)]
AXES = {"lr": "1e-05 to 0.001, log; default 0.0001"}


def tuned(*, regression: bool = False) -> list[dict[str, Any]]:
    """Records of two families whose scores are those of their predictions."""
    numbers = np.random.default_rng(1)

    def outcome(_: Any) -> tuple[float, dict[str, Any]]:
        if regression:
            values = [round(float(v), 6) for v in np.array(SCORES) + numbers.normal(scale=2, size=EXAMPLES)]
            return float(spearmanr(values, SCORES).statistic), {"predictions": values, "floor": 0.0}
        logits = (np.eye(3)[LABELS] + numbers.normal(scale=1.5, size=(EXAMPLES, 3))).astype(np.float16)
        predictions, stored = logits.argmax(1).tolist(), {"logits": encode_logits(logits), "floor": 0.35}
        return float(np.mean(np.array(predictions) == LABELS)), {"predictions": predictions, **stored}

    shape: dict[str, Any] = {"sizes": (100,), "restarts": RESTARTS, "budget": BUDGET, "dev_hash": DEV}
    metric = "spearman" if regression else "accuracy"
    return tuned_trials(dict.fromkeys(("none", "dropout"), AXES), outcome, metric=metric, **shape)


def lines(folder: Any) -> pd.DataFrame:
    build([folder], folder)
    frame = pd.read_csv(folder / "leaderboard.csv")
    return frame[frame.rule == "ensemble"].set_index("strategy")


def members(entries: list[dict[str, Any]], family: str, restart: int) -> list[dict[str, Any]]:
    """The five best configurations by holdout, found without the project's code."""
    own = [e for e in entries if e["config"]["tuning"]["family"] == family and e["config"]["restart"] == restart]
    drawn = [e for e in own if e["config"]["tuning"]["holdout"] is not None]
    drawn.sort(key=lambda e: (-e["result"]["holdout"]["score"], e["config"]["tuning"]["draw"]))
    return [e["result"] for e in drawn[:5]]


def probabilities(results: list[dict[str, Any]]) -> np.ndarray:
    import base64

    each = []
    for result in results:
        z = np.frombuffer(base64.b64decode(result["logits"]["float16"]), "<f2").reshape(EXAMPLES, 3).astype(float)
        each.append(np.exp(z) / np.exp(z).sum(1, keepdims=True))
    return np.mean(each, axis=0)


@pytest.fixture
def folder(store):
    found = store(tuned())
    (found / "labels.json").write_bytes(encode_labels({DEV: LABELS}))
    return found


def test_probabilities_of_the_five_best_by_holdout_are_averaged(folder):
    frame, entries = lines(folder), tuned()
    assert sorted(frame.index) == ["ensemble(dropout, 5)", "ensemble(none, 5)"]
    for family in ("none", "dropout"):
        joined = [probabilities(members(entries, family, restart)) for restart in range(RESTARTS)]
        line = frame.loc[f"ensemble({family}, 5)"]
        scores = [np.mean(p.argmax(1) == LABELS) for p in joined]
        assert line["mean"] == pytest.approx(np.mean(scores), abs=1e-12) and line["max"] == max(scores)
        assert line.nll == pytest.approx(np.mean([log_loss(LABELS, p) for p in joined]), abs=1e-6)
        assert line.failed == sum(score <= 0.35 for score in scores)
        assert (line.restarts, line.seconds, line.budget) == (RESTARTS, 2.0 * BUDGET, BUDGET)


def test_accuracies_are_scored_without_loading_scikit_learn_or_pandas(folder):
    code = "import sys; from leaderboard.build import build; build(sys.argv[1:], sys.argv[1]); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "ensemble(none, 5)" in (folder / "leaderboard.csv").read_text()
    assert {"pandas", "sklearn"}.isdisjoint(ran.stdout.split())


def test_values_of_a_regression_are_averaged(store):
    entries = tuned(regression=True)
    folder = store(entries)
    (folder / "labels.json").write_bytes(encode_labels({DEV: SCORES}))
    for family in ("none", "dropout"):
        joined = [
            np.mean([one["predictions"] for one in members(entries, family, restart)], axis=0)
            for restart in range(RESTARTS)
        ]
        wanted = np.mean([spearmanr(values, SCORES).statistic for values in joined])
        assert lines(folder).loc[f"ensemble({family}, 5)"]["mean"] == pytest.approx(wanted, abs=1e-9)


def test_a_diverged_configuration_is_no_member(store):
    entries = tuned()
    for entry in entries:
        tuning = entry["config"]["tuning"]
        if tuning["draw"] in (0, 3) and tuning["holdout"] is not None:
            gone = {"imputed": True, "logits": None, "predictions": [], "holdout": None, "score": 0.35}
            entry["result"] |= gone | {"status": "failed", "failed": True, "failed_by": "diverged"}
    folder = store(entries)
    (folder / "labels.json").write_bytes(encode_labels({DEV: LABELS}))
    kept = [entry for entry in entries if not entry["result"]["imputed"]]
    scores = [np.mean(probabilities(members(kept, "none", r)).argmax(1) == LABELS) for r in range(RESTARTS)]
    assert lines(folder).loc["ensemble(none, 5)"]["mean"] == pytest.approx(np.mean(scores), abs=1e-12)


def test_labels_that_do_not_give_the_stored_scores_are_refused(folder, capsys):
    (folder / "labels.json").write_bytes(encode_labels({DEV: LABELS[::-1]}))
    assert lines(folder).empty
    said = capsys.readouterr().err
    assert said.count("labels.json: the labels of dev set efefefefefef do not give the score of rte-") == 1


@pytest.mark.parametrize("content", ["[1]", '{"a": "b"}', '{"a": [null]}', '{"a": [[1]]}', "{", '{"a": [1e999]}'])
def test_a_file_that_holds_no_labels_is_named(folder, content):
    (folder / "labels.json").write_text(content)
    found, (fault,) = read_labels([folder])
    assert found == {} and "labels.json: must be an object of lists of labels, one for each dev set" in str(fault)


def test_without_labels_or_logits_there_are_no_ensembles(store, folder):
    (folder / "labels.json").unlink()
    assert lines(folder).empty
    bare = tuned()
    for entry in bare:
        entry["result"].pop("logits")
    folder = store(bare)
    (folder / "labels.json").write_bytes(encode_labels({DEV: LABELS}))
    assert lines(folder).empty


def test_tables_show_the_ensemble_next_to_the_tuned_row(folder):
    frame = lines(folder)
    text = " ".join((folder / "leaderboard.md").read_text().split())
    assert "| default | tuned (7) [95 %] | max | ensemble (5) | failed |" in text
    (section,) = json.loads((folder / "leaderboard.json").read_text())["sections"]
    shown = {choice["strategy"]: choice["ensemble"] for choice in section["tuning"]}
    assert shown == pytest.approx({family: frame.loc[f"ensemble({family}, 5)"]["mean"] for family in shown}, abs=1e-6)
    assert [finding.text for finding in verify([folder])[0] if finding.check == "tables"] == []
