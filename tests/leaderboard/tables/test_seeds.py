"""Ensembles over the restarts of a split against a brute force in float64, and that no others are joined."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import log_loss

from leaderboard.build import build
from leaderboard.records.labels import encode_labels
from leaderboard.records.logits import decode_logits, encode_logits
from leaderboard.verify import verify
from tests.leaderboard.conftest import make, tuned_trials

EXAMPLES, RESTARTS, SPLITS = 40, 6, 2
DEV = "ef" * 32
LABELS = [at * 7 % 3 for at in range(EXAMPLES)]
SCORES = [at * 7 % 11 / 4 for at in range(EXAMPLES)]
STRATEGIES = ("none", "mixout(w_pre, 0.7)")
AXES = {"lr": "1e-05 to 0.001, log; default 0.0001"}

Records = list[dict[str, Any]]


def outcome(numbers: np.random.Generator, *, regression: bool = False) -> tuple[float, dict[str, Any]]:
    """Draw what a trial predicts; its score is that of the predictions."""
    if regression:
        values = [round(float(v), 6) for v in np.array(SCORES) + numbers.normal(scale=2, size=EXAMPLES)]
        return float(spearmanr(values, SCORES).statistic), {"predictions": values, "floor": 0.0}
    logits = (np.eye(3)[LABELS] + numbers.normal(scale=1.5, size=(EXAMPLES, 3))).astype(np.float16)
    predictions, stored = logits.argmax(1).tolist(), {"logits": encode_logits(logits), "floor": 0.35}
    return float(np.mean(np.array(predictions) == LABELS)), {"predictions": predictions, **stored}


def untuned(*, restarts: int = RESTARTS, splits: int = SPLITS, regression: bool = False, **config: Any) -> Records:
    numbers, entries = np.random.default_rng(1), []
    metric = "spearman" if regression else "accuracy"
    for strategy in STRATEGIES:
        for restart in range(restarts):
            score, result = outcome(numbers, regression=regression)
            place = {"strategy": strategy, "restart": restart, "split_seed": restart % splits, "metric": metric}
            entries.append(make(score, result=result, **place, **config))
    return entries


@pytest.fixture
def lines(store):
    """Return a function from records to the lines of their ensembles over seeds, by name."""

    def run(entries: Records, labels: list[Any] = LABELS, name: str = "run") -> pd.DataFrame:
        folder = store(entries, name)
        (folder / "labels.json").write_bytes(encode_labels({DEV: labels}))
        build([folder], folder)
        frame = pd.read_csv(folder / "leaderboard.csv")
        return frame[frame.rule == "seeds"].set_index("strategy")

    return run


def members(entries: Records, strategy: str, split: int, count: int = 3) -> Records:
    """The results of the first restarts of a split, which is known by its restarts' numbers."""
    own = [e for e in entries if e["config"]["strategy"] == strategy and e["config"]["restart"] % SPLITS == split]
    return [entry["result"] for entry in sorted(own, key=lambda entry: entry["config"]["restart"])[:count]]


def probabilities(results: Records) -> np.ndarray:
    each = np.exp([decode_logits(result["logits"]) for result in results])
    return (each / each.sum(axis=2, keepdims=True)).mean(axis=0)


def test_probabilities_of_the_restarts_of_each_split_are_averaged(lines):
    entries = untuned()
    frame = lines(entries)
    assert sorted(frame.index) == ["ensemble(mixout(w_pre, 0.7), 3 seeds)", "ensemble(none, 3 seeds)"]
    for strategy in STRATEGIES:
        joined = [probabilities(members(entries, strategy, split)) for split in range(SPLITS)]
        line, scores = frame.loc[f"ensemble({strategy}, 3 seeds)"], [np.mean(p.argmax(1) == LABELS) for p in joined]
        assert line["mean"] == pytest.approx(np.mean(scores), abs=1e-12) and line["max"] == max(scores)
        assert line.nll == pytest.approx(np.mean([log_loss(LABELS, p) for p in joined]), abs=1e-6)
        assert (line.restarts, line.units, line.expected, line.complete) == (SPLITS, SPLITS, SPLITS, True)
        assert line.seconds == 3 * 2.0 and line.peak_memory == 400_000_000
    others, base = [frame.loc[f"ensemble({name}, 3 seeds)"] for name in reversed(STRATEGIES)]
    assert others.difference == pytest.approx(others["mean"] - base["mean"], abs=1e-6) and others.baseline == "none"


def test_values_of_a_regression_are_averaged(lines):
    entries = untuned(regression=True)
    frame = lines(entries, SCORES)
    for strategy in STRATEGIES:
        joined = [
            np.mean([one["predictions"] for one in members(entries, strategy, split)], axis=0)
            for split in range(SPLITS)
        ]
        wanted = np.mean([spearmanr(values, SCORES).statistic for values in joined])
        assert frame.loc[f"ensemble({strategy}, 3 seeds)"]["mean"] == pytest.approx(wanted, abs=1e-9)


