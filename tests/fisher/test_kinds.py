"""Monte-Carlo and exact Fisher against an expectation written out over all joint labels."""

from itertools import product

import pytest
import torch

from fisher.estimation.diagonal import draw_labels, exact_fisher, require_few_passes
from fisher.pretraining.objectives import TokenLoss, collate
from fisher.seeds import generator


class Tiny(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.out = torch.nn.Linear(2, 3, dtype=torch.float64)

    def forward(self, x):
        return self.out(x)


def loss_of(reduction):
    return TokenLoss(lambda model, batch: model(batch["x"]), reduction)


@pytest.fixture
def samples():
    torch.manual_seed(2)
    return [{"x": torch.randn(2, 2, dtype=torch.float64), "labels": torch.tensor([0, 1])} for _ in range(2)]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_exact_is_the_expectation_over_joint_labels(samples, reduction):
    model, loss = Tiny(), loss_of(reduction)
    expected = {name: torch.zeros_like(value) for name, value in model.named_parameters()}
    for sample in samples:
        log_p = model(sample["x"]).detach().log_softmax(-1)
        for labels in product(range(3), repeat=2):
            weight = float(sum(log_p[j, v] for j, v in enumerate(labels)).exp())
            value = loss(model, collate([{**sample, "labels": torch.tensor(labels)}])).sum()
            gradients = torch.autograd.grad(value, model.parameters(), retain_graph=True)
            for name, gradient in zip(expected, gradients, strict=True):
                expected[name] += weight * gradient**2 / len(samples)
    found = exact_fisher(model, samples, loss)
    assert all(torch.allclose(found[name], value, rtol=1e-10) for name, value in expected.items())


def test_drawn_labels_follow_the_model_and_leave_padding_alone(samples):
    model, loss = Tiny(), loss_of("mean")
    batch = collate([{**samples[0], "labels": torch.tensor([0, -100])}])
    counts = torch.zeros(3, dtype=torch.float64)
    for number in range(4000):
        labels = draw_labels(model, batch, loss, [generator(number)])["labels"]
        assert labels[0, 1] == -100
        counts[labels[0, 0]] += 1
    assert torch.allclose(counts / 4000, model(samples[0]["x"])[0].softmax(-1), atol=0.03)


def test_drawn_labels_depend_on_the_generator_alone(samples):
    model, loss = Tiny(), loss_of("mean")
    alone = [draw_labels(model, collate([s]), loss, [generator(k)])["labels"][0] for k, s in enumerate(samples)]
    together = draw_labels(model, collate(samples), loss, [generator(0), generator(1)])["labels"]
    assert torch.equal(torch.stack(alone), together)


def test_exact_is_for_tiny_models(refusal):
    assert "at most 1000000 backward passes, but about 1000001 are needed; use mc" in refusal(
        require_few_passes, 1_000_001
    )
