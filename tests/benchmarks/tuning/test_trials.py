"""Tuned trials: ordinary trials of one static grid, whose records say by what they may be chosen."""

import copy
import dataclasses
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks import verify
from benchmarks.data.origin import Origin
from benchmarks.data.splits import Size, divide, make_split, split_hash
from benchmarks.planning.grid import make_grid
from benchmarks.planning.suite import Suite, Tuning
from benchmarks.trial import metrics, models
from benchmarks.trial.config import TrialConfig
from benchmarks.trial.identity import model_identity
from benchmarks.trial.inputs import Resources, load_inputs
from benchmarks.trial.protocol import PROTOCOLS
from benchmarks.trial.trial import execute, passes
from leaderboard.records.grouping import protocol_of
from leaderboard.records.logits import decode_logits, encode_logits
from leaderboard.records.store import write_record
from regularizers.strategy import parse

SHARED = {"lr": {"low": 1e-4, "high": 1e-3, "scale": "log"}, "steps": [4, 8]}
TUNING = Tuning(budget=3, families=("none", "mixout(w_pre)"), default={"lr": 3e-4, "steps": 6}, shared=SHARED)
SETTINGS = {"batch_size": 8, "max_length": 40, "forward": "padded", "evaluate": "last"}
Make = Callable[..., list[TrialConfig]]


@pytest.fixture(scope="session")
def make(source: models.Source) -> Make:
    """The grid of a small tuned suite; keyword arguments are fields of the table, or of the suite."""

    def grid(task: str = "pocket-rte", sizes: tuple[int, ...] = (40,), restarts: int = 2, **table: Any) -> Any:
        tuning = dataclasses.replace(TUNING, **table)
        shape: dict[str, Any] = {"sizes": sizes, "restarts": restarts, "split_seeds": restarts}
        suite = Suite(name="test", tasks=(task,), settings=SETTINGS, tuning=tuning, **shape)
        about = {"model": model_identity(source), "family": "bert", "layers": source.layers}
        return make_grid(suite, Origin(offline=True).load, fisher=lambda strategy: None, **about)

    return grid


def place(config: TrialConfig) -> tuple[Any, ...]:
    return config.tuning.family, config.tuning.draw, config.tuning.holdout


def test_every_family_has_the_default_and_its_budget(make: Make) -> None:
    grid = make()
    assert len({config.id for config in grid}) == len(grid) == 2 * 2 * (3 + 1)
    for family in TUNING.families:
        found = Counter(place(config)[1:] for config in grid if place(config)[0] == family)
        assert found == {(0, None): 2, (0, 0.25): 2, (1, 0.25): 2, (2, 0.25): 2}
    assert set(grid) < set(make(budget=5)), "a larger budget repeats no trial"


def test_a_family_changes_nothing_but_the_strategy(make: Make) -> None:
    grid = {(config.restart, *place(config)): config for config in make()}
    for (restart, family, draw, holdout), config in grid.items():
        plain = grid[restart, "none", draw, holdout]
        assert config.protocol == plain.protocol and config.split_hash == plain.split_hash
        assert (config.tuning.holdout_hash, config.seeds) == (plain.tuning.holdout_hash, plain.seeds), family


def test_the_same_draws_in_all_restarts_give_a_configuration_a_mean(make: Make) -> None:
    grid = make(same_draws=True)
    by_place: dict[tuple[Any, ...], set[tuple[Any, ...]]] = {}
    for config in grid:
        by_place.setdefault(place(config), set()).add((str(config.strategy), config.protocol))
    assert all(len(found) == 1 for found in by_place.values())
    own = {config for config in make() if config.restart == 0}
    assert own == {config for config in grid if config.restart == 0}, "restart 0 lends its draws"


RDROP = "dropout(0.1) + rdrop"


def test_a_family_of_two_passes_has_a_control_of_none_with_twice_the_steps(make: Make) -> None:
    families = ("none", "mixout(w_pre)", RDROP)
    grid = make(families=families, control=True)
    assert set(make(families=families)) < set(grid), "it adds trials and changes none"
    by_place = {(config.restart, *place(config)): config for config in grid}
    controls = [config for config in grid if place(config)[0] == "none, 2x steps"]
    assert len(controls) == 2 * (3 + 1)
    for config in controls:
        _, draw, holdout = place(config)
        plain, twice = (by_place[config.restart, family, draw, holdout] for family in ("none", RDROP))
        assert config.protocol == dataclasses.replace(plain.protocol, steps=2 * plain.protocol.steps)
        assert config.strategy == plain.strategy and config.seeds == plain.seeds
        assert passes(config.strategy, config.protocol.steps) == passes(twice.strategy, twice.protocol.steps)
        assert protocol_of(config.to_json()) == protocol_of(plain.to_json()), "one table holds them"
        assert TrialConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    assert len(make(families=families[:2], control=True)) == len(make(families=families[:2])), "nothing to control"