def test_restarts_of_different_splits_are_never_joined(lines):
    """Each on its own: nothing. Otherwise changing one split's predictions leaves what the other's restarts say."""
    assert lines(untuned(splits=RESTARTS), name="alone").empty
    entries = untuned()
    scores = [np.mean(probabilities(members(entries, "none", split)).argmax(1) == LABELS) for split in range(SPLITS)]
    spoilt = encode_logits(np.full((EXAMPLES, 3), [0.0, 0.0, 9.0]))
    for entry in entries:
        if entry["config"]["restart"] % SPLITS == 1:
            constant = {"logits": spoilt, "predictions": [2] * EXAMPLES}
            entry["result"] |= constant | {"score": float(np.mean(np.array(LABELS) == 2))}
    line = lines(entries).loc["ensemble(none, 3 seeds)"]
    assert line["mean"] * SPLITS == pytest.approx(scores[0] + np.mean(np.array(LABELS) == 2), abs=1e-12)


def test_all_splits_have_equally_many_members(lines):
    """Of five restarts on two splits the first has three; the fewest count."""
    entries = untuned(restarts=5)
    joined = [probabilities(members(entries, "none", split, count=2)) for split in range(SPLITS)]
    wanted = np.mean([p.argmax(1) == LABELS for p in joined])
    assert lines(entries).loc["ensemble(none, 2 seeds)"]["mean"] == pytest.approx(wanted, abs=1e-12)


def test_a_split_of_which_a_restart_is_missing_or_broken_has_no_ensemble(lines):
    entries = untuned()
    place = {"strategy": "none", "restart": 4, "split_seed": 0}
    gap = [entry for entry in entries if entry["config"] | place != entry["config"]]
    for given in (gap, [*gap, make(None, status="oom", **place)]):
        line = lines(given).loc["ensemble(none, 3 seeds)"]
        p = probabilities(members(entries, "none", 1))
        assert (line.restarts, line.missing, line.ranked) == (1, 1, False)
        assert line["mean"] == pytest.approx(np.mean(p.argmax(1) == LABELS), abs=1e-12)


def test_a_diverged_restart_is_no_member_and_is_paid_for(lines):
    entries = untuned()
    gone = {"imputed": True, "logits": None, "predictions": [], "score": 0.35}
    entries[0]["result"] |= gone | {"status": "failed", "failed": True, "failed_by": "diverged"}
    kept = [entries[2]["result"], entries[4]["result"]], members(entries, "none", 1)
    scores = [np.mean(probabilities(some).argmax(1) == LABELS) for some in kept]
    line = lines(entries).loc["ensemble(none, 3 seeds)"]
    assert line["mean"] == pytest.approx(np.mean(scores), abs=1e-12) and line.seconds == 6.0


def test_of_tuned_families_what_each_restart_chose_is_joined(lines):
    numbers, budget = np.random.default_rng(2), 3
    shape: dict[str, Any] = {"sizes": (100,), "restarts": RESTARTS, "budget": budget, "dev_hash": DEV}
    entries = tuned_trials({"none": AXES}, lambda _: outcome(numbers), **shape)
    for entry in entries:
        split = entry["config"]["restart"] % SPLITS
        entry["config"] |= {"split_seed": split, "split_hash": f"100-{split}"}
    drawn = [entry for entry in entries if entry["config"]["tuning"]["holdout"] is not None]
    drawn.sort(key=lambda e: (-e["result"]["holdout"]["score"], e["config"]["tuning"]["draw"]))
    best = {entry["config"]["restart"]: entry for entry in reversed(drawn)}
    joined = [probabilities(members(list(best.values()), "none", split)) for split in range(SPLITS)]
    frame = lines(entries)
    line = frame.loc["ensemble(none, 3 seeds)"]
    assert line["mean"] == pytest.approx(np.mean([p.argmax(1) == LABELS for p in joined]), abs=1e-12)
    assert line.seconds == 3 * budget * 2.0


def test_markdown_and_json_show_them_and_the_tables_verify(lines, tmp_path):
    frame = lines(untuned())
    assert "| ensemble (seeds) |" in " ".join((tmp_path / "run" / "leaderboard.md").read_text().split())
    document = json.loads((tmp_path / "run" / "leaderboard.json").read_text())
    shown = {one["name"]: (one["mean"], one["splits"]) for one in document["sections"][0]["seeds"]}
    assert shown == {name: (pytest.approx(line["mean"], abs=1e-6), SPLITS) for name, line in frame.iterrows()}
    assert "restarts of one split predict together" in document["wording"]["ensembles"]
    assert [finding.text for finding in verify([tmp_path / "run"])[0] if finding.check == "tables"] == []
