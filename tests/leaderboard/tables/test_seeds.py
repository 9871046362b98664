"""Ensembles over the restarts of a split against a brute force in float64, and that no others are joined."""

import json
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss

from leaderboard.records.logits import encode_logits
from leaderboard.verify import verify
from tests.leaderboard.conftest import make, tuned_trials
from tests.leaderboard.tables.conftest import AXES, DEV, EXAMPLES, LABELS, SCORES, joined_score, outcome, probabilities

RESTARTS, SPLITS = 6, 2
STRATEGIES = ("none", "mixout(w_pre, 0.7)")

Records = list[dict[str, Any]]


def untuned(*, restarts: int = RESTARTS, splits: int = SPLITS, regression: bool = False) -> Records:
    numbers, metric = np.random.default_rng(1), "spearman" if regression else "accuracy"
    places = [
        {"strategy": strategy, "restart": restart, "split_seed": restart % splits, "metric": metric}
        for strategy in STRATEGIES
        for restart in range(restarts)
    ]
    drawn = [(place, *outcome(numbers, regression=regression)) for place in places]
    return [make(score, result=result, **place) for place, score, result in drawn]


def members(entries: Records, strategy: str, split: int, count: int = 3) -> Records:
    """The results of the first restarts of a split, which is known by its restarts' numbers."""
    own = [e for e in entries if e["config"]["strategy"] == strategy and e["config"]["restart"] % SPLITS == split]
    return [entry["result"] for entry in sorted(own, key=lambda entry: entry["config"]["restart"])[:count]]


def scores_of(entries: Records, **options: Any) -> list[float]:
    """What the restarts of each split of `none` reach together."""
    return [joined_score(members(entries, "none", split, **options)) for split in range(SPLITS)]


@pytest.fixture
def none(ensembles):
    """Return a function from records to the line of the ensembles of `none`."""
    return lambda entries, count=3: ensembles(entries, "seeds").loc[f"ensemble(none, {count} seeds)"]


@pytest.mark.parametrize(("regression", "labels"), [(False, LABELS), (True, SCORES)])
def test_predictions_of_the_restarts_of_each_split_are_averaged(ensembles, regression, labels):
    entries = untuned(regression=regression)
    frame = ensembles(entries, "seeds", labels)
    assert sorted(frame.index) == ["ensemble(mixout(w_pre, 0.7), 3 seeds)", "ensemble(none, 3 seeds)"]
    for strategy in STRATEGIES:
        joined = [members(entries, strategy, split) for split in range(SPLITS)]
        scores = [joined_score(some, regression=regression) for some in joined]
        line = frame.loc[f"ensemble({strategy}, 3 seeds)"]
        assert (line["mean"], line["max"]) == pytest.approx((np.mean(scores), max(scores)), abs=1e-9)
        assert (line.restarts, line.units, line.expected, line.complete) == (SPLITS, SPLITS, SPLITS, True)
        assert line.seconds == 3 * 2.0 and line.peak_memory == 400_000_000
        if not regression:
            assert line.nll == pytest.approx(np.mean([log_loss(LABELS, probabilities(p)) for p in joined]), abs=1e-6)
    others, base = [frame.loc[f"ensemble({name}, 3 seeds)"] for name in reversed(STRATEGIES)]
    assert others.difference == pytest.approx(others["mean"] - base["mean"], abs=1e-6) and others.baseline == "none"


def test_restarts_of_different_splits_are_never_joined(ensembles, none):
    """Each on its own: nothing. Otherwise changing one split's predictions leaves what the other's restarts say."""
    assert ensembles(untuned(splits=RESTARTS), "seeds", name="alone").empty
    entries, share = untuned(), float(np.mean(np.array(LABELS) == 2))
    kept, _ = scores_of(entries)
    constant = {"logits": encode_logits(np.full((EXAMPLES, 3), [0.0, 0.0, 9.0])), "predictions": [2] * EXAMPLES}
    for entry in entries:
        if entry["config"]["restart"] % SPLITS == 1:
            entry["result"] |= constant | {"score": share}
    assert none(entries)["mean"] * SPLITS == pytest.approx(kept + share, abs=1e-12)


