"""Where dropouts sit and which layers a method mixes, per model family: the one table every technique asks.

A *site* is a place where the model drops activations. A row names it, says where its probability is set and which
parameter tensors precede it. `{i}` runs over the layers of a stack. Three ways of dropping occur:

    the module is called       hidden sites everywhere, and DeBERTa-v2's attention probabilities
    its `.p` is read           attention probabilities elsewhere: an attention function (sdpa, eager) drops; the module
                               is never called, so replacing it would lose the site; `owner` is the attention module
    a float attribute is read  T5's attention probabilities

Setting the probability therefore acts under sdpa and eager alike. Tensors that precede a site: BERT and its relatives
those of the module that holds the dropout [Sharma24]; elsewhere, our reading, those between the site before and this.

Which layers are mixed follows from where the model drops. `paper`: the linear layers whose output is dropped before the
next linear layer, directly or through attention probabilities; so says the first author of [Lee20] (bloodwass/mixout,
pull request 13 and issue 4), who skipped BERT's intermediate layers because there is no dropout in them. `fed`: the
linear layers whose input has been dropped, another reading of "mixout replaces dropout" [Lee20 C.2]. BERT's
intermediate dense is fed by dropped units and its GELU output is not dropped; with its output dense it is the other way
round. T5 drops both, so its `wi` and `wo` belong to both readings. GPT-2's head input is not dropped: it has no head
site. Layers of the head (DeBERTa's pooler) never stand in these tables; a `head:` term finds them itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

READINGS = ("paper", "fed")
PAPER, FED = ("paper",), ("fed",)
Condition = Callable[[Any], bool]  # of a model's config


def always(config: Any) -> bool:
    """The condition of a row that every model of the family has."""
    return True


@dataclass(frozen=True)
class Row:
    """One dropout of a family; names are relative to the base model, `{i}` is the layer number.

    called: whether the model calls the module itself (else an attention function reads its probability).
    attribute: what holds the probability; `p` belongs to a dropout module, anything else to the attention module.
    when: which models of the family have the row.
    """

    site: str
    module: str
    kind: str  # "hidden" or "attention"
    parameters: tuple[str, ...]  # prefixes of the tensors that precede the site
    called: bool = True
    attribute: str = "p"
    when: Condition = always


@dataclass(frozen=True)
class Mix:
    """One linear layer that is mixed, in which of the readings, and in which models of the family."""

    layer: str
    when: Condition = always
    readings: tuple[str, ...] = READINGS


@dataclass(frozen=True)
class Stack:
    """Layers that repeat: config's field with their number, the dropouts and the mixed layers of each."""

    layers: str
    rows: tuple[Row, ...]
    mixed: tuple[Mix, ...]


@dataclass(frozen=True)
class Family:
    """A model family: what stands outside its stacks, the stacks, and the head's dropouts (names in the full model)."""

    rows: tuple[Row, ...]
    stacks: tuple[Stack, ...]
    head: tuple[str, ...]
    mixed: tuple[Mix, ...] = ()


def _hidden(site: str, module: str, *parameters: str, when: Condition = always) -> Row:
    return Row(site, module, "hidden", parameters, when=when)


def _attention(site: str, module: str, *parameters: str, called: bool = False, attribute: str = "p") -> Row:
    return Row(site, module, "attention", parameters, called, attribute)


def _bert_stack(query: str = "query", key: str = "key", value: str = "value", *, called: bool = False) -> Stack:
    """The encoder of BERT and of those that share its module names."""
    layer = "encoder.layer.{i}."
    names = (f"attention.self.{query}", f"attention.self.{key}", f"attention.self.{value}")
    return Stack(
        layers="num_hidden_layers",
        rows=(
            _attention(
                "layer.{i}.attention.self",
                layer + "attention.self.dropout",
                layer + "attention.self.",
                called=called,
            ),
            _hidden(
                "layer.{i}.attention.output",
                layer + "attention.output.dropout",
                layer + "attention.output.",
            ),
            _hidden("layer.{i}.output", layer + "output.dropout", layer + "output."),
        ),
        mixed=(
            *(Mix(layer + name) for name in (*names, "attention.output.dense")),
            Mix(layer + "intermediate.dense", readings=FED),
            Mix(layer + "output.dense", readings=PAPER),
        ),
    )


EMBEDDINGS = _hidden("embeddings", "embeddings.dropout", "embeddings.")


def _deberta() -> Family:
    """DeBERTa-v2 and v3: as BERT, with relative positions that have a dropout and projections of their own."""

    def relative(config: Any) -> bool:
        return bool(getattr(config, "relative_attention", False))

    def own_projection(kind: str) -> Condition:
        return lambda config: (
            relative(config) and not getattr(config, "share_att_key", False) and kind in (config.pos_att_type or [])
        )

    self_attention = "encoder.layer.{i}.attention.self."
    stack = _bert_stack("query_proj", "key_proj", "value_proj", called=True)
    positions = _hidden(
        "layer.{i}.attention.positions",
        self_attention + "pos_dropout",
        "encoder.rel_embeddings.",
        "encoder.LayerNorm.",
        when=relative,
    )
    convolution = _hidden(
        "encoder.conv",
        "encoder.conv.dropout",
        "encoder.conv.",
        when=lambda config: (getattr(config, "conv_kernel_size", 0) or 0) > 0,
    )
    projections = (
        Mix(self_attention + "pos_key_proj", own_projection("c2p")),
        Mix(self_attention + "pos_query_proj", own_projection("p2c")),
    )
    return Family(
        rows=(EMBEDDINGS, convolution),
        stacks=(Stack(stack.layers, (positions, *stack.rows), (*stack.mixed[:3], *projections, *stack.mixed[3:])),),
        head=("pooler.dropout", "dropout"),
    )


