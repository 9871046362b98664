"""The three forward passes compute one function; tables and records name the one that a trial used."""

import copy

import pytest
import torch
from torch import Tensor

from regularizers.base import Batch, Context, criterion
from regularizers.base import forward as stock
from regularizers.context import to_device
from regularizers.strategy import parse
from regularizers.surgery import forward
from regularizers.surgery.forward import available, prepare
from regularizers.surgery.noise import attach_noise
from regularizers.surgery.packing import DECODER, PACKINGS
from regularizers.surgery.sites import find_sites
from regularizers.testing.tiny_families import tiny_family
from regularizers.testing.tiny_trial import tiny_bert


@pytest.fixture
def model() -> torch.nn.Module:
    return tiny_bert(2).double()


def family_rows() -> Batch:
    """Sequences of several lengths, two of them equal, in a batch wider than its longest row."""
    generator = torch.Generator().manual_seed(4)
    lengths = torch.tensor([5, 3, 9, 3, 1, 9])
    mask = (torch.arange(11)[None] < lengths[:, None]).long()
    return {
        "input_ids": torch.randint(3, 30, mask.shape, generator=generator) * mask,
        "attention_mask": mask,
        "labels": torch.tensor([0, 1, 1, 0, 1, 0]),
    }


@pytest.fixture
def batch() -> Batch:
    """The same with a second segment, as a BERT reads it."""
    rows = family_rows()
    return rows | {"token_type_ids": rows["input_ids"] % 2}


