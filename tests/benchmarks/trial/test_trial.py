"""One trial: paired, repeatable, isolated, and honest about what became of it."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.data.origin import Origin
from benchmarks.data.sources import examples_hash, load_test
from benchmarks.data.splits import make_split
from benchmarks.data.tasks import find_task
from benchmarks.pocket import TASKS_DIR
from benchmarks.trial.config import TrialConfig
from benchmarks.trial.environment import isolated
from benchmarks.trial.inputs import Resources
from benchmarks.trial.protocol import PROTOCOLS
from benchmarks.trial.trial import execute
from leaderboard.records.store import read_record, write_record
from leaderboard.stats.metrics import spearman
from regularizers.registry import load_plugin

Make = Callable[..., list[TrialConfig]]
Train = Callable[..., dict[str, Any]]
SIX = (
    "dropout(0.1) + wdecay(0, 0.01)",
    "wdecay(w_pre, 0.01)",
    "mixout(w_pre, 0.7)",
    "mixout(w_pre, 0.7) + wdecay(w_pre, 0.01)",
    "mixout(w_pre, 0.7) + head:mixout(w_0, 0.7)",
    "guided_dropout(0, 0.1)",
)
UNMEASURED = ("seconds", "peak_memory")


def outcome(record: dict[str, Any]) -> dict[str, Any]:
    """The part of a record that must repeat."""
    return {key: value for key, value in record["result"].items() if key not in UNMEASURED}


def test_all_strategies_of_a_restart_share_split_head_and_batches(make_configs: Make, resources: Resources) -> None:
    """Pairing is what makes `score[a] - score[b]` a difference between methods and nothing else."""
    records = [execute(config, resources) for config in make_configs("none", "model_default", *SIX, epochs=1)]
    assert [r["result"]["status"] in ("ok", "failed") for r in records] == [True] * 8
    assert len({json.dumps(r["result"]["hashes"]) for r in records}) == 1
    losses = {r["config"]["strategy"]: tuple(r["result"]["train_loss"]) for r in records}
    assert len({losses["none"], losses[SIX[0]], losses["mixout(w_pre, 0.7)"]}) == 3, "they must train differently"


def test_another_restart_changes_head_order_and_split(make_configs: Make, resources: Resources) -> None:
    first, second = (execute(c, resources)["result"]["hashes"] for c in make_configs("none", restarts=2, epochs=1))
    assert all(first[what] != second[what] for what in ("head", "batches", "split"))


@pytest.mark.parametrize("strategy", ["dropout(0.1)", "mixout(w_pre, 0.7)"])
def test_the_same_config_gives_the_same_result_whatever_ran_before(train: Train, strategy: str) -> None:
    first = train(strategy)
    torch.rand(7), random.random(), np.random.rand()
    assert outcome(train(strategy)) == outcome(first)


def test_a_trial_leaves_every_global_random_state_as_it_was(train: Train) -> None:
    torch.manual_seed(5), random.seed(5), np.random.seed(5)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    train("dropout(0.1)")
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (random.getstate(), np.random.get_state()[1].tolist())


def test_the_fork_restores_determinism_and_generator_after_an_error() -> None:
    state, deterministic = torch.get_rng_state(), torch.are_deterministic_algorithms_enabled()
    with pytest.raises(RuntimeError), isolated(3):
        raise RuntimeError
    assert torch.equal(state, torch.get_rng_state())
    assert torch.are_deterministic_algorithms_enabled() == deterministic


def test_a_diverged_run_is_a_failed_run_with_the_floor_as_its_score(train: Train) -> None:
    result = train("none", lr=1e30, warmup=0.0, clip=0.0, fraction=0.2)["result"]
    assert (result["status"], result["failed_by"], result["imputed"]) == ("failed", "diverged", True)
    assert result["score"] == result["floor"]


def test_weights_that_break_in_the_last_step_are_a_diverged_run(
    train: Train, resources: Resources, tmp_path: Path
) -> None:
    """Every loss is finite, the predictions are not: nothing may be scored with such weights, nor stored."""
    settings = {"lr": 1e30, "warmup": 0.0, "clip": 0.0, "epochs": 1, "batch_size": 10_000}
    record = train("none", on=replace(resources, predict_test=True), **settings)
    result = read_record(write_record(tmp_path, record))["result"]
    assert len(result["train_loss"]) == 1 and result["diverged_at"] is None
    assert (result["status"], result["failed_by"], result["imputed"]) == ("failed", "diverged", True)
    assert result["test"] == result["extra"] == {} and result["epochs"] == [] and not result["collapsed"]


def test_best_dev_and_last_differ_where_they_must(make_configs: Make, resources: Resources) -> None:
    """A high rate makes epochs go up and down; `best` kept as an alias of the live weights would equal `last`.

    Which runs end below their best epoch hangs on the last bits: the first of several that does is looked at.
    """
    settings = {"task": "pocket-mrpc", "fraction": 0.1, "epochs": 6, "lr": 2e-3, "schedule": "constant", "restarts": 8}
    lasts, bests = (make_configs("none", selection=selection, **settings) for selection in ("last", "best_dev"))
    for last, best in zip(lasts, bests, strict=True):
        result = execute(last, resources)["result"]
        scores = [epoch["scores"]["f1"] for epoch in result["epochs"]]
        if scores[-1] < max(scores):
            assert result["score"] == scores[-1]
            assert execute(best, resources)["result"]["score"] == max(scores)
            return
    pytest.fail("one of the runs must end below its best epoch")


def test_the_record_passes_the_schema_and_names_what_was_touched(train: Train, tmp_path: Path) -> None:
    record = train("mixout(w_pre, 0.7) + head:mixout(w_0, 0.7)")
    result = read_record(write_record(tmp_path, record))["result"]
    assert result["touched"]["head:mixout(w_0, 0.7)"] == ["classifier"]
    assert len(result["touched"]["mixout(w_pre, 0.7)"]) == 3 * 5 + 1  # q, k, v, attention output, output
    assert result["deviation"] > 0
    assert set(result["seconds"]) >= {"build", "train", "evaluate", "total"}


PLUGIN = """
from regularizers import Regularizer, register

