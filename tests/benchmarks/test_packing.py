"""The packed path computes what the padded path computes, without the padding."""

import copy

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from benchmarks import packing
from regularizers.base import Batch, criterion, forward


@pytest.fixture
def model() -> BertForSequenceClassification:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=32
        )
        model = BertForSequenceClassification(config).double()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.fixture
def batch() -> Batch:
    generator = torch.Generator().manual_seed(1)
    lengths = torch.tensor([5, 3, 9, 3, 1, 9])
    mask = (torch.arange(12)[None] < lengths[:, None]).long()  # the batch is wider than its longest row
    return {
        "input_ids": torch.randint(1, 50, mask.shape, generator=generator) * mask,
        "token_type_ids": torch.randint(0, 2, mask.shape, generator=generator) * mask,
        "attention_mask": mask,
        "labels": torch.tensor([0, 1, 1, 0, 1, 0]),
    }


def test_logits_and_gradients_equal_the_padded_ones(model: BertForSequenceClassification, batch: Batch) -> None:
    """Relative to the largest gradient of all, since the keys' biases have none (softmax does not see them)."""
    packed = copy.deepcopy(model)
    run = packing.prepare(packed, "packed")
    expected, got = forward(model.eval(), batch), run(packed.eval(), batch)
    assert (expected - got).abs().max() <= 1e-12 * expected.abs().max()
    criterion(expected, batch["labels"]).backward()
    criterion(got, batch["labels"]).backward()
    scale = max(p.grad.abs().max() for p in model.parameters())
    for (name, p), q in zip(model.named_parameters(), packed.parameters(), strict=True):
        assert (p.grad - q.grad).abs().max() <= 1e-12 * scale, name


def test_a_sequence_does_not_see_its_neighbours(model: BertForSequenceClassification, batch: Batch) -> None:
    run = packing.prepare(model.eval(), "packed")
    alone = run(model, {name: value[2:3] for name, value in batch.items()})
    assert torch.allclose(run(model, batch)[2:3], alone, rtol=0, atol=1e-13)


def test_dropout_still_acts_on_attention_probabilities(model: BertForSequenceClassification, batch: Batch) -> None:
    run = packing.prepare(model.train(), "packed")
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    clean = run(model, batch)
    model.bert.encoder.layer[1].attention.self.dropout.p = 0.5
    with torch.random.fork_rng():
        assert not torch.equal(run(model, batch), clean)
    assert torch.equal(run(model.eval(), batch), clean), "evaluation must not drop"


def test_padding_is_kept_where_it_is_asked_for(model: BertForSequenceClassification) -> None:
    assert packing.prepare(model, "padded") is forward
