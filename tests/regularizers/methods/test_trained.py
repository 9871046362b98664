"""Who trains, and when: bitfit, freeze, surgical, lp_ft and gradual_unfreezing."""

import pytest
import torch

from fisher.scores import Scores
from regularizers.methods.gradual_unfreezing import lowest_trained
from regularizers.methods.surgical import highest

STAGES = {"bert.embeddings": 0, "encoder.layer.0.": 1, "encoder.layer.1.": 2, "encoder.layer.2.": 3}
HEAD = {"classifier.weight", "classifier.bias"}


def stage(name):
    return next((at for part, at in STAGES.items() if part in name), 4)


@pytest.fixture(params=["diagonal", "means"])
def scores(request, lab):
    """Scores whose layers have 1, 3 and 2 per parameter, the embeddings and the pooler more."""
    values = {}
    for name, p in lab("none").start.items():
        score = {1: 1.0, 2: 3.0, 3: 2.0}.get(stage(name), 100.0)
        values[name.removeprefix("bert.")] = torch.full(p.shape if request.param == "diagonal" else (), score)
    return {"estimate": Scores(values)}


TRAINED = {
    "bitfit(0.004)": lambda name: name.endswith("bias") or name in HEAD,
    "freeze(0)": lambda name: stage(name) > 0,
    "freeze(1)": lambda name: stage(name) > 1,
    "surgical(2)": lambda name: stage(name) in (2, 3) or name in HEAD,
}


@pytest.mark.parametrize("text", TRAINED)
def test_what_trains_has_its_whole_gradient_and_nothing_else_moves(text, lab, scores):
    trial, plain = lab(text, fisher=scores), lab("none")
    trained = set(filter(TRAINED[text], trial.start))
    listed = {"bitfit": trained - HEAD, "freeze": trial.start.keys() - trained, "surgical": trained}
    assert set(trial.touched) == listed[text.partition("(")[0]]
    assert trial.rates() == dict.fromkeys(trained, 0.004 if "bitfit" in text else 1e-2)
    trial.run(1), plain.run(1)
    for name, p in trial.model.named_parameters():
        assert torch.equal(p, trial.start[name]) == (name not in trained), name
        full = plain.model.get_parameter(name).grad if name in trained else None  # clipping sees no other gradient
        torch.testing.assert_close(p.grad, full, rtol=1e-10, atol=1e-14)


def test_highest_takes_the_first_of_equal_scores():
    assert highest({"a": 1.0, "b": 2.0, "c": 1.0, "d": 0.0}, 2) == ["a", "b"]
    assert highest({"a": 1.0, "b": 2.0, "c": 1.0}, 3) == ["a", "b", "c"]


def test_score_of_a_layer_is_the_sum_over_its_parameters(lab, scores):
    trial = lab("surgical(1)", fisher=scores)
    size = sum(p.numel() for name, p in trial.start.items() if stage(name) == 1)
    expected = {f"bert.encoder.layer.{at}.": factor * size for at, factor in enumerate((1, 3, 2))}
    assert trial.term.layer_scores(trial.context) == pytest.approx(expected)


def test_decay_leaves_the_frozen_alone_and_learned_noise_still_learns(lab, scores):
    trial = lab("surgical(1) + variational_dropout(0.1) + wdecay(0, 0.1)", fisher=scores)
    trial.run(2)
    for name, p in trial.model.named_parameters():
        if name.endswith("log_alpha"):
            assert p.grad is not None, name
        elif stage(name) != 2 and name not in HEAD:
            assert torch.equal(p, trial.start[name]), name


def trained(trial):
    """Names of what moves in the next step, and of what Adam has a state for."""
    before = trial.parameters()
    trial.run(1)
    moved = {name for name, p in trial.parameters().items() if not torch.equal(p, before[name])}
    state = trial.context.training.optimizer.state
    return moved, {name for name, p in trial.model.named_parameters() if p in state}


@pytest.mark.parametrize(("share", "alone"), [(0.4, 2), (0.41, 3), (1, 5)])
def test_the_head_trains_alone_at_first(share, alone, lab):
    trial = lab(f"lp_ft({share})")
    for step in range(5):
        moved, known = trained(trial)
        assert (moved == known == HEAD) if step < alone else moved > HEAD


def test_layers_join_from_the_top(lab):
    trial = lab("gradual_unfreezing(0.8)")
    for step in range(5):
        moved, known = trained(trial)
        assert min(map(stage, moved)) == 4 - step == min(map(stage, known))
        assert {stage(name) for name in moved} == set(range(4 - step, 5))


def test_stages_share_the_steps_evenly_and_all_train_afterwards():
    steps = [lowest_trained(step, 100, 0.5, 13) for step in range(100)]
    assert steps[0] == 13 and steps[50:] == [0] * 50 and sorted(steps, reverse=True) == steps
    counts = [steps[:50].count(at) for at in range(1, 14)]
    assert min(counts) >= 3 and max(counts) <= 4 and sum(counts) == 50
    assert lowest_trained(0, 100, 0, 13) == 0 and lowest_trained(99, 100, 1, 13) == 1
