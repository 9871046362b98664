"""Site tables of decoders, and of EuroBERT, which is an encoder with the layers of Llama."""

from typing import Any

from regularizers.surgery.rows import FED, PAPER, Family, Mix, Stack, attention, hidden, planted

GPT2 = Family(
    rows=(hidden("embeddings", "drop", "wte.", "wpe."),),
    stacks=(
        Stack(
            layers="n_layer",
            rows=(
                attention(
                    "h.{i}.attn.probabilities", "h.{i}.attn.attn_dropout", "h.{i}.ln_1.", "h.{i}.attn.c_attn."
                ),
                hidden("h.{i}.attn.output", "h.{i}.attn.resid_dropout", "h.{i}.attn.c_proj."),
                hidden("h.{i}.mlp", "h.{i}.mlp.dropout", "h.{i}.ln_2.", "h.{i}.mlp."),
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
    reads="last",
    adapted=("c_attn",),
)  # fmt: skip


def llama(reads: str = "last", *, normed_branches: bool = False) -> Family:
    """Llama and those that share its module names. They have no dropout but a probability for their attention.

    Ours are where the Transformer drops [Vaswani et al. 2017, section 5.4]: the sum of the embeddings and the output of
    each residual branch, which in Gemma 2 and 3 ends with a normalisation (`normed_branches`).
    """
    layer = "layers.{i}."
    ends, starts = ("self_attn", "mlp"), "post_attention_layernorm."
    norms: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    if normed_branches:
        ends, starts = ("post_attention_layernorm", "post_feedforward_layernorm"), "pre_feedforward_layernorm."
        norms = ((f"{layer}{ends[0]}.",), (f"{layer}{ends[1]}.",))
    before = ("input_layernorm", *(f"self_attn.{name}" for name in ("q_proj", "k_proj", "v_proj", "q_norm", "k_norm")))
    stack = Stack(
        layers="num_hidden_layers",
        rows=(
            attention(
                "layers.{i}.attention.probabilities",
                layer + "self_attn",
                *(f"{layer}{name}." for name in before),
                attribute="attention_dropout",
            ),
            planted("layers.{i}.attention.output", layer + ends[0], layer + "self_attn.o_proj.", *norms[0]),
            planted("layers.{i}.mlp", layer + ends[1], layer + starts, layer + "mlp.", *norms[1]),
        ),
        mixed=(
            *(Mix(f"{layer}self_attn.{name}") for name in ("q_proj", "k_proj", "v_proj", "o_proj")),
            Mix(layer + "mlp.gate_proj", readings=FED),
            Mix(layer + "mlp.up_proj", readings=FED),
            Mix(layer + "mlp.down_proj", readings=PAPER),
        ),
    )
    return Family(
        (planted("embeddings", "embed_tokens", "embed_tokens."),),
        (stack,),
        head=(),
        reads=reads,
        adapted=("q_proj", "v_proj"),
    )


def _projects(config: Any) -> bool:
    return bool(config.word_embed_proj_dim != config.hidden_size)


def opt() -> Family:
    """OPT: residual branches are dropped by a function with the checkpoint's own probability, embeddings are not."""
    layer = "decoder.layers.{i}."
    parts = ("self_attn_layer_norm", *(f"self_attn.{name}" for name in ("q_proj", "k_proj", "v_proj")))
    own = layer.rstrip(".") + ":dropout"
    stack = Stack(
        layers="num_hidden_layers",
        rows=(
            attention(
                "layers.{i}.attention.probabilities",
                layer + "self_attn",
                *(f"{layer}{part}." for part in parts),
                attribute="dropout",
            ),
            planted("layers.{i}.attention.output", layer + "self_attn", layer + "self_attn.out_proj.", own=own),
            planted(
                "layers.{i}.ffn", layer + "fc2", *(layer + x for x in ("fc1.", "fc2.", "final_layer_norm.")), own=own
            ),
        ),
        mixed=(
            *(Mix(f"{layer}self_attn.{name}") for name in ("q_proj", "k_proj", "v_proj", "out_proj")),
            Mix(layer + "fc1", readings=FED),
            Mix(layer + "fc2", readings=PAPER),
        ),
    )
    embedded = ("decoder.embed_tokens.", "decoder.embed_positions.", "decoder.project_in.")
    return Family(
        (planted("embeddings", "decoder.layers.0", *embedded, at="input"),),
        (stack,),
        head=(),
        mixed=(Mix("decoder.project_in", _projects, PAPER), Mix("decoder.project_out", _projects, FED)),
        reads="last",
        adapted=("q_proj", "v_proj"),
    )


def gpt_neox() -> Family:
    """GPT-NeoX and Pythia: every site is the checkpoint's own."""
    layer = "layers.{i}."
    stack = Stack(
        layers="num_hidden_layers",
        rows=(
            attention(
                "layers.{i}.attention.probabilities",
                layer + "attention",
                layer + "input_layernorm.",
                layer + "attention.query_key_value.",
                attribute="attention_dropout",
            ),
            hidden("layers.{i}.attention.output", layer + "post_attention_dropout", layer + "attention.dense."),
            hidden("layers.{i}.mlp", layer + "post_mlp_dropout", layer + "post_attention_layernorm.", layer + "mlp."),
        ),
        mixed=(
            Mix(layer + "attention.query_key_value"),
            Mix(layer + "attention.dense"),
            Mix(layer + "mlp.dense_h_to_4h", readings=FED),
            Mix(layer + "mlp.dense_4h_to_h", readings=PAPER),
        ),
    )
    return Family(
        (hidden("embeddings", "emb_dropout", "embed_in."),),
        (stack,),
        head=(),
        reads="last",
        adapted=("query_key_value",),
    )
