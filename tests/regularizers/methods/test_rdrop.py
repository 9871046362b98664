import pytest
import torch

from regularizers.base import Context, Output, criterion
from regularizers.methods._divergence import divergence
from regularizers.methods.rdrop import RDrop


def logits(seed, classes=3):
    return torch.randn(5, classes, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def loss(term, passes, labels):
    """The method's loss where the model's passes give the logits `passes`, one after the other."""
    context, answers = Context(torch.nn.Linear(1, 1)), iter(passes)

    def compute(batch):
        out = next(answers)
        return Output(context.criterion(out, batch["labels"]), out)

    return term.loss(compute, {"labels": labels}, context).loss


@pytest.mark.parametrize("labels", [torch.tensor([0, 2, 1, 1, 0]), torch.tensor([0.0, 2.0, 1.0, 1.0, 4.5]).double()])
def test_the_loss_is_the_mean_of_two_passes_and_their_divergence(labels):
    classes = 1 if labels.is_floating_point() else 3
    a, b = logits(0, classes).requires_grad_(), logits(1, classes).requires_grad_()
    expected = (criterion(a, labels) + criterion(b, labels)) / 2 + 2 * divergence(a, b, labels)
    assert loss(RDrop(2.0), (a, b), labels).item() == pytest.approx(expected.item(), rel=1e-12)
    assert torch.autograd.gradcheck(lambda x, y: loss(RDrop(2.0), (x, y), labels), (a, b))
