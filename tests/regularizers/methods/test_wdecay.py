"""Weight decay: exactly the named parameters, exactly lr * lambda * (w - u)."""

import pytest
import torch

from regularizers.strategy import parse

LR, STRENGTH = 1e-2, 0.3


def expected_names(start, head):
    names = [n for n in start if not n.endswith("bias") and "LayerNorm" not in n]
    return [n for n in names if head or not n.startswith("classifier")]


def step_without_gradient(trial):
    """One step of the optimizer where the task gives no gradient; returns the weights before."""
    before = trial.parameters()
    for parameter in trial.model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    trial.bound.update(trial.context.training.optimizer.step)
    return before


@pytest.mark.parametrize("target", ["0", "w_pre", "w_0"])
def test_with_gradient_zero_one_step_moves_by_lr_lambda_distance_and_nothing_else(lab, target):
    trial = lab(f"{'head:' if target == 'w_0' else ''}wdecay({target}, {STRENGTH})", lr=LR).shift()
    names = ["classifier.weight"] if target == "w_0" else expected_names(trial.start, head=target == "0")
    assert trial.touched == names
    moved = step_without_gradient(trial)
    for name, parameter in trial.parameters().items():
        before, goal = moved[name], 0 if target == "0" else trial.start[name]
        assert torch.equal(parameter, before) == (name not in names), name
        want = before - LR * STRENGTH * (before - goal) if name in names else before
        assert torch.allclose(parameter, want, rtol=1e-12, atol=1e-15), name


def test_plain_decay_leaves_the_head_to_its_own_term(lab):
    assert "classifier.weight" in lab("wdecay(0, 0.1)").touched
    assert "classifier.weight" not in lab("wdecay(0, 0.1) + head:none").touched


def test_t5s_normalisation_layers_do_not_decay(family_model):
    from regularizers.base import Context

    model, head = family_model("t5")
    touched = parse("wdecay(0, 0.1)").bind(Context(model, head)).attach()["wdecay(0, 0.1)"]
    assert not any("layer_norm" in name for name in touched) and "transformer.shared.weight" in touched


def test_coupled_form_adds_to_the_gradient_and_does_not_decay_too(lab):
    """The sum is that which stands for L2-SP: toward the start in the body, toward 0 in the head."""
    trial = lab(f"wdecay(w_pre, {STRENGTH}, form=coupled) + head:wdecay(0, 0.2, form=coupled)", lr=LR)
    plain = lab("none", lr=LR)
    for each in (trial, plain):
        each.shift()
        each.bound.gradients(lambda each=each: each.bound.loss(each.batches[0]).loss.backward())
    for (name, coupled), (_, own) in zip(trial.model.named_parameters(), plain.model.named_parameters(), strict=True):
        pull = STRENGTH * (own.detach() - trial.start[name]) if name in trial.touched else 0
        pull = 0.2 * own.detach() if name == "classifier.weight" else pull
        assert torch.allclose(coupled.grad, own.grad + pull, rtol=1e-10, atol=1e-12), name
    before = step_without_gradient(trial)
    assert all(torch.equal(p, before[name]) for name, p in trial.parameters().items())


def test_decay_follows_the_learning_rate_of_each_group(lab):
    trial = lab("wdecay(0, 0.5)", lr=LR)
    optimizer, name = trial.context.training.optimizer, "bert.embeddings.word_embeddings.weight"
    first = optimizer.param_groups[0]["params"]
    at = next(i for i, p in enumerate(first) if p is trial.model.get_parameter(name))
    optimizer.add_param_group({"params": [first.pop(at)], "lr": 10 * LR})
    trial.bound.update(lambda: None)
    for each in trial.touched:
        shrink = 1 - 0.5 * LR * (10 if each == name else 1)
        assert torch.allclose(trial.model.get_parameter(each), trial.start[each] * shrink, rtol=1e-12, atol=0), each


@pytest.mark.parametrize(
    "text",
    [
        "layerwise_lr(0.9) + head:wdecay(0, 0.01)",
        "variational_dropout(0.1) + wdecay(0, 0.01)",
        "lora(2, 4) + head:wdecay(0, 0.01)",
        "bitfit(0.005) + head:wdecay(0, 0.01)",
    ],
)
def test_a_learning_rate_at_which_nothing_decays_is_passed_over(lab, text):
    """Each of these has a group of parameters, at a rate of its own, of which none decays."""
    assert all(loss > 0 for loss in lab(text, lr=7e-3).run(2))
