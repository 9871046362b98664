"""EWC: the penalty against a slow sum, which weights it pulls, what it refuses."""

import pytest
import torch

from fisher.common.errors import InputError
from fisher.scores import Scores
from regularizers.base import SkipTrial
from regularizers.methods.ewc import ewc_penalty
from regularizers.strategy import parse
from regularizers.testing.tiny_trial import make_batch


@pytest.fixture
def attached(lab, numbers):
    """A trial with EWC on made-up scores of the encoder, and those scores by the names of the base model."""

    def build(change=lambda values: values):
        values = {n.removeprefix("bert."): numbers(*p.shape, seed=4).square() for n, p in lab("none").start.items()
                  if n.startswith("bert.") and "pooler" not in n}  # fmt: skip
        return lab("ewc(3)", fisher={"estimate": Scores(change(values))}), values

    return build


def test_penalty_equals_the_slow_reference(numbers):
    weights, targets = [numbers(2, 3), numbers(4)], [numbers(2, 3, seed=1), numbers(4, seed=2)]
    fisher = [numbers(2, 3, seed=3).square(), numbers(4, seed=5).square()]
    slow = 0.0
    for w, u, f in zip(weights, targets, fisher, strict=True):
        for a, b, c in zip(w.flatten().tolist(), u.flatten().tolist(), f.flatten().tolist(), strict=True):
            slow += 0.5 * c * (a - b) ** 2
    assert abs(ewc_penalty(weights, targets, fisher).item() / slow - 1) <= 1e-10


def test_gradient_is_fisher_times_distance(numbers):
    weight, target, fisher = numbers(3, 2).requires_grad_(), numbers(3, 2, seed=1), numbers(3, 2, seed=2).square()
    assert torch.autograd.gradcheck(lambda w: ewc_penalty([w], [target], [fisher]), weight)
    ewc_penalty([weight], [target], [fisher]).backward()
    assert torch.allclose(weight.grad, fisher * (weight.detach() - target), rtol=1e-12, atol=1e-12)


def test_acts_on_the_weights_that_have_a_score_and_no_others(attached):
    trial, values = attached()
    assert trial.touched == [n for n in trial.start if n.removeprefix("bert.") in values]
    assert not any(name.startswith(("classifier", "bert.pooler")) for name in trial.touched)


def test_its_numbers_follow_the_weights_to_another_type(attached):
    trial, _ = attached()
    trial.model.float()
    loss = trial.bound.loss(trial.batches[0]).loss
    assert {value.dtype for value in (*trial.term._targets, *trial.term._fisher)} == {
        torch.float32
    } and loss.dtype == torch.float32


def test_the_loss_adds_strength_times_the_penalty(attached):
    (trial, values), batch = attached(), make_batch(0)
    start = trial.bound.loss(batch).loss
    assert torch.equal(start, trial.context.compute(batch).loss)  # at w_pre the penalty is 0
    with torch.no_grad():
        for parameter in trial.model.parameters():
            parameter.add_(0.1)
    inner = trial.context.compute(batch).loss
    slow = 3 * 0.5 * sum(values[name.removeprefix("bert.")].sum() * 0.1**2 for name in trial.touched)
    assert abs(((trial.bound.loss(batch).loss - inner) / slow).item() - 1) <= 1e-10


def test_a_diagonal_of_another_shape_is_refused(attached):
    with pytest.raises(
        InputError, match=r"ewc must have a diagonal of shape \(60, 16\) for bert.embeddings.word_embed"
    ):
        attached(change=lambda values: {name: value.mean() for name, value in values.items()})


def test_scores_of_other_names_skip_the_trial(attached):
    with pytest.raises(SkipTrial, match="ewc finds no weight of this model among the scores of estimate"):
        attached(change=lambda values: {f"other.{name}": value for name, value in values.items()})


def test_it_names_its_source():
    assert parse("ewc(1) + surgical(2, fisher=f.safetensors)").fisher_sources() == ["estimate", "f.safetensors"]
