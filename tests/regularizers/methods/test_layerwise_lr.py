import pytest
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    T5Config,
    T5ForSequenceClassification,
)

from regularizers.context import FAMILY_FREE, Context
from regularizers.surgery.layers import layer_modules, stages

STAGES = {
    "bert.embeddings.word_embeddings.weight": 0,
    "bert.embeddings.LayerNorm.bias": 0,
    "bert.encoder.layer.0.attention.self.query.weight": 1,
    "bert.encoder.layer.2.output.LayerNorm.weight": 3,
    "bert.pooler.dense.weight": 4,
    "classifier.weight": 4,
}


def test_rates_fall_from_the_head_to_the_embeddings(lab):
    rates = lab("layerwise_lr(0.5)", lr=0.01).rates()
    assert len(rates) == len(lab("none").rates())
    for name, stage in STAGES.items():
        assert rates[name] == pytest.approx(0.01 * 0.5 ** (4 - stage), rel=1e-15), name


def test_a_head_with_a_term_of_its_own_keeps_the_protocols_rate_and_other_terms_rates_are_scaled(lab):
    rates = lab("bitfit(0.008) + head:none", lr=0.01).rates()
    assert rates["classifier.weight"] == 0.01 and rates["bert.pooler.dense.bias"] == 0.008
    rates = lab("layerwise_lr(0.5) + lora(2, 4, lr=0.016)", lr=0.01).rates()
    assert rates["classifier.weight"] == 0.016
    assert rates["bert.encoder.layer.0.attention.self.query.lora_A.default.weight"] == pytest.approx(0.002)


@pytest.mark.parametrize(
    ("model", "expected", "layers"),
    [
        (
            BertForSequenceClassification(
                BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=2, num_attention_heads=2, intermediate_size=4)
            ),
            {"bert.embeddings.LayerNorm.weight": 0, "bert.encoder.layer.1.output.dense.bias": 2, "classifier.bias": 3},
            ["bert.encoder.layer.0", "bert.encoder.layer.1"],
        ),
        (
            GPT2ForSequenceClassification(GPT2Config(vocab_size=9, n_embd=4, n_layer=2, n_head=2, n_positions=8)),
            {"transformer.wte.weight": 0, "transformer.wpe.weight": 0, "transformer.h.0.attn.c_attn.weight": 1}
            | {"transformer.ln_f.weight": 3, "score.weight": 3},
            ["transformer.h.0", "transformer.h.1"],
        ),
        (
            T5ForSequenceClassification(T5Config(vocab_size=9, d_model=4, d_kv=2, d_ff=4, num_layers=2, num_heads=2)),
            {"transformer.shared.weight": 0, "transformer.encoder.block.0.layer.0.SelfAttention.q.weight": 1}
            | {"transformer.decoder.block.1.layer.2.DenseReluDense.wi.weight": 2}
            | {"transformer.decoder.final_layer_norm.weight": 3, "classification_head.dense.weight": 3},
            [f"transformer.{part}.block.{i}" for part in ("encoder", "decoder") for i in range(2)],
        ),
    ],
    ids=["bert", "gpt2", "t5"],
)
def test_stages_of_other_families(model, expected, layers):
    context = Context(model, sites=FAMILY_FREE)
    stage, top = stages(context)
    assert top == 3 and {name: stage[name] for name in expected} == expected
    assert layer_modules(context) == layers
