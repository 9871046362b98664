"""The site tables: literal lists per family, and every claimed site changes the output."""

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, XLNetConfig
from transformers import XLNetForSequenceClassification as XLNet

from fisher.common.errors import InputError
from fisher.scores import published_ranking
from regularizers.base import Context, SkipTrial
from regularizers.sites import FAMILIES, find_sites, set_rate
from regularizers.strategy import parse


def expand(*patterns, layers=2):
    """Names with {i} for every layer, layer by layer."""
    return [pattern.format(i=i) for i in range(layers) for pattern in patterns]


BERT_SITES = expand("layer.{i}.attention.self", "layer.{i}.attention.output", "layer.{i}.output")
BERT_MIXED = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
SITES = {
    "bert": ["embeddings", *BERT_SITES, "head"],
    "roberta": ["embeddings", *BERT_SITES, "head"],
    "electra": ["embeddings", *BERT_SITES, "head"],
    "distilbert": ["embeddings", *expand("layer.{i}.attention", "layer.{i}.ffn"), "head"],
    "deberta-v2": [
        "embeddings",
        *expand(
            "layer.{i}.attention.positions",
            "layer.{i}.attention.self",
            "layer.{i}.attention.output",
            "layer.{i}.output",
        ),
        "head.pooler.dropout",
        "head.dropout",
    ],
    "gpt2": ["embeddings", *expand("h.{i}.attn.probabilities", "h.{i}.attn.output", "h.{i}.mlp")],
    "t5": [
        "encoder",
        "decoder",
        *expand(
            "encoder.{i}.attention.probabilities",
            "encoder.{i}.attention.output",
            "encoder.{i}.intermediate",
            "encoder.{i}.output",
        ),
        "decoder.0.attention.probabilities",
        "decoder.0.attention.output",
        "decoder.0.cross_attention.probabilities",
        "decoder.0.cross_attention.output",
        "decoder.0.intermediate",
        "decoder.0.output",
        "head",
    ],
}
MIXED = {
    "bert": [
        *expand(*(f"bert.encoder.layer.{{i}}.{name}" for name in (*BERT_MIXED, "intermediate.dense"))),
        "bert.pooler.dense",
    ],
    "roberta": expand(*(f"roberta.encoder.layer.{{i}}.{name}" for name in (*BERT_MIXED, "intermediate.dense"))),
    "electra": [
        *expand(*(f"electra.encoder.layer.{{i}}.{name}" for name in (*BERT_MIXED, "intermediate.dense"))),
        "electra.embeddings_project",
    ],
    "distilbert": expand(
        *(
            f"distilbert.transformer.layer.{{i}}.{name}"
            for name in ("attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin", "ffn.lin1")
        )
    ),
    "deberta-v2": expand(
        *(
            f"deberta.encoder.layer.{{i}}.{name}"
            for name in (
                "attention.self.query_proj",
                "attention.self.key_proj",
                "attention.self.value_proj",
                "attention.self.pos_key_proj",
                "attention.self.pos_query_proj",
                "attention.output.dense",
                "intermediate.dense",
            )
        )
    ),
    "gpt2": expand("transformer.h.{i}.attn.c_attn", "transformer.h.{i}.attn.c_proj", "transformer.h.{i}.mlp.c_fc"),
    "t5": [
        *expand(
            *(f"transformer.encoder.block.{{i}}.layer.0.SelfAttention.{part}" for part in "qkvo"),
            "transformer.encoder.block.{i}.layer.1.DenseReluDense.wi",
            "transformer.encoder.block.{i}.layer.1.DenseReluDense.wo",
        ),
        *(f"transformer.decoder.block.0.layer.0.SelfAttention.{part}" for part in "qkvo"),
        *(f"transformer.decoder.block.0.layer.1.EncDecAttention.{part}" for part in "qkvo"),
        "transformer.decoder.block.0.layer.2.DenseReluDense.wi",
        "transformer.decoder.block.0.layer.2.DenseReluDense.wo",
    ],
}


def attached(model, head, strategy, **fields):
    context = Context(model, head, torch.Generator().manual_seed(1), **fields)
    bound = parse(strategy).bind(context)
    return bound, bound.attach()


def output(model, batch, seed=0):
    torch.manual_seed(seed)
    with torch.no_grad():
        return model(**{name: value for name, value in batch.items() if name != "labels"}).logits


def test_the_tables_are_of_the_families_that_are_tested():
    assert set(FAMILIES) == set(SITES) == set(MIXED)


def test_sites_and_mixed_layers_of_each_family(family, family_model):
    sites = find_sites(*family_model(family))
    assert [site.name for site in sites.dropouts] == SITES[family]
    assert list(sites.mixed) == MIXED[family]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_every_site_changes_the_output(family, family_model, batch, attention):
    if family == "deberta-v2" and attention == "sdpa":
        pytest.skip("DeBERTa-v2 has one attention of its own")
    model, head = family_model(family, attn_implementation=attention)
    attached(model, head, "none")
    model.train()
    plain = output(model, batch)
    assert torch.equal(plain, output(model, batch, seed=1))  # silenced: nothing is random any more
    for site in find_sites(model, head).dropouts:
        set_rate(model, site, 0.5)
        changed = [not torch.equal(plain, output(model, batch, seed)) for seed in range(3)]
        set_rate(model, site, 0.0)
        assert all(changed), site.name


