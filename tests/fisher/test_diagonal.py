"""The one-sample estimators against Jacobians and expectations that are written out."""

import re
from itertools import product

import pytest
import torch

from fisher.estimation.diagonal import draw_labels, empirical_fisher, exact_fisher, require_few_passes, require_finite
from fisher.pretraining.objectives import TokenLoss, collate
from fisher.seeds import generator

FAMILIES = ["bert", "gpt2", "t5"]


def own_loss(model, sample):
    """Mean negative log-probability of the labels, from the logits at all positions."""
    inputs = {name: value[None] for name, value in sample.items() if name not in ("labels", "positions")}
    log_probabilities = model(**inputs).logits[0].log_softmax(-1)  # (length, vocabulary)
    positions = sample.get("positions", torch.arange(len(sample["labels"])))
    return -sum(log_probabilities[i, y] for i, y in zip(positions, sample["labels"], strict=True)) / len(positions)


@pytest.mark.parametrize("family", FAMILIES)
def test_equals_the_squared_jacobian_of_single_losses(family, case):
    model, samples, loss = case(family, 5)
    diagonal = empirical_fisher(model, samples, loss)
    parameters = dict(model.named_parameters())
    rows = [torch.autograd.grad(own_loss(model, s), parameters.values(), allow_unused=True) for s in samples]
    for number, (name, parameter) in enumerate(parameters.items()):
        squares = [torch.zeros_like(parameter) if row[number] is None else row[number] ** 2 for row in rows]
        assert torch.allclose(diagonal[name], sum(squares) / 5, rtol=1e-10, atol=1e-18), name


def test_tied_parameters_stand_once_and_no_gradient_is_zero(case):
    model, samples, loss = case("bert", 2)
    model.bert.extra = torch.nn.Parameter(torch.ones(3))
    diagonal = empirical_fisher(model, samples, loss)
    assert "bert.embeddings.word_embeddings.weight" in diagonal
    assert "cls.predictions.decoder.weight" not in diagonal
    assert torch.equal(diagonal["bert.extra"], torch.zeros(3, dtype=torch.float64))


def test_dropout_is_off_and_modes_and_gradients_stay_as_they_were(case):
    model, samples, loss = case("bert", 3)
    model.train()
    model.bert.encoder.layer[0].eval()
    modes = [module.training for module in model.modules()]
    first, second = (empirical_fisher(model, samples, loss) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_callers_own_loss_and_samples_will_do():
    model = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.ones_(model.weight)
    samples = [
        {"x": torch.tensor([1.0, 2.0]), "y": torch.tensor(0.0)},
        {"x": torch.tensor([1.0, 0.0]), "y": torch.tensor(1.0)},
    ]

    def loss(model, batch):
        return 0.5 * (model(batch["x"]).squeeze(1) - batch["y"]) ** 2

    diagonal = empirical_fisher(model, samples, loss)
    assert diagonal["weight"].tolist() == [[4.5, 18.0]]  # gradients (3, 6) and (0, 0)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [([], "at least one sample, got none"), ([1.0, float("nan")], "that of sample 1 is not: check the weights")],
)
def test_no_sample_and_a_loss_that_is_not_finite_are_refused(inputs, message, refusal):
    samples = [{"x": torch.tensor([value])} for value in inputs]
    assert re.search(
        message,
        refusal(empirical_fisher, torch.nn.Linear(1, 1), samples, lambda model, batch: model(batch["x"]).squeeze(1)),
    )


def test_the_sample_of_a_batch_is_named_by_its_own_number(refusal):
    assert "that of sample 60 is not: check the weights" in refusal(
        require_finite, torch.tensor([1.0, float("inf"), float("nan")]), [68, 60, 7]
    )


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
