"""Site tables of encoders: BERT and its relatives, DistilBERT, DeBERTa, ALBERT, MPNet, ModernBERT, EuroBERT."""

from typing import Any

from regularizers.surgery.rows import (
    FED,
    PAPER,
    Condition,
    Family,
    Mix,
    Stack,
    attention,
    hidden,
    planted,
)


def bert_stack(*projections: str, called: bool = False) -> Stack:
    """The encoder of BERT and of those that share its module names."""
    layer = "encoder.layer.{i}."
    names = [f"attention.self.{name}" for name in projections or ("query", "key", "value")]
    return Stack(
        layers="num_hidden_layers",
        rows=(
            attention(
                "layer.{i}.attention.self",
                layer + "attention.self.dropout",
                layer + "attention.self.",
                called=called,
            ),
            hidden(
                "layer.{i}.attention.output",
                layer + "attention.output.dropout",
                layer + "attention.output.",
            ),
            hidden("layer.{i}.output", layer + "output.dropout", layer + "output."),
        ),
        mixed=(
            *(Mix(layer + name) for name in (*names, "attention.output.dense")),
            Mix(layer + "intermediate.dense", readings=FED),
            Mix(layer + "output.dense", readings=PAPER),
        ),
    )


EMBEDDINGS = hidden("embeddings", "embeddings.dropout", "embeddings.")