def _t5_attention(block: str, at: int, name: str, site: str) -> tuple[Row, Row]:
    """Attention probabilities (a float attribute of the attention module) and attention output of one T5 layer."""
    layer = f"{block}layer.{at}."
    before = tuple(f"{layer}{part}" for part in ("layer_norm.", *(f"{name}.{x}." for x in "qkv")))
    return (
        _attention(
            f"{site}.probabilities",
            layer + name,
            *before,
            f"{layer}{name}.relative_attention_bias.",
            attribute="dropout",
        ),
        _hidden(f"{site}.output", layer + "dropout", f"{layer}{name}.o."),
    )


def _t5_stack(side: str, layers: str) -> Stack:
    """T5's encoder or decoder; the decoder has a cross-attention layer between self-attention and feed-forward."""
    block, site = f"{side}.block.{{i}}.", f"{side}.{{i}}."
    rows = list(_t5_attention(block, 0, "SelfAttention", site + "attention"))
    attentions = ["layer.0.SelfAttention"]
    if side == "decoder":
        rows += _t5_attention(block, 1, "EncDecAttention", site + "cross_attention")
        attentions.append("layer.1.EncDecAttention")
    last = f"layer.{len(attentions)}."
    dense = f"{block}{last}DenseReluDense."
    rows += [
        _hidden(site + "intermediate", dense + "dropout", f"{block}{last}layer_norm.", dense + "wi"),
        _hidden(site + "output", f"{block}{last}dropout", dense + "wo."),
    ]
    mixed = [Mix(f"{block}{attention}.{part}") for attention in attentions for part in "qkvo"]
    mixed += [
        Mix(dense + "wi", lambda config: not config.is_gated_act),
        Mix(dense + "wi_0", lambda config: config.is_gated_act),
        Mix(dense + "wi_1", lambda config: config.is_gated_act),
        Mix(dense + "wo"),
    ]
    return Stack(layers, tuple(rows), tuple(mixed))


FAMILIES: dict[str, Family] = {
    "bert": Family((EMBEDDINGS,), (_bert_stack(),), head=("dropout",), mixed=(Mix("pooler.dense"),)),
    "roberta": Family((EMBEDDINGS,), (_bert_stack(),), head=("classifier.dropout",)),
    "electra": Family(
        (EMBEDDINGS,),
        (_bert_stack(),),
        head=("classifier.dropout",),
        mixed=(Mix("embeddings_project", lambda config: config.embedding_size != config.hidden_size, FED),),
    ),
    "distilbert": Family(
        rows=(EMBEDDINGS,),
        stacks=(
            Stack(
                layers="n_layers",
                rows=(
                    _attention(
                        "layer.{i}.attention",
                        "transformer.layer.{i}.attention.dropout",
                        *(f"transformer.layer.{{i}}.attention.{part}_lin." for part in "qkv"),
                    ),
                    _hidden(
                        "layer.{i}.ffn",
                        "transformer.layer.{i}.ffn.dropout",
                        "transformer.layer.{i}.attention.out_lin.",
                        "transformer.layer.{i}.sa_layer_norm.",
                        "transformer.layer.{i}.ffn.",
                    ),
                ),
                mixed=(
                    *(Mix(f"transformer.layer.{{i}}.attention.{part}_lin") for part in "qkv"),
                    Mix("transformer.layer.{i}.attention.out_lin", readings=FED),
                    Mix("transformer.layer.{i}.ffn.lin1", readings=FED),
                    Mix("transformer.layer.{i}.ffn.lin2", readings=PAPER),
                ),
            ),
        ),
        head=("dropout",),
    ),
    "deberta-v2": _deberta(),
    "gpt2": Family(
        rows=(_hidden("embeddings", "drop", "wte.", "wpe."),),
        stacks=(
            Stack(
                layers="n_layer",
                rows=(
                    _attention(
                        "h.{i}.attn.probabilities", "h.{i}.attn.attn_dropout", "h.{i}.ln_1.", "h.{i}.attn.c_attn."
                    ),
                    _hidden("h.{i}.attn.output", "h.{i}.attn.resid_dropout", "h.{i}.attn.c_proj."),
                    _hidden("h.{i}.mlp", "h.{i}.mlp.dropout", "h.{i}.ln_2.", "h.{i}.mlp."),
                ),
                mixed=(
                    Mix("h.{i}.attn.c_attn"),
                    Mix("h.{i}.attn.c_proj"),
                    Mix("h.{i}.mlp.c_fc", readings=FED),
                    Mix("h.{i}.mlp.c_proj", readings=PAPER),
                ),
            ),
        ),
        head=(),
    ),
    "t5": Family(
        rows=(
            _hidden("encoder", "encoder.dropout", "shared.", "encoder.final_layer_norm."),
            _hidden("decoder", "decoder.dropout", "shared.", "decoder.final_layer_norm."),
        ),
        stacks=(_t5_stack("encoder", "num_layers"), _t5_stack("decoder", "num_decoder_layers")),
        head=("classification_head.dropout",),
    ),
}  # fmt: skip
