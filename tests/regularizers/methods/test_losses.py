"""label_smoothing, flooding and rdrop: their losses of given logits."""

import pytest
import torch
from torch import nn

from regularizers.base import Context, Output, criterion
from regularizers.methods._divergence import divergence
from regularizers.methods.flooding import Flooding
from regularizers.methods.label_smoothing import LabelSmoothing
from regularizers.methods.rdrop import RDrop

LABELS = torch.tensor([0, 1, 2, 3, 3, 0])


def outer(term, labels, *passes):
    """The term's loss where the model's passes give these logits, one after the other."""
    context, answers = Context(nn.Linear(1, 1)), iter(passes)

    def compute(batch):
        logits = next(answers)
        return Output(context.criterion(logits, batch["labels"]), logits)

    return term.loss(compute, {"labels": labels}, context).loss


@pytest.fixture
def logits(numbers):
    return numbers(6, 4).requires_grad_()


def test_smoothing_equals_the_cross_entropy_of_soft_targets(logits):
    soft = 0.8 * nn.functional.one_hot(LABELS, 4).double() + 0.2 / 4
    expected = -(soft * (logits.exp() / logits.exp().sum(1, keepdim=True)).log()).sum(1).mean()
    value = outer(LabelSmoothing(0.2), LABELS, logits)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    mine, theirs = (torch.autograd.grad(loss, logits)[0] for loss in (value, expected))
    torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize(("b", "sign"), [(0.5, 1.0), (5.0, -1.0)])
def test_flooding_turns_the_gradient_round_below_the_level(b, sign, logits):
    plain = nn.functional.cross_entropy(logits, LABELS)
    value = outer(Flooding(b), LABELS, logits)
    assert value.item() == pytest.approx(abs(plain.item() - b) + b, rel=1e-12) and value.item() >= b
    flooded, full = (torch.autograd.grad(loss, logits)[0] for loss in (value, plain))
    torch.testing.assert_close(flooded, sign * full, rtol=1e-12, atol=0)


@pytest.mark.parametrize("classes", [3, 1])
def test_rdrop_adds_the_divergence_of_two_passes_to_their_mean(classes, numbers):
    a, b = (numbers(6, classes, seed=seed).requires_grad_() for seed in (0, 1))
    labels = LABELS % 3 if classes == 3 else LABELS.double()
    expected = (criterion(a, labels) + criterion(b, labels)) / 2 + 2 * divergence(a, b, labels)
    assert outer(RDrop(2.0), labels, a, b).item() == pytest.approx(expected.item(), rel=1e-12)
    assert torch.autograd.gradcheck(lambda x, y: outer(RDrop(2.0), labels, x, y), (a, b))


def test_smoothing_is_flooded_and_rdrop_averages_the_outcome(lab):
    trial = lab("flooding(5) + label_smoothing(0.2) + rdrop(3)")
    batch = trial.batches[0]
    logits = trial.context.compute(batch).logits
    smooth = nn.functional.cross_entropy(logits, batch["labels"], label_smoothing=0.2)
    torch.testing.assert_close(trial.bound.loss(batch).loss, (smooth - 5).abs() + 5, rtol=1e-12, atol=0)