BERT = Family((EMBEDDINGS,), (bert_stack(),), head=("dropout",), mixed=(Mix("pooler.dense"),))
MEGATRON_BERT = Family((EMBEDDINGS,), (bert_stack(called=True),), head=("dropout",), mixed=(Mix("pooler.dense"),))
ROBERTA = Family((EMBEDDINGS,), (bert_stack(),), head=("classifier.dropout",))
ELECTRA = Family(
    (EMBEDDINGS,),
    (bert_stack(),),
    head=("classifier.dropout",),
    mixed=(Mix("embeddings_project", lambda config: config.embedding_size != config.hidden_size, FED),),
)
DISTILBERT = Family(
    rows=(EMBEDDINGS,),
    stacks=(
        Stack(
            layers="n_layers",
            rows=(
                attention(
                    "layer.{i}.attention",
                    "transformer.layer.{i}.attention.dropout",
                    *(f"transformer.layer.{{i}}.attention.{part}_lin." for part in "qkv"),
                ),
                hidden(
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
    adapted=("q_lin", "v_lin"),
)  # fmt: skip


def _relative(config: Any) -> bool:
    return bool(getattr(config, "relative_attention", False))


def _projects(config: Any) -> bool:
    return (getattr(config, "embedding_size", None) or config.hidden_size) != config.hidden_size


PROJECTED = Mix("embeddings.embed_proj", _projects, PAPER)  # of DeBERTa's embeddings, before their dropout


def deberta_v2() -> Family:
    """DeBERTa-v2 and v3: as BERT, with relative positions that have a dropout and projections of their own."""

    def own_projection(kind: str) -> Condition:
        return lambda config: (
            _relative(config) and not getattr(config, "share_att_key", False) and kind in (config.pos_att_type or [])
        )

    self_attention = "encoder.layer.{i}.attention.self."
    stack = bert_stack("query_proj", "key_proj", "value_proj", called=True)
    positions = hidden(
        "layer.{i}.attention.positions",
        self_attention + "pos_dropout",
        "encoder.rel_embeddings.",
        "encoder.LayerNorm.",
        when=_relative,
    )
    convolution = hidden(
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
        mixed=(PROJECTED,),
        adapted=("query_proj", "value_proj"),
    )


def deberta() -> Family:
    """DeBERTa, the first one: one projection makes queries, keys and values; positions have their own."""

    def own_projection(kind: str) -> Condition:
        return lambda config: _relative(config) and kind in (config.pos_att_type or [])

    own = "encoder.layer.{i}.attention.self."
    stack = bert_stack("in_proj", called=True)
    positions = hidden("layer.{i}.attention.positions", own + "pos_dropout", "encoder.rel_embeddings.", when=_relative)
    projections = (Mix(own + "pos_proj", own_projection("c2p")), Mix(own + "pos_q_proj", own_projection("p2c")))
    return Family(
        rows=(EMBEDDINGS,),
        stacks=(Stack(stack.layers, (positions, *stack.rows), (stack.mixed[0], *projections, *stack.mixed[1:])),),
        head=("pooler.dropout", "dropout"),
        adapted=("in_proj",),
        mixed=(PROJECTED,),
    )


def _inner_layers(config: Any) -> str:
    count = config.inner_group_num
    return "" if count == 1 else f"the site table of albert is for groups of one layer, got inner_group_num = {count}"


def albert() -> Family:
    """ALBERT: the layers of a group share their weights and their sites. Its feed-forward output has no dropout."""
    layer = "encoder.albert_layer_groups.{i}.albert_layers.0."
    own = layer + "attention."
    stack = Stack(
        layers="num_hidden_groups",
        rows=(
            attention(
                "group.{i}.attention.probabilities",
                own + "attention_dropout",
                *(f"{own}{name}." for name in ("query", "key", "value")),
            ),
            hidden("group.{i}.attention.output", own + "output_dropout", own + "dense.", own + "LayerNorm."),
            planted("group.{i}.ffn", layer + "ffn_output", layer + "ffn", layer + "full_layer_layer_norm."),
        ),
        mixed=(
            *(Mix(own + name) for name in ("query", "key", "value", "dense")),
            Mix(layer + "ffn", readings=FED),
            Mix(layer + "ffn_output", readings=PAPER),
        ),
    )
    return Family(
        rows=(EMBEDDINGS,),
        stacks=(stack,),
        head=("dropout",),
        mixed=(Mix("encoder.embedding_hidden_mapping_in", readings=FED), Mix("pooler")),
        shared="ALBERT's layers share one set of weights",
        lacks=_inner_layers,
    )


def mpnet() -> Family:
    """MPNet: as BERT, with attention of its own that calls its dropout and one table of relative positions for all."""
    layer = "encoder.layer.{i}."
    parts = tuple(f"{layer}attention.attn.{part}" for part in "qkv")
    stack = Stack(
        layers="num_hidden_layers",
        rows=(
            attention(
                "layer.{i}.attention.self",
                layer + "attention.attn.dropout",
                *(f"{part}." for part in parts),
                "encoder.relative_attention_bias.",
                called=True,
            ),
            hidden(
                "layer.{i}.attention.output",
                layer + "attention.dropout",
                layer + "attention.attn.o.",
                layer + "attention.LayerNorm.",
            ),
            hidden("layer.{i}.output", layer + "output.dropout", layer + "output."),
        ),
        mixed=(
            *(Mix(part) for part in (*parts, layer + "attention.attn.o")),
            Mix(layer + "intermediate.dense", readings=FED),
            Mix(layer + "output.dense", readings=PAPER),
        ),
    )
    return Family(rows=(EMBEDDINGS,), stacks=(stack,), head=("classifier.dropout",), adapted=("q", "v"))


def modernbert() -> Family:
    """ModernBERT: every site is the checkpoint's own; with p = 0 the model has no module behind its attention."""
    layer = "layers.{i}."
    stack = Stack(
        layers="num_hidden_layers",
        rows=(
            attention(
                "layers.{i}.attention.probabilities",
                layer + "attn",
                layer + "attn_norm.",
                layer + "attn.Wqkv.",
                attribute="attention_dropout",
            ),
            planted(
                "layers.{i}.attention.output", layer + "attn", layer + "attn.Wo.", own=layer + "attn:attention_dropout"
            ),
            hidden("layers.{i}.mlp", layer + "mlp.drop", layer + "mlp_norm.", layer + "mlp.Wi."),
        ),
        mixed=(
            *(Mix(layer + name) for name in ("attn.Wqkv", "attn.Wo", "mlp.Wi")),
            Mix(layer + "mlp.Wo", readings=FED),
        ),
    )
    return Family(
        rows=(hidden("embeddings", "embeddings.drop", "embeddings."),),
        stacks=(stack,),
        head=("drop",),
        adapted=("Wqkv",),
    )
