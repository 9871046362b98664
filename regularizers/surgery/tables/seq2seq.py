"""Site tables of models with an encoder and a decoder: T5 and BART."""

from regularizers.surgery.rows import Family, Mix, Row, Stack, attention, hidden, planted


def _t5_attention(block: str, at: int, name: str, site: str) -> tuple[Row, Row]:
    """Attention probabilities (a float attribute of the attention module) and attention output of one T5 layer."""
    layer = f"{block}layer.{at}."
    before = tuple(f"{layer}{part}" for part in ("layer_norm.", *(f"{name}.{x}." for x in "qkv")))
    return (
        attention(
            f"{site}.probabilities",
            layer + name,
            *before,
            f"{layer}{name}.relative_attention_bias.",
            attribute="dropout",
        ),
        hidden(f"{site}.output", layer + "dropout", f"{layer}{name}.o."),
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
        hidden(site + "intermediate", dense + "dropout", f"{block}{last}layer_norm.", dense + "wi"),
        hidden(site + "output", f"{block}{last}dropout", dense + "wo."),
    ]
    mixed = [Mix(f"{block}{attention}.{part}") for attention in attentions for part in "qkvo"]
    mixed += [
        Mix(dense + "wi", lambda config: not config.is_gated_act),
        Mix(dense + "wi_0", lambda config: config.is_gated_act),
        Mix(dense + "wi_1", lambda config: config.is_gated_act),
        Mix(dense + "wo"),
    ]
    return Stack(layers, tuple(rows), tuple(mixed))


def _bart_stack(side: str) -> Stack:
    """BART's encoder or decoder. Functions drop, with probabilities that the layer holds; ours stand where they do."""
    layer, site = f"{side}.layers.{{i}}.", f"{side}.{{i}}."
    own = f"{side}.layers.{{i}}:"
    rows: list[Row] = []
    attentions = {"attention": "self_attn"} | ({"cross_attention": "encoder_attn"} if side == "decoder" else {})
    for name, module in attentions.items():
        before = (f"{layer}{module}.{part}_proj." for part in "qkv")
        rows.append(attention(f"{site}{name}.probabilities", layer + module, *before, attribute="dropout"))
        after = (f"{layer}{module}.out_proj.", f"{layer}{module}_layer_norm.")
        rows.append(planted(f"{site}{name}.output", layer + module, *after, own=own + "dropout"))
    activation, fc2 = own + "activation_dropout", layer + "fc2"
    rows += [
        planted(site + "intermediate", fc2, layer + "fc1.", at="input", own=activation),
        planted(site + "output", fc2, layer + "fc2.", layer + "final_layer_norm.", own=own + "dropout"),
    ]
    parts = [f"{module}.{part}_proj" for module in attentions.values() for part in ("q", "k", "v", "out")]
    return Stack(f"{side}_layers", tuple(rows), tuple(Mix(layer + name) for name in (*parts, "fc1", "fc2")))


def _bart_embeddings(side: str) -> Row:
    normalised = f"{side}.layernorm_embedding"
    return planted(side, normalised, "shared.", f"{side}.embed_positions.", normalised + ".", own=f"{side}:dropout")


T5 = Family(
    rows=(
        hidden("encoder", "encoder.dropout", "shared.", "encoder.final_layer_norm."),
        hidden("decoder", "decoder.dropout", "shared.", "decoder.final_layer_norm."),
    ),
    stacks=(_t5_stack("encoder", "num_layers"), _t5_stack("decoder", "num_decoder_layers")),
    head=("classification_head.dropout",),
    reads="the last end token of the decoder",
    adapted=("q", "v"),
)
BART = Family(
    rows=(_bart_embeddings("encoder"), _bart_embeddings("decoder")),
    stacks=(_bart_stack("encoder"), _bart_stack("decoder")),
    head=("classification_head.dropout",),
    reads="the last end token of the decoder",
    adapted=("q_proj", "v_proj"),
)
