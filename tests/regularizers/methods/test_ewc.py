"""EWC: the penalty entry by entry, which weights it pulls."""

import pytest
import torch

from fisher.scores import Scores
from regularizers.testing.tiny_trial import make_batch


@pytest.fixture
def attached(lab, numbers):
    """A trial with EWC on made-up scores of the encoder, and those scores by the names of the base model."""

    def build():
        values = {n.removeprefix("bert."): numbers(*p.shape, seed=4).square() for n, p in lab("none").start.items()
                  if n.startswith("bert.") and "pooler" not in n}  # fmt: skip
        return lab("ewc(3)", fisher={"estimate": Scores(values)}), values

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
