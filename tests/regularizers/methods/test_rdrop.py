import math

import pytest
import torch

from regularizers.base import Context, Output
from regularizers.methods.rdrop import RDrop


def slow_disagreement(first, second):
    """KL in both directions, example by example and class by class."""
    total = 0.0
    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        p = [math.exp(x) / sum(math.exp(y) for y in a) for x in a]
        q = [math.exp(x) / sum(math.exp(y) for y in b) for x in b]
        total += sum(x * math.log(x / y) for x, y in zip(p, q, strict=True)) / 2
        total += sum(y * math.log(y / x) for x, y in zip(p, q, strict=True)) / 2
    return total / len(first)


def logits(seed, classes=3):
    return torch.randn(5, classes, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def loss(term, passes, labels):
    """The method's loss where the model's passes give the logits `passes`, one after the other."""
    context, answers = Context(torch.nn.Linear(1, 1)), iter(passes)

    def compute(batch):
        out = next(answers)
        return Output(context.criterion(out, batch["labels"]), out)

    return term.loss(compute, {"labels": labels}, context).loss


def test_the_loss_and_its_gradient_equal_the_reference():
    a, b, labels = logits(0).requires_grad_(), logits(1).requires_grad_(), torch.tensor([0, 2, 1, 1, 0])
    value = loss(RDrop(2.0), (a, b), labels)
    nll = [-sum(float(x.detach().log_softmax(-1)[i, y]) for i, y in enumerate(labels)) / 5 for x in (a, b)]
    assert value.item() == pytest.approx(sum(nll) / 2 + 2 * slow_disagreement(a, b), rel=1e-12)
    assert torch.autograd.gradcheck(lambda x, y: loss(RDrop(2.0), (x, y), labels), (a, b))


def test_regression_compares_the_values():
    a, b, labels = logits(0, 1), logits(1, 1), torch.rand(5, dtype=torch.float64)
    rows = list(zip(a.squeeze(1).tolist(), b.squeeze(1).tolist(), labels.tolist(), strict=True))
    expected = sum(((x - y) ** 2 + (z - y) ** 2) / 2 + 2 * (x - z) ** 2 for x, z, y in rows) / 5
    assert float(loss(RDrop(2.0), (a, b), labels)) == pytest.approx(expected, rel=1e-12)