@register("eager_attention")
class EagerAttention(Regularizer):
    def attach(self, context):
        context.model.set_attn_implementation("eager")
        return list(context.parameters())

@register("late_attention")
class LateAttention(Regularizer):
    def loss(self, compute, batch, context):
        if context.training.step:
            context.model.set_attn_implementation("eager")
        return compute(batch)
"""


def test_the_record_says_what_did_nothing(train: Train, tmp_path: Path) -> None:
    record = read_record(write_record(tmp_path, train("rdrop(1)", epochs=1)))
    assert record["result"]["notes"][0].startswith("rdrop(1): its two passes never")


@pytest.mark.parametrize("strategy", ["eager_attention", "late_attention"])
def test_the_record_says_which_pass_was_used(train: Train, resources: Resources, tmp_path: Path, strategy: str) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text(PLUGIN)
    load_plugin(str(plugin))
    on = replace(resources, plugins=(str(plugin),))
    packed, stock = (train(strategy, on=on, epochs=1, forward=way)["result"] for way in ("packed", "stock"))
    assert packed["notes"] == [
        "trained with the forward pass stock in place of packed: a step failed with InputError: a technique must leave "
        "the attention alone or declare forward = 'stock', got attention eager under the packed pass"
    ]
    assert "notes" not in stock and packed["train_loss"] == stock["train_loss"]


def test_pooled_data_trains_and_is_scored_on_its_own_rows(train: Train) -> None:
    record = train("none", protocol="sharma24", epochs=1)
    split = make_split(
        Origin(offline=True).load("pocket-rte"), PROTOCOLS["sharma24"], fraction=0.02, split_seed=0, restart=0
    )
    assert not {example.id for example in split.train} & {example.id for example in split.dev}
    assert len(record["result"]["predictions"]) == len(split.dev) == 480  # 20 % of 2,000 + 400
    assert record["config"]["metric"] == "combined"


def test_all_parts_of_the_model_get_a_deviation_but_the_head(train: Train) -> None:
    """With a rate of almost 0 nothing moves, so the distance from w_pre must be almost 0, head start or not."""
    assert train("none", lr=1e-12)["result"]["deviation"] < 1e-12


def test_test_predictions_come_with_a_result_that_they_do_not_change(train: Train, resources: Resources) -> None:
    trial = {"strategy": "dropout(0.1)", "task": "pocket-stsb", "epochs": 1}
    plain = outcome(train(**trial))
    with_test = outcome(train(**trial, on=replace(resources, predict_test=True)))
    stored = with_test.pop("test")
    assert with_test == plain
    labels = [example.label for example in Origin(offline=True).load("pocket-stsb").dev]
    assert spearman(plain["predictions"], labels) == plain["score"], "exactly"
    assert stored.keys() == {"test"}
    assert len(stored["test"]["predictions"]) == 400
    assert stored["test"]["hash"] == examples_hash(load_test(find_task("pocket-stsb")))
    rows = (TASKS_DIR / "stsb" / "test.tsv").read_text().splitlines()[1:]
    gold = [float(row.split("\t")[-1]) for row in rows]
    found = spearman(stored["test"]["predictions"], gold)
    assert abs(found) > 0.4, "out of order they would be noise"
    assert found == pytest.approx(plain["score"], abs=0.1), "the pocket's test labels are known"
