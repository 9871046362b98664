"""The three forward passes compute one function; tables and records name the one that a trial used."""

import copy

import pytest
import torch
from transformers import BertForSequenceClassification, ElectraConfig, ElectraForSequenceClassification

from regularizers.base import Batch, criterion
from regularizers.base import forward as stock
from regularizers.surgery.forward import available, prepare
from regularizers.testing.tiny_trial import tiny_config


@pytest.fixture
def model() -> BertForSequenceClassification:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = tiny_config(
            vocab_size=50, num_attention_heads=4, intermediate_size=32, max_position_embeddings=512, num_labels=2
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


@pytest.mark.parametrize("way", ["packed", "padded"])
def test_logits_and_gradients_equal_the_stock_ones(
    way: str, model: BertForSequenceClassification, batch: Batch
) -> None:
    """Relative to the largest gradient of all, since the keys' biases have none (softmax does not see them)."""
    other = copy.deepcopy(model)
    run = prepare(other, way)
    expected, got = stock(model.eval(), batch), run(other.eval(), batch)
    assert (expected - got).abs().max() <= 1e-12 * expected.abs().max()
    criterion(expected, batch["labels"]).backward()
    criterion(got, batch["labels"]).backward()
    scale = max(p.grad.abs().max() for p in model.parameters())
    for (name, p), q in zip(model.named_parameters(), other.named_parameters(), strict=True):
        assert (p.grad - q[1].grad).abs().max() <= 1e-12 * scale, name


@pytest.mark.parametrize("way", ["packed", "padded"])
def test_after_the_last_attention_only_first_tokens_are_computed(
    way: str, model: BertForSequenceClassification, batch: Batch
) -> None:
    run, rows = prepare(model, way), []
    for layer in model.bert.encoder.layer:
        layer.intermediate.register_forward_hook(lambda module, args, out: rows.append(out.numel() // out.shape[-1]))
    run(model, batch)
    tokens = int(batch["attention_mask"].sum()) if way == "packed" else batch["attention_mask"].numel()
    assert rows == [tokens, len(batch["labels"])]
    assert not any(m._forward_pre_hooks for m in model.modules()), "nothing stays on the model"


def test_a_sequence_does_not_see_its_neighbours(model: BertForSequenceClassification, batch: Batch) -> None:
    run = prepare(model.eval(), "packed")
    alone = run(model, {name: value[2:3] for name, value in batch.items()})
    assert torch.allclose(run(model, batch)[2:3], alone, rtol=0, atol=1e-13)


@pytest.mark.parametrize("way", ["packed", "padded"])
def test_dropout_still_acts_on_attention_probabilities(
    way: str, model: BertForSequenceClassification, batch: Batch
) -> None:
    run = prepare(model.train(), way)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    clean = run(model, batch)
    model.bert.encoder.layer[1].attention.self.dropout.p = 0.5
    with torch.random.fork_rng():
        assert not torch.equal(run(model, batch), clean)
    assert torch.equal(run(model.eval(), batch), clean), "evaluation must not drop"


def test_the_stock_pass_is_the_models_own(model: BertForSequenceClassification) -> None:
    assert prepare(model, "stock") is stock


def test_other_families_have_the_stock_pass_alone() -> None:
    config = ElectraConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=9)
    assert available("packed", "electra") == available("stock", "bert") == "stock"
    assert available("padded", "bert") == "padded"
    with pytest.raises(ValueError, match="must be stock for electra, got packed"):
        prepare(ElectraForSequenceClassification(config), "packed")
