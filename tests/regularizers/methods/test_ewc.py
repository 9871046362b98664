"""EWC: the penalty entry by entry, which weights it pulls, what it refuses."""

import pytest
import torch

from fisher.common.errors import InputError
from fisher.scores import Scores
from regularizers.base import SkipTrial
from regularizers.testing.tiny_trial import make_batch


@pytest.fixture
def attached(lab, numbers):
    """A trial with EWC on made-up scores of the encoder, and those scores by the names of the base model."""

    def build(change=lambda values: values):
        values = {n.removeprefix("bert."): numbers(*p.shape, seed=4).square() for n, p in lab("none").start.items()
                  if n.startswith("bert.") and "pooler" not in n}  # fmt: skip
        return lab("ewc(3)", fisher={"estimate": Scores(change(values))}), values

    return build


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


def test_the_loss_adds_strength_times_the_penalty(attached, numbers):
    (trial, values), batch = attached(), make_batch(0)
    start = trial.bound.loss(batch).loss
    assert torch.equal(start, trial.context.compute(batch).loss)  # at w_pre the penalty is 0
    with torch.no_grad():
        for parameter in trial.model.parameters():
            parameter.add_(numbers(*parameter.shape, seed=9))
    inner = trial.context.compute(batch).loss
    parts = {name: values[name.removeprefix("bert.")] for name in trial.touched}
    slow = 3 * 0.5 * sum((part * numbers(*part.shape, seed=9).square()).sum() for part in parts.values())
    assert abs(((trial.bound.loss(batch).loss - inner) / slow).item() - 1) <= 1e-10


def test_a_diagonal_of_another_shape_is_refused(attached):
    with pytest.raises(
        InputError, match=r"ewc must have a diagonal of shape \(60, 16\) for bert.embeddings.word_embed"
    ):
        attached(change=lambda values: {name: value.mean() for name, value in values.items()})


def test_scores_of_other_names_skip_the_trial(attached):
    with pytest.raises(SkipTrial, match="ewc finds no weight of this model among the scores of estimate"):
        attached(change=lambda values: {f"other.{name}": value for name, value in values.items()})
