"""The one-sample estimator against the Jacobian of losses written out token by token."""

import re

import pytest
import torch

from fisher.estimation.diagonal import empirical_fisher, require_finite

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