@pytest.mark.parametrize("steps", [0, 6])
def test_a_control_is_in_the_table_of_its_families_where_length_is_not_searched(make: Make, steps: int) -> None:
    """Twice the epochs where these set the length; both belong to the protocol of the other families."""
    shared, default = {"lr": SHARED["lr"]}, {"steps": steps}
    grid = make(families=("none", RDROP), control=True, shared=shared, default=default, budget=1)
    assert len({protocol_of(config.to_json()) for config in grid}) == 1
    lengths = {place(config)[0]: (config.protocol.epochs, config.protocol.steps) for config in grid}
    epochs = lengths["none"][0]
    assert lengths["none, 2x steps"] == ((epochs, 12) if steps else (2 * epochs, 0))


def test_configs_say_what_was_searched_and_read_back(make: Make) -> None:
    config = next(config for config in make() if place(config) == ("mixout(w_pre)", 1, 0.25))
    assert config.tuning.axes == {
        "lr": "0.0001 to 0.001, log; default 0.0003",
        "steps": "one of 4, 8; default 6",
        "mixout.p": "0.1 to 0.9, linear; default 0.7",
    }
    block = json.loads(json.dumps(config.to_json()))
    assert block["size"] == {"examples": 40} and block["fraction"] == 40 / 2000
    assert TrialConfig.from_json(block) == config and TrialConfig.from_json(block).size == Size("examples", 40)


def test_the_holdout_is_what_is_not_fitted_on(make: Make, resources: Resources) -> None:
    by_holdout = {place(config)[2]: load_inputs(config, resources) for config in make(restarts=1)}
    whole, part = by_holdout[None], by_holdout[0.25]
    assert not whole.holdout.examples and len(part.holdout.examples) == 10
    assert {*part.train.examples, *part.holdout.examples} == set(whole.train.examples)
    config = next(config for config in make(restarts=1) if place(config)[2])
    assert config.tuning.holdout_hash == split_hash(part.task, part.holdout.examples)


@pytest.fixture(scope="module")
def records(make: Make, resources: Resources) -> dict[str, Any]:
    """Records of one restart of `none`, by draw and holdout."""
    configs = make(restarts=1, families=("none",), budget=2)
    return {f"{config.tuning.draw} {config.tuning.holdout}": execute(config, resources) for config in configs}


def test_records_hold_what_a_choice_takes(records: dict[str, Any], resources: Resources) -> None:
    default, drawn = records["0 None"]["result"], records["1 0.25"]["result"]
    assert "holdout" not in default and len(default["train_loss"]) == 6
    config = TrialConfig.from_json(records["1 0.25"]["config"])
    assert len(drawn["train_loss"]) == config.protocol.steps
    assert len(drawn["epochs"]) == 1, "evaluate = last"
    inputs = load_inputs(config, resources)
    predictions, labels = drawn["holdout"]["predictions"], inputs.holdout.labels
    assert drawn["holdout"]["score"] == metrics.scores(inputs.task, predictions, labels)["accuracy"]


def test_every_record_says_how_well_the_examples_fitted_on_are_fitted(records: dict[str, Any]) -> None:
    for record in records.values():
        fit = record["result"]["fit"]
        assert fit["score"] == fit["accuracy"] and 0 < fit["loss"] < 2


def test_logits_give_the_predictions_and_can_be_left_out(
    records: dict[str, Any], make: Make, resources: Resources
) -> None:
    result = records["0 None"]["result"]
    logits = decode_logits(result["logits"])
    agree = logits.argmax(1) == result["predictions"]
    assert agree.mean() > 0.99 and set(result["calibration"]) == {"ece", "brier", "nll"}
    (config,) = (config for config in make(restarts=1, families=("none",)) if place(config)[2] is None)
    without = execute(config, dataclasses.replace(resources, logits=False))["result"]
    assert without["logits"] is None and without["predictions"] == result["predictions"]
    assert without["calibration"] == result["calibration"]


