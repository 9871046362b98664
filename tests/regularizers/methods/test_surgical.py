"""Surgical fine-tuning: which layers train, and that nothing else moves."""

import pytest
import torch

from fisher.scores import Scores
from regularizers.methods.surgical import highest


def attached(lab, text, weights=(1.0, 3.0, 2.0), diagonal=True):
    """A trial of a three-layer BERT whose layers have the given scores per parameter."""
    values = {}
    for name, p in lab("none").start.items():
        base = name.removeprefix("bert.")
        score = weights[int(base.split(".")[2])] if base.startswith("encoder.layer.") else 100.0
        if name.startswith("bert."):
            values[base] = torch.full(p.shape, score) if diagonal else torch.tensor(score)
    return lab(text, fisher={"estimate": Scores(values)})


def moved(trial):
    named = trial.model.named_parameters()
    return {name for name, p in named if name not in trial.start or not torch.equal(p, trial.start[name])}


def test_highest_takes_the_first_of_equal_scores():
    assert highest({"a": 1.0, "b": 2.0, "c": 1.0, "d": 0.0}, 2) == ["a", "b"]
    assert highest({"a": 1.0, "b": 2.0, "c": 1.0}, 3) == ["a", "b", "c"]


@pytest.mark.parametrize("diagonal", [True, False])
def test_only_the_chosen_layers_and_the_head_move(lab, diagonal):
    trial = attached(lab, "surgical(2)", diagonal=diagonal)
    trial.run(2)
    expected = {
        n for n in trial.start if n.startswith(("bert.encoder.layer.1.", "bert.encoder.layer.2.", "classifier."))
    }
    assert moved(trial) == expected == set(trial.touched)
    with_gradient = {name for name, p in trial.model.named_parameters() if p.grad is not None}
    assert with_gradient == expected, "clipping would see the gradients of frozen weights"


def test_score_of_a_layer_is_the_sum_over_its_parameters(lab):
    trial = attached(lab, "surgical(1)")
    size = sum(p.numel() for n, p in trial.start.items() if n.startswith("bert.encoder.layer.0."))
    layers = [f"bert.encoder.layer.{i}." for i in range(3)]
    assert trial.term.layer_scores(trial.context) == pytest.approx(
        dict(zip(layers, (size, 3 * size, 2 * size), strict=True))
    )


def test_decay_leaves_the_frozen_alone_and_learned_noise_still_learns(lab):
    trial = attached(lab, "surgical(1) + variational_dropout(0.1) + wdecay(0, 0.1)")
    trial.run(2)
    changed = {name for name in moved(trial) if not name.endswith("log_alpha")}
    assert all(name.startswith(("bert.encoder.layer.1.", "classifier.")) for name in changed)
    alphas = [p for n, p in trial.model.named_parameters() if n.endswith("log_alpha")]
    assert alphas and all(p.grad is not None for p in alphas)
