import pytest
import torch
from torch import nn

from regularizers.base import Context, Output
from regularizers.methods.flooding import Flooding
from regularizers.methods.label_smoothing import LabelSmoothing


def outer(term, logits, labels):
    """The term's loss on given logits."""
    context = Context(nn.Linear(1, 1))
    return term.loss(lambda b: Output(context.criterion(logits, b["labels"]), logits), {"labels": labels}, context).loss


def test_smoothing_equals_the_cross_entropy_of_soft_targets():
    logits = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    labels = torch.tensor([0, 1, 2, 3, 3, 0])
    soft = 0.8 * nn.functional.one_hot(labels, 4).double() + 0.2 / 4
    expected = -(soft * (logits.exp() / logits.exp().sum(1, keepdim=True)).log()).sum(1).mean()
    value = outer(LabelSmoothing(0.2), logits, labels)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    mine, theirs = torch.autograd.grad(value, logits)[0], torch.autograd.grad(expected, logits)[0]
    torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize(("b", "sign"), [(0.5, 1.0), (5.0, -1.0)])
def test_flooding_turns_the_gradient_round_below_the_level(b, sign):
    logits = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    labels = torch.tensor([0, 1, 2, 3, 3, 0])
    plain = nn.functional.cross_entropy(logits, labels)
    value = outer(Flooding(b), logits, labels)
    assert value.item() == pytest.approx(abs(plain.item() - b) + b, rel=1e-12) and value.item() >= b
    flooded, full = torch.autograd.grad(value, logits)[0], torch.autograd.grad(plain, logits)[0]
    torch.testing.assert_close(flooded, sign * full, rtol=1e-12, atol=0)


def test_smoothing_is_flooded_and_rdrop_averages_the_outcome(lab):
    trial = lab("flooding(5) + label_smoothing(0.2) + rdrop(3)")
    batch = trial.batches[0]
    logits = trial.context.compute(batch).logits
    smooth = nn.functional.cross_entropy(logits, batch["labels"], label_smoothing=0.2)
    torch.testing.assert_close(trial.bound.loss(batch).loss, (smooth - 5).abs() + 5, rtol=1e-12, atol=0)