def test_nothing_else_makes_restarts_a_split(ensembles, none):
    """Splits of large seeds are numbered; restarts on other texts, or on the whole pool, share nothing."""
    entries = untuned()
    for entry in entries:
        entry["config"]["split_seed"] += 2**40
    assert none(entries)["mean"] == pytest.approx(np.mean(scores_of(entries)), abs=1e-12)
    for entry in entries:
        entry["config"]["train_hash"] = f"{entry['config']['restart']:064x}"
    assert ensembles(entries, "seeds", name="texts").empty
    assert ensembles(
        [entry | {"config": entry["config"] | {"fraction": 1.0}} for entry in untuned()], "seeds", name="all"
    ).empty


def test_all_splits_have_equally_many_members(none):
    """Of five restarts on two splits the first has three; the fewest count."""
    entries = untuned(restarts=5)
    assert none(entries, count=2)["mean"] == pytest.approx(np.mean(scores_of(entries, count=2)), abs=1e-12)


@pytest.mark.parametrize("status", ["", "oom"])
def test_a_split_of_which_a_restart_is_missing_or_broken_has_no_ensemble(none, status):
    entries, place = untuned(), {"strategy": "none", "restart": 4, "split_seed": 0}
    gap = [entry for entry in entries if entry["config"] | place != entry["config"]]
    line = none([*gap, make(None, status=status, **place)] if status else gap)
    assert (line.restarts, line.missing, line.ranked) == (1, 1, False)
    assert line["mean"] == pytest.approx(scores_of(entries)[1], abs=1e-12)


def test_a_diverged_restart_is_no_member_and_is_paid_for(none):
    entries = untuned()
    gone = {"imputed": True, "logits": None, "predictions": [], "score": 0.35}
    entries[0]["result"] |= gone | {"status": "failed", "failed": True, "failed_by": "diverged"}
    wanted = np.mean(scores_of(entries[1:]))
    line = none(entries)
    assert line["mean"] == pytest.approx(wanted, abs=1e-12) and line.seconds == 6.0


def test_of_tuned_families_what_each_restart_chose_is_joined(none):
    numbers, budget = np.random.default_rng(2), 3
    shape: dict[str, Any] = {"sizes": (100,), "restarts": RESTARTS, "budget": budget, "dev_hash": DEV}
    entries = tuned_trials({"none": AXES}, lambda _: outcome(numbers), **shape)
    for entry in entries:
        split = entry["config"]["restart"] % SPLITS
        entry["config"] |= {"split_seed": split, "split_hash": f"100-{split}"}
    drawn = [entry for entry in entries if entry["config"]["tuning"]["holdout"] is not None]
    drawn.sort(key=lambda e: (-e["result"]["holdout"]["score"], e["config"]["tuning"]["draw"]))
    best = {entry["config"]["restart"]: entry for entry in reversed(drawn)}
    line = none(entries)
    assert line["mean"] == pytest.approx(np.mean(scores_of(list(best.values()))), abs=1e-12)
    assert line.seconds == 3 * budget * 2.0


def test_markdown_and_json_show_them_and_the_tables_verify(ensembles, tmp_path):
    frame = ensembles(untuned(), "seeds")
    assert "| ensemble (seeds) |" in " ".join((tmp_path / "run" / "leaderboard.md").read_text().split())
    document = json.loads((tmp_path / "run" / "leaderboard.json").read_text())
    shown = {one["name"]: (one["mean"], one["splits"]) for one in document["sections"][0]["seeds"]}
    assert shown == {name: (pytest.approx(line["mean"], abs=1e-6), SPLITS) for name, line in frame.iterrows()}
    assert "restarts of one split predict together" in document["wording"]["ensembles"]
    assert [finding.text for finding in verify([tmp_path / "run"])[0] if finding.check == "tables"] == []
