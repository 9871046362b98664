"""Ensembles of tuned configurations against a recomputation from the records, and what keeps them out of a table."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss

from leaderboard.records.labels import read_labels
from leaderboard.verify import verify
from tests.leaderboard.conftest import tuned_trials
from tests.leaderboard.tables.conftest import AXES, DEV, LABELS, SCORES, joined_score, outcome, probabilities

ROOT = Path(__file__).parents[3]
BUDGET, RESTARTS = 7, 3


def tuned(*, regression: bool = False) -> list[dict[str, Any]]:
    """Records of two families."""
    numbers = np.random.default_rng(1)
    shape: dict[str, Any] = {"sizes": (100,), "restarts": RESTARTS, "budget": BUDGET, "dev_hash": DEV}
    shape |= {"metric": "spearman" if regression else "accuracy"}
    families = dict.fromkeys(("none", "dropout"), AXES)
    return tuned_trials(families, lambda _: outcome(numbers, regression=regression), **shape)


def members(entries: list[dict[str, Any]], family: str, restart: int) -> list[dict[str, Any]]:
    """The five best configurations by holdout, found without the project's code."""
    own = [e for e in entries if e["config"]["tuning"]["family"] == family and e["config"]["restart"] == restart]
    drawn = [e for e in own if e["config"]["tuning"]["holdout"] is not None]
    drawn.sort(key=lambda e: (-e["result"]["holdout"]["score"], e["config"]["tuning"]["draw"]))
    return [e["result"] for e in drawn[:5]]


@pytest.mark.parametrize(("regression", "labels"), [(False, LABELS), (True, SCORES)])
def test_predictions_of_the_five_best_by_holdout_are_averaged(ensembles, regression, labels):
    entries = tuned(regression=regression)
    frame = ensembles(entries, "ensemble", labels)
    assert sorted(frame.index) == ["ensemble(dropout, 5)", "ensemble(none, 5)"]
    for family in ("none", "dropout"):
        chosen, line = [members(entries, family, r) for r in range(RESTARTS)], frame.loc[f"ensemble({family}, 5)"]
        scores = [joined_score(some, regression=regression) for some in chosen]
        assert (line["mean"], line["max"]) == pytest.approx((np.mean(scores), max(scores)), abs=1e-9)
        assert (line.restarts, line.seconds, line.budget) == (RESTARTS, 2.0 * BUDGET, BUDGET)
        assert line.failed == sum(score <= chosen[0][0]["floor"] for score in scores)
        if not regression:
            assert line.nll == pytest.approx(np.mean([log_loss(LABELS, probabilities(p)) for p in chosen]), abs=1e-6)


def test_accuracies_are_scored_without_loading_scikit_learn_or_pandas(ensembles, tmp_path):
    assert not ensembles(tuned(), "ensemble").empty
    code = "import sys; from leaderboard.build import build; build(sys.argv[1:], sys.argv[1]); print(*sys.modules)"
    argv = [sys.executable, "-c", code, str(tmp_path / "run")]
    ran = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT)
    assert {"pandas", "sklearn"}.isdisjoint(ran.stdout.split())


def test_a_diverged_configuration_is_no_member(ensembles):
    entries = tuned()
    for entry in entries:
        tuning = entry["config"]["tuning"]
        if tuning["draw"] in (0, 3) and tuning["holdout"] is not None:
            gone = {"imputed": True, "logits": None, "predictions": [], "holdout": None, "score": 0.35}
            entry["result"] |= gone | {"status": "failed", "failed": True, "failed_by": "diverged"}
    kept = [entry for entry in entries if not entry["result"]["imputed"]]
    wanted = np.mean([joined_score(members(kept, "none", r)) for r in range(RESTARTS)])
    assert ensembles(entries, "ensemble").loc["ensemble(none, 5)"]["mean"] == pytest.approx(wanted, abs=1e-12)


def test_labels_that_do_not_give_the_stored_scores_are_refused(ensembles, capsys):
    assert ensembles(tuned(), "ensemble", LABELS[::-1]).empty
    said = capsys.readouterr().err
    assert said.count("labels.json: the labels of dev set efefefefefef do not give the score of rte-") == 1


@pytest.mark.parametrize("content", ["[1]", '{"a": "b"}', '{"a": [null]}', '{"a": [[1]]}', "{", '{"a": [1e999]}'])
def test_a_file_that_holds_no_labels_is_named(tmp_path, content):
    (tmp_path / "labels.json").write_text(content)
    found, (fault,) = read_labels([tmp_path])
    assert found == {} and "labels.json: must be an object of lists of labels, one for each dev set" in str(fault)


def test_without_labels_or_logits_there_are_no_ensembles(ensembles):
    bare = tuned()
    for entry in bare:
        entry["result"].pop("logits")
    assert ensembles(bare, "ensemble").empty and ensembles(tuned(), "ensemble", labels=[], name="unlabelled").empty


def test_tables_show_the_ensemble_next_to_the_tuned_row(ensembles, tmp_path):
    frame, folder = ensembles(tuned(), "ensemble"), tmp_path / "run"
    text = " ".join((folder / "leaderboard.md").read_text().split())
    assert "| default | tuned (7) [95 %] | max | ensemble (5) | failed |" in text
    (section,) = json.loads((folder / "leaderboard.json").read_text())["sections"]
    shown = {choice["strategy"]: choice["ensemble"] for choice in section["tuning"]}
    assert shown == pytest.approx({family: frame.loc[f"ensemble({family}, 5)"]["mean"] for family in shown}, abs=1e-6)
    assert [finding.text for finding in verify([folder])[0] if finding.check == "tables"] == []