@pytest.mark.parametrize("way", ["packed", "padded"])
def test_after_the_last_attention_only_first_tokens_are_computed(
    way: str, model: torch.nn.Module, batch: Batch
) -> None:
    run, rows = prepare(model, way), []
    for layer in model.bert.encoder.layer:
        layer.intermediate.register_forward_hook(lambda module, args, out: rows.append(out.numel() // out.shape[-1]))
    run(model, batch)
    tokens = int(batch["attention_mask"].sum()) if way == "packed" else batch["attention_mask"].numel()
    assert rows == [tokens, len(batch["labels"])]
    assert not any(m._forward_pre_hooks for m in model.modules()), "nothing stays on the model"


@pytest.mark.parametrize("way", ["packed", "padded"])
def test_the_heads_dropout_is_drawn_in_the_order_of_the_batch(way: str, model: torch.nn.Module, batch: Batch) -> None:
    """Another order would give another mask to each example, and other results to the trials of published records."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.dropout.p = 0.5
    other = copy.deepcopy(model)
    run = prepare(other, way)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        expected = stock(model.train(), batch)
        torch.manual_seed(2)
        assert torch.allclose(run(other.train(), batch), expected, rtol=1e-10)


@pytest.mark.parametrize("way", ["packed", "padded"])
def test_dropout_still_acts_on_attention_probabilities(way: str, model: torch.nn.Module, batch: Batch) -> None:
    run = prepare(model.train(), way)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    clean = run(model, batch)
    model.bert.encoder.layer[1].attention.self.dropout.p = 0.5
    with torch.random.fork_rng():
        assert not torch.equal(run(model, batch), clean)
    assert torch.equal(run(model.eval(), batch), clean), "evaluation must not drop"


def test_the_stock_pass_is_the_models_own(model: torch.nn.Module) -> None:
    assert prepare(model, "stock") is stock


def test_other_families_have_the_stock_pass_alone() -> None:
    model, _ = tiny_family("mpnet")
    assert available("packed", "mpnet") == available("padded", "llama") == available("stock", "bert") == "stock"
    assert available("padded", "bert") == "padded"
    with pytest.raises(ValueError, match="must be stock for mpnet, got packed"):
        prepare(model, "packed")


def one_by_one(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    offsets: Tensor,
    longest: int,
    dropout: float,
    causal: bool,
    scaling: float | None,
) -> Tensor:
    """What the kernel of `one_call` computes, which no CPU has; on the device without values the shapes alone."""
    if query.is_meta:
        return query.transpose(1, 2) * 1
    starts, ends = offsets[:-1].tolist(), offsets[1:].tolist()
    assert max(end - start for start, end in zip(starts, ends, strict=True)) == longest
    assert dropout == 0
    pieces = [
        torch.nn.functional.scaled_dot_product_attention(
            *(x[:, :, start:end] for x in (query, key, value)), is_causal=causal, scale=scaling
        )
        for start, end in zip(starts, ends, strict=True)
    ]
    return torch.cat(pieces, 2).transpose(1, 2)


TRIMMED = [name for name, packing in PACKINGS.items() if packing.trims]
CASES = [
    *(("packed", family, {}) for family in PACKINGS),
    ("packed", "modernbert", {"classifier_pooling": "mean"}),
    *(("packed", "eurobert", {"classifier_pooling": pooling}) for pooling in ("bos", "mean", "late")),
    ("packed", "qwen2", {"use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1}),
    ("packed", "llama", {"num_key_value_heads": 2}),
    *(("padded", name, {}) for name in TRIMMED),
]


@pytest.mark.parametrize(
    ("way", "family", "changes", "noisy"),
    [
        *((*case, noisy) for case in CASES for noisy in (False, True)),
        *(("one call", *rest, False) for way, *rest in CASES if way == "packed"),
    ],
)
def test_every_family_computes_what_it_computes_stock(
    way: str, family: str, changes: dict[str, object], noisy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Global and local layers, grouped queries, windows shorter than the rows, first, last and mean of the tokens.

    `one call`: packed as a GPU computes it, but for the kernel.
    """
    if way == "one call":
        way = "packed"
        monkeypatch.setattr(forward, "takes_one_call", lambda query: True)
        monkeypatch.setattr(forward, "one_call", one_by_one)
    model, head = tiny_family(family, **changes)
    other = copy.deepcopy(model.double())
    batch, run = family_rows(), prepare(other, way)
    for each in (model, other):
        parse("none").bind(Context(each, head)).attach()
        for site in find_sites(each, head).dropouts if noisy else ():
            if site.owner is not None:
                attach_noise(each, site, lambda module, x: x * 1.5)
        each.train()
    # Gemma's norms compute in float32 whatever the model's type
    tolerance = 1e-6 if family.startswith("gemma") else 1e-12
    expected, got = stock(model, batch), run(other, batch)
    assert (expected - got).abs().max() <= tolerance * expected.abs().max()
    criterion(expected, batch["labels"]).backward()
    criterion(got, batch["labels"]).backward()
    grads = {name: p.grad for name, p in other.named_parameters()}
    scale = max(p.grad.abs().max() for p in model.parameters() if p.grad is not None)
    for name, p in model.named_parameters():
        if p.grad is None:
            assert grads[name] is None or not grads[name].any()
        else:
            assert (p.grad - grads[name]).abs().max() <= tolerance * scale, name


@pytest.mark.parametrize("family", PACKINGS)
@pytest.mark.parametrize("masked", [True, False], ids=["masked", "without a mask"])
def test_a_technique_that_calls_the_packed_model_itself_gets_what_stock_gives(family: str, masked: bool) -> None:
    """Logits and attention probabilities; without lengths the attention is plain, causal and windowed as ever."""
    changes = {"sliding_window": 3} if family == "mistral" else {}
    own, eager, ours = (tiny_family(family, attn_implementation=way, **changes)[0] for way in ("sdpa", "eager", "sdpa"))
    prepare(ours, "packed")
    asked = {name: family_rows()[name] for name in ("input_ids", "attention_mask")[: 1 + masked]}
    expected, probabilities = (
        own.double().eval()(**asked).logits,
        eager.double().eval()(**asked, output_attentions=True),
    )
    got = ours.double().eval()(**asked, output_attentions=True)
    assert (expected - got.logits).abs().max() <= 1e-5 * expected.abs().max()  # Gemma computes in float32
    assert len(probabilities.attentions) == len(got.attentions) > 0
    for theirs, our in zip(probabilities.attentions, got.attentions, strict=True):
        known = theirs.isfinite()  # not so for padding in a window of padding
        assert (theirs - our)[known].abs().max() <= 1e-5  # eager attention rounds to float32 in some families


def test_a_text_that_ends_with_the_padding_token_is_read_where_stock_reads_it() -> None:
    model, _ = tiny_family("llama", pad_token_id=1)
    model.double().eval()
    batch = family_rows()
    batch["input_ids"] = torch.where(batch["attention_mask"] == 0, 1, batch["input_ids"])
    batch["input_ids"][2, 7:9] = 1  # end tokens, which pad as well
    expected = stock(model, batch)
    assert (expected - prepare(model, "packed")(model, batch)).abs().max() <= 1e-12 * expected.abs().max()


@pytest.mark.parametrize("family", [name for name, packing in PACKINGS.items() if packing is not DECODER])
def test_a_packed_step_reads_nothing_from_the_device(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On torch's device without values every read fails; a GPU would be waited for.

    Of decoders transformers itself looks at the positions, once a pass.
    """
    monkeypatch.setattr(forward, "takes_one_call", lambda query: True)
    monkeypatch.setattr(forward, "one_call", one_by_one)
    model, _ = tiny_family(family)
    run, device = prepare(model, "packed"), torch.device("meta")
    model.to(device).train()
    batch = to_device(family_rows(), device)
    criterion(run(model, batch), batch["labels"]).backward()
    with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
        run(model, {name: value.clone() for name, value in batch.items()})  # lost what the host knew