def test_scores_of_a_regression_have_fit_and_holdout_but_no_probabilities(make: Make, resources: Resources) -> None:
    config = next(config for config in make(task="pocket-stsb", restarts=1) if place(config)[2])
    result = execute(config, resources)["result"]
    assert result["logits"] is None and result["calibration"] is None
    assert set(result["fit"]) == {"loss", "score", "spearman"} and -1 <= result["holdout"]["score"] <= 1


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("1 0.25", {}, ""),
        ("1 0.25", {"holdout": {"score": 0.99}}, "its holdout score is 0.99, its predictions and labels give"),
        ("1 0.25", {"holdout": {"predictions": [0, 1]}}, "2 holdout predictions for 10 labels"),
        ("0 None", {"calibration": {"brier": 1.25}}, "its brier is 1.25, its logits and the labels give 0."),
        ("0 None", {"logits": encode_logits([[0.0, 1.0]])}, "logits of 1 examples for 400 labels"),
    ],
)
def test_holdout_scores_and_calibration_are_verified(
    records: dict[str, Any], tmp_path: Any, printed: Callable[..., str], name: str, change: dict[str, Any], message: str
) -> None:
    forged = copy.deepcopy(records)
    for field, value in change.items():
        forged[name]["result"][field] |= value
    for record in forged.values():
        write_record(tmp_path / "records", record)
    assert message in printed(verify.main, tmp_path, "--offline", "--allow-incomplete", code=bool(message))


def test_floors_are_tuned_like_families_on_the_same_splits(make: Make, resources: Resources) -> None:
    grid = [config for config in make(restarts=1, floors=("tfidf", "probe", "constant")) if config.floor]
    assert len({config.id for config in grid}) == len(grid) == 3 * (3 + 1)
    assert {config.label for config in grid if not config.tuning.draw} == {
        f"pocket-rte 40 examples {name}(1) restart 0" for name in ("tfidf", "probe", "constant")
    }
    plain = make(restarts=1)[1]
    for config in (config for config in grid if config.tuning.draw == 1):
        assert config.tuning.holdout_hash == plain.tuning.holdout_hash and config.split_hash == plain.split_hash
        assert TrialConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
        result = execute(config, resources)["result"]
        assert result["status"] in ("ok", "failed"), result["reason"]
        assert len(result["predictions"]) == 400 and len(result["holdout"]["predictions"]) == 10
    drawn = [config.floor["c"] for config in grid if config.tuning.family == "floor: tfidf"]
    assert drawn[:2] == [1.0, 1.0] and len(set(drawn)) == 3 and all(1e-3 <= c <= 1e3 for c in drawn)


@pytest.mark.parametrize("name", ["tfidf", "probe", "constant"])
def test_floors_of_a_regression_predict_numbers(make: Make, resources: Resources, name: str) -> None:
    (config,) = (c for c in make(task="pocket-stsb", restarts=1, floors=(name,), budget=1) if c.floor and place(c)[2])
    result = execute(config, resources)["result"]
    assert result["status"] in ("ok", "failed") and all(isinstance(value, float) for value in result["predictions"])
    assert result["collapsed"] == (name == "constant")


def test_records_of_floors_are_verified(
    make: Make, resources: Resources, tmp_path: Any, printed: Callable[..., str]
) -> None:
    for config in make(restarts=1, families=("none",), floors=("tfidf",), budget=1):
        write_record(tmp_path / "records", execute(config, resources))
    assert "Verified: no problem." in printed(verify.main, tmp_path, "--offline", "--rerun", "4")


def test_a_class_that_vanishes_from_the_holdout_is_refused_before_anything_is_trained(
    make: Make, refusal: Callable[..., str]
) -> None:
    said = refusal(make, sizes=(2,))
    assert said.startswith("pocket-rte: the holdout must have examples of every class, got 0 of 2")


def test_the_pooled_protocol_holds_out_by_its_own_shuffle(refusal: Callable[..., str]) -> None:
    data, pooled = Origin(offline=True).load("pocket-rte"), PROTOCOLS["sharma24"]
    small, large = (make_split(data, pooled, fraction=f, split_seed=0, restart=1) for f in (0.02, 0.1))
    held = [{e.id for e in divide(data, pooled, part, 0.25, split_seed=0, restart=1)[1]} for part in (small, large)]
    assert held[0] == held[1] & {example.id for example in small.train}
    assert (len(held[0]), len(small.train)) == (10, 38)
    said = refusal(make_split, data, pooled, fraction=0.1, split_seed=0, restart=1, size=Size("examples", 10))
    assert "sizes in examples must go with data=official, got data=pooled" in said


def test_records_count_the_passes_of_the_training(records: dict[str, Any]) -> None:
    assert records["0 None"]["result"]["passes"] == {"forward": 6, "backward": 6}
    assert passes(parse("dropout(0.1) + rdrop(1)"), 10) == {"forward": 20, "backward": 20}
    assert passes(parse("dropout(0.1) + rdrop(1) + sam(0.05)"), 10) == {"forward": 40, "backward": 40}
    assert passes(parse("freelb"), 10)["forward"] == 10 * type(parse("freelb").terms[0].regularizer)().passes[0]
