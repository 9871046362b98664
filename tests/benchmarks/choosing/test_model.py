"""The model that comes out: plain weights of the same predictions, and no model where there is none to have."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from benchmarks.choosing.result import Fitted, fit_on_all, model_card, save
from benchmarks.trial.config import TrialConfig
from benchmarks.trial.inputs import Resources


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("mixout(w_pre, 0.5)", " text is `sentence1` and `sentence2`. The regularizer is folded in: these are plain"),
        ("none", " text is `sentence1` and `sentence2`. These are plain weights."),
    ],
)
def test_the_card_says_what_was_fitted(
    strategy: str, expected: str, resources: Resources, make_configs: Callable[..., list[TrialConfig]]
) -> None:
    [config] = make_configs(strategy)
    fitted = Fitted(None, None, seed=1, score=0.75)  # type: ignore[arg-type]
    card = model_card(config, resources.data.load(config.task, None), fitted, ["Use it."], {"metric": "f1"})
    assert expected in card and "- Use it." in card and "- metric: f1" in card
    assert "with seed 1; its score on these rows is 75.0, which says nothing of new ones" in card


@pytest.mark.parametrize("strategy", ["mixout(w_pre, 0.5)", "ema(0.5)", "gaussian_dropout(0.1)", "lora(lr=0.01)"])
def test_what_a_technique_leaves_is_folded_into_plain_weights(
    strategy: str, tmp_path: Path, resources: Resources, make_configs: Callable[..., list[TrialConfig]]
) -> None:
    [config] = make_configs(strategy, epochs=6)
    data = resources.data.load(config.task, None)
    data = dataclasses.replace(data, train=data.train[:24], dev=data.dev[:8])
    fitted = fit_on_all(config, resources, data)
    save(fitted, data, tmp_path / "model", max_length=40, card="# a model\n")
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model")
    assert loaded.state_dict().keys() == fitted.model.state_dict().keys()
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in fitted.model.state_dict().items())
    assert loaded.config.id2label == {0: "entailment", 1: "not_entailment"}
    assert (tmp_path / "model" / "README.md").read_text() == "# a model\n"


def test_a_configuration_that_fails_on_its_own_rows_gives_no_model(
    resources: Resources, make_configs: Callable[..., list[TrialConfig]], refusal: Callable[..., str]
) -> None:
    [config] = make_configs("none", epochs=1, lr=1e-12)
    data = resources.data.load(config.task, None)
    data = dataclasses.replace(data, train=data.train[:24], dev=())
    said = refusal(fit_on_all, config, resources, data)
    assert said.startswith("none failed on all rows with 3 seeds: no score above a constant")
