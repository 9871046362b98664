"""The context, what a regularizer saves, and the loss both of classification and regression."""

import math
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from regularizers.base import Regularizer, criterion, linear_layers

BY_2, BY_1 = math.log1p(math.exp(-2)), math.log1p(math.exp(-1))  # losses where the right logit is larger by 2 and by 1
HALF = torch.tensor([[3.796875]], dtype=torch.bfloat16)


@pytest.mark.parametrize(
    ("outputs", "labels", "expected"),
    [
        (
            torch.tensor([[2.0, 0.0], [0.0, 1.0]]),
            torch.tensor([0, 1]),
            (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 2,
        ),
        (torch.tensor([[1.0], [3.0]]), torch.tensor([0.0, 1.0]), 2.5),
        (HALF, torch.tensor([3.8]), (3.796875 - 3.8) ** 2),  # labels are not rounded to half precision
        (HALF.double(), torch.tensor([3.8], dtype=torch.float64), (3.796875 - 3.8) ** 2),
    ],
)
def test_criterion_is_mean_cross_entropy_or_mean_squared_error(outputs, labels, expected):
    loss = criterion(outputs, labels)
    assert loss.dtype == (torch.float64 if outputs.dtype == torch.float64 else torch.float32)
    assert loss.item() == pytest.approx(expected, rel=1e-12 if loss.dtype == torch.float64 else 1e-3)


@pytest.mark.parametrize(("scope", "body", "head"), [("all", True, True), ("body", True, False), ("head", False, True)])
def test_scopes(lab, scope, body, head):
    context = lab("none").context.scoped(scope)
    names = set(context.parameters())
    assert ("bert.pooler.dense.weight" in names) == body and ("classifier.weight" in names) == head
    assert any(site.kind == "head" for site in context.dropout_sites()) == head
    assert any(site.kind != "head" for site in context.dropout_sites()) == body


def test_scoped_contexts_share_the_training_and_what_was_added(lab):
    context = lab("none").context
    context.scoped("head").training.step = 7
    context.scoped("body").added.add("x")
    assert context.training.step == 7 and context.added == {"x"}


def test_frozen_and_added_parameters_are_not_its_parameters(lab):
    context = lab("none").context
    context.model.classifier.bias.requires_grad_(False)
    context.added.add("classifier.weight")
    assert not {"classifier.bias", "classifier.weight"} & set(context.parameters())


def test_linear_layers_of_both_kinds(family_model):
    model, _ = family_model("gpt2")
    names = list(linear_layers(model))
    assert "transformer.h.0.mlp.c_proj" in names and names[-1] == "score" and len(names) == 2 * 4 + 1


@dataclass
class Probe(Regularizer):
    p: float = 0.5


def test_checkpoints_hold_data_and_no_references():
    probe = Probe(0.1)
    probe.average, probe.count, probe._layers, probe.layer = torch.ones(2), 3, [nn.Linear(1, 1)], nn.Linear(1, 1)
    assert set(probe.state_dict()) == {"average", "count"}
    other = Probe(0.1)
    other.load_state_dict(probe.state_dict())
    assert other.count == 3 and torch.equal(other.average, torch.ones(2)) and not hasattr(other, "_layers")
