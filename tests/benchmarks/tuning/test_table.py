"""The `[tuning]` table: what it says is kept, and what it cannot mean is one sentence."""

import re
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from benchmarks.planning.plan import _headline
from benchmarks.planning.suite_file import Suite, load_suite, override, tune
from benchmarks.tuning.table import spaces

SHARED = {"lr": {"low": 1e-5, "high": 1e-3, "scale": "log"}, "steps": [100, 300]}
TABLE = {"families": ["none", "rdrop + dropout(0.1)"], "default": {"lr": 1e-4, "steps": 200}, "shared": SHARED}
GOOD = {"tasks": ["rte"], "sizes": [100, 250], "restarts": 2, "tuning": TABLE}


def load(path: Path, content: dict[str, Any] = GOOD, **table: Any) -> Suite:
    (path / "own.toml").write_text(tomli_w.dumps(content | ({"tuning": {**TABLE, **table}} if table else {})))
    return load_suite(str(path / "own.toml"))


def test_a_tuned_suite_reads_back_as_itself(tmp_path: Path) -> None:
    suite = load(tmp_path, GOOD | {"per_class": [16], "logits": False})
    assert suite.tuning is not None and suite.tuning.families == ("none", "dropout(0.1) + rdrop")
    assert suite.size() == 3 * 2 * 2 * (8 + 1)
    (tmp_path / "kept.toml").write_text(suite.to_toml())
    assert load_suite(str(tmp_path / "kept.toml")) == suite


def test_ranges_have_the_type_of_their_field(tmp_path: Path) -> None:
    axes = {"batch_size": {"low": 4, "high": 32, "scale": "log"}, "epochs": {"low": 1, "high": 3}, "lr": [1e-4, 1e-3]}
    suite = load(tmp_path, shared=axes)
    found = spaces(suite.tuning)
    assert [found["batch_size"].at(u) for u in (0, 0.5, 0.999)] == [4, 11, 32]
    assert [found["epochs"].at(u) for u in (0, 0.5, 0.999)] == [1, 2, 3]
    assert [found["lr"].at(u) for u in (0, 0.5)] == [1e-4, 1e-3]


def test_the_order_of_the_axes_in_a_file_changes_no_draw(tmp_path: Path) -> None:
    first, second = (
        spaces(load(tmp_path, shared=dict(axes)).tuning) for axes in (SHARED.items(), [*SHARED.items()][::-1])
    )
    assert list(first) == list(second) == ["lr", "steps"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"budgett": 8}, "unknown key of tuning 'budgett'; did you mean budget?"),
        ({"same_draws": 1}, "tuning.same_draws must be true or false, got 1"),
        ({"control": "yes"}, "tuning.control must be true or false, got 'yes'"),
        ({"budget": 0}, "tuning.budget must be a whole number in 1..1024, got 0"),
        ({"budget": 2.5}, "tuning.budget must be a whole number, got 2.5"),
        ({"holdout": 0}, r"holdout must be in \(0, 1\), a share of the labelled examples, got 0"),
        ({"holdout": 1}, r"holdout must be in \(0, 1\), a share of the labelled examples, got 1"),
        ({"holdout": "a quarter"}, "tuning.holdout must be a number, got 'a quarter'"),
        ({"families": []}, "tuning.families must name at least one, got none"),
        ({"families": "none"}, "tuning.families must be a list of texts, got 'none'"),
        ({"families": ["mixuot(w_pre)"]}, "unknown regularizer 'mixuot'; did you mean mixout?"),
        ({"families": ["mixout"]}, "mixout must be given target"),
        ({"families": ["none"], "shared": {}}, "a family must have something to search, got none without"),
        ({"floors": ["tfdif"]}, "unknown floor 'tfdif'; did you mean tfidf?"),
        ({"shared": {"lr": {"low": 1e-3, "high": 1e-5}}}, "tuning.shared.lr: a range must rise .* got 0.001 to 1e-05"),
        ({"shared": {"lr": {"low": 0, "high": 1}}}, "tuning.shared.lr: lr must be positive, got 0"),
        ({"shared": {"lr": {"low": 1e-5}}}, "tuning.shared.lr: an axis must be a list of values or {low, high, scale}"),
        ({"shared": {"lr": {"low": 1, "high": 2, "scale": "lg"}}}, "scale must be one of linear, log, got 'lg'"),
        ({"shared": {"lr": [1e-4]}}, "tuning.shared.lr: a choice must have at least two values"),
        ({"shared": {"steps": [1.5, 2]}}, "tuning.shared.steps: steps must be a whole number, got '1.5'"),
        ({"shared": {"metric": ["a", "b"]}}, "unknown field in tuning.shared 'metric'"),
        ({"shared": 3}, "tuning.shared must be a table of key = value, got 3"),
        ({"default": {"lrr": 1}}, "unknown field in tuning.default 'lrr'; did you mean lr?"),
    ],
)
def test_a_wrong_table_is_one_sentence(tmp_path: Path, table: dict[str, Any], message: str, refusal: Any) -> None:
    assert re.search(message, refusal(load, tmp_path, **table))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"set": {"selection": "best_dev"}}, "tuning must go with selection=last: dev never chooses, got best_dev"),
        ({"sizes": []}, "one of fractions, sizes, per_class must name at least one, got none"),
        ({"sizes": [0]}, "sizes must be at least 1, got 0"),
        ({"sizes": [1.5]}, "'sizes' must be a list of whole numbers"),
        ({"tuning": 3}, "'tuning' must be a table of key = value, got 3"),
    ],
)
def test_a_suite_that_cannot_be_tuned_is_one_sentence(
    tmp_path: Path, changes: dict[str, Any], message: str, refusal: Any
) -> None:
    assert message in refusal(load, tmp_path, GOOD | changes)


def test_the_command_line_tunes_any_suite() -> None:
    """Strategies become families, and the learning rate is searched around the protocol's."""
    suite = tune(override(load_suite("pocket"), {}, ["lr=2e-4"]), 4, ["mixout(w_pre)", "none"])
    assert suite.tuning is not None and suite.tuning.families == ("mixout(w_pre)", "none")
    assert suite.tuning.shared == {"lr": {"low": 2e-5, "high": 2e-3, "scale": "log"}}
    assert not suite.every("strategies") and suite.tuning.budget == 4
    own = tune(load_suite("pocket"), 2, [])
    assert own.tuning is not None and "guided_dropout(0, 0.1, order=shuffled)" in own.tuning.families


def test_a_run_says_over_what_it_tunes(tmp_path: Path) -> None:
    assert _headline(load(tmp_path)) == (
        "8 configurations per family, lr 1e-05 to 0.001, log, steps one of 100, 300, batch 32, 2 restarts on 2 splits"
    )


def test_the_command_line_changes_budget_and_families_of_a_tuned_suite(tmp_path: Path) -> None:
    suite = tune(load(tmp_path), 16, [])
    assert suite.tuning is not None and (suite.tuning.budget, len(suite.tuning.families)) == (16, 2)
    one = tune(load(tmp_path), None, ["dropout"]).tuning
    assert one is not None and (one.budget, one.families, one.shared) == (8, ("dropout",), SHARED)