def test_evaluation_is_bit_equal_twice_with_dropout_on(family, family_model, batch):
    model, head = family_model(family)
    attached(model, head, "dropout(0.5)")
    model.eval()
    assert torch.equal(output(model, batch, 0), output(model, batch, 1))


def test_tensors_that_precede_a_site():
    model = BertForSequenceClassification(BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=12,
                                                     num_attention_heads=2, intermediate_size=4))  # fmt: skip
    sites = [site for site in find_sites(model).dropouts if site.kind != "head"]
    assert len(sites) == 37 and {site.name for site in sites} == set(published_ranking())  # [Sharma24]
    assert {len(site.parameters) for site in sites if site.name.endswith("attention.self")} == {6}
    assert {len(site.parameters) for site in sites if site.name.endswith("output")} == {4}
    assert len(sites[0].parameters) == 5


def test_body_sites_share_no_tensor_and_have_some(family, family_model):
    model, head = family_model(family)
    sites = [site for site in find_sites(model, head).dropouts if site.kind != "head"]
    own = [name for site in sites for name in site.parameters]
    assert all(site.parameters for site in sites)
    shared = {"deberta-v2": "deberta.encoder.rel_embeddings.weight", "t5": "transformer.shared.weight"}
    assert {name for name in own if own.count(name) > 1} <= {shared.get(family, "")}
    assert not set(own) & head


def test_gpt2_attention_sites_of_one_module_have_tensors_of_their_own(family_model):
    sites = {site.name: site for site in find_sites(*family_model("gpt2")).dropouts}
    of_probabilities, of_output = sites["h.0.attn.probabilities"].parameters, sites["h.0.attn.output"].parameters
    assert of_probabilities == tuple(
        f"transformer.h.0.{name}" for name in ("ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias")
    )
    assert of_output == ("transformer.h.0.attn.c_proj.weight", "transformer.h.0.attn.c_proj.bias")


def test_model_default_restores_the_checkpoints_own_rates(family, family_model):
    model, head = family_model(family)
    expected = {site.name: site.rate for site in find_sites(model, head).dropouts}
    assert any(expected.values())
    attached(model, head, "model_default")
    assert {site.name: site.rate for site in find_sites(model, head).dropouts} == expected


def test_none_silences_every_probability(family, family_model):
    model, head = family_model(family)
    attached(model, head, "none")
    assert {site.rate for site in find_sites(model, head).dropouts} == {0.0}


def test_deberta_v3_shares_projections_and_xlarge_has_a_convolution(family_model):
    model, head = family_model("deberta-v2", share_att_key=True, conv_kernel_size=3)
    sites = find_sites(model, head)
    assert [site.name for site in sites.dropouts][:2] == ["embeddings", "encoder.conv"]
    assert not any("pos_" in name for name in sites.mixed)


def test_gated_t5_mixes_both_inner_layers(family_model):
    model, head = family_model("t5", feed_forward_proj="gated-gelu")
    mixed = find_sites(model, head).mixed
    assert "transformer.encoder.block.0.layer.1.DenseReluDense.wi_0" in mixed
    assert "transformer.encoder.block.0.layer.1.DenseReluDense.wi_1" in mixed


def test_a_family_without_table_is_refused():
    config = XLNetConfig(vocab_size=9, d_model=4, n_layer=1, n_head=2, d_inner=4)
    with pytest.raises(InputError, match=r"family must be one of bert, .*t5, got xlnet; it has no site table"):
        find_sites(XLNet(config))


def test_a_missing_site_is_an_error(family_model):
    model, head = family_model("bert")
    model.bert.encoder.layer[1].output.dropout = torch.nn.Identity()
    with pytest.raises(InputError, match=r"bert model must have a dropout at bert.encoder.layer.1.output.dropout, got"):
        find_sites(model, head)
    model, head = family_model("t5")
    del model.transformer.encoder.block[0].layer[0].SelfAttention.dropout
    with pytest.raises(InputError, match=r"t5 model must have a probability dropout at transformer.encoder.block.0"):
        find_sites(model, head)


def test_a_missing_layer_is_an_error(family_model):
    model, head = family_model("bert")
    model.bert.encoder.layer[0].intermediate.dense2 = model.bert.encoder.layer[0].intermediate.dense
    del model.bert.encoder.layer[0].intermediate.dense
    with pytest.raises(InputError, match=r"must have the layer bert.encoder.layer.0.intermediate.dense, got none"):
        find_sites(model, head)


def test_a_model_without_the_classifiers_head_has_the_sites_of_its_body():
    config = BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=2, intermediate_size=4)
    with pytest.raises(InputError, match="pooler"):
        find_sites(BertForMaskedLM(config))  # nothing to mix where the pooler is missing: said, not passed over


def test_a_model_without_such_a_site_is_skipped_with_the_reason(family_model):
    model, head = family_model("gpt2")
    with pytest.raises(SkipTrial, match="the gpt2 model has no dropout site in scope 'head'"):
        attached(model, head, "head:dropout(0.1)")
