"""The site tables: literal lists per family, and every claimed site changes the output."""

import copy
import re

import pytest
import torch
from transformers import BertForMaskedLM, BertForSequenceClassification, XLNetConfig
from transformers import XLNetForSequenceClassification as XLNet

from fisher.scores import published_ranking
from regularizers.base import Context, SkipTrial
from regularizers.strategy import parse
from regularizers.surgery.discovery import Flow, discover
from regularizers.surgery.site_tables import FAMILIES
from regularizers.surgery.sites import base_prefix, find_sites, set_rate
from regularizers.testing.tiny_families import FIELDS, OWN_ATTENTION
from regularizers.testing.tiny_trial import tiny_config


def expand(*patterns, layers=2):
    """Names with {i} for every layer, layer by layer."""
    return [pattern.format(i=i) for i in range(layers) for pattern in patterns]


BERT_SITES = expand("layer.{i}.attention.self", "layer.{i}.attention.output", "layer.{i}.output")
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
BERT_PAPER = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
T5_BODY = [
    *expand(
        *(f"encoder.block.{{i}}.layer.0.SelfAttention.{part}" for part in "qkvo"),
        "encoder.block.{i}.layer.1.DenseReluDense.wi",
        "encoder.block.{i}.layer.1.DenseReluDense.wo",
    ),
    *(f"decoder.block.0.layer.0.SelfAttention.{part}" for part in "qkvo"),
    *(f"decoder.block.0.layer.1.EncDecAttention.{part}" for part in "qkvo"),
    "decoder.block.0.layer.2.DenseReluDense.wi",
    "decoder.block.0.layer.2.DenseReluDense.wo",
]


def encoder(*names):
    return expand(*(f"encoder.layer.{{i}}.{name}" for name in names))


def deberta(last):
    own = ("query_proj", "key_proj", "value_proj", "pos_key_proj", "pos_query_proj")
    return encoder(*(f"attention.self.{name}" for name in own), "attention.output.dense", last)


def distilbert(*names):
    own = ("attention.q_lin", "attention.k_lin", "attention.v_lin", *names)
    return expand(*(f"transformer.layer.{{i}}.{name}" for name in own))


MIXED = {
    "bert": {
        "paper": [*encoder(*BERT_PAPER, "output.dense"), "pooler.dense"],
        "fed": [*encoder(*BERT_PAPER, "intermediate.dense"), "pooler.dense"],
    },
    "roberta": {
        "paper": encoder(*BERT_PAPER, "output.dense"),
        "fed": encoder(*BERT_PAPER, "intermediate.dense"),
    },
    "electra": {
        "paper": encoder(*BERT_PAPER, "output.dense"),
        "fed": [*encoder(*BERT_PAPER, "intermediate.dense"), "embeddings_project"],
    },
    "distilbert": {"paper": distilbert("ffn.lin2"), "fed": distilbert("attention.out_lin", "ffn.lin1")},
    "deberta-v2": {"paper": deberta("output.dense"), "fed": deberta("intermediate.dense")},
    "gpt2": {
        "paper": expand("h.{i}.attn.c_attn", "h.{i}.attn.c_proj", "h.{i}.mlp.c_proj"),
        "fed": expand("h.{i}.attn.c_attn", "h.{i}.attn.c_proj", "h.{i}.mlp.c_fc"),
    },
    "t5": {"paper": T5_BODY, "fed": T5_BODY},
}


def attached(model, head, strategy, **fields):
    context = Context(model, head, torch.Generator().manual_seed(1), **fields)
    bound = parse(strategy).bind(context)
    return bound, bound.attach()


def output(model, batch, seed=0):
    torch.manual_seed(seed)
    with torch.no_grad():
        return model(**{name: value for name, value in batch.items() if name != "labels"}).logits


def test_every_family_has_a_tiny_model():
    assert set(FAMILIES) == set(FIELDS)


@pytest.mark.parametrize("family", SITES)
def test_sites_and_mixed_layers_of_the_first_families_are_as_listed(family, family_model):
    model, head = family_model(family)
    sites, prefix = find_sites(model, head), base_prefix(model)
    assert [site.name for site in sites.dropouts] == SITES[family]
    assert {reading: [n.removeprefix(prefix) for n in names] for reading, names in sites.mixed.items()} == MIXED[family]


@pytest.mark.parametrize("reading", ["paper", "fed"])
def test_mixed_layers_are_those_next_to_a_dropout(family, family_model, batch, reading):
    """Watched in a forward pass instead of listed. Electra projects its dropped embeddings: its first layer is fed by
    them all the same."""
    found, listed = watched_and_listed(*family_model(family, attn_implementation="eager"), batch, reading)
    projected = {f"electra.encoder.layer.0.{name}" for name in BERT_PAPER[:3]}
    assert found | (projected if family == "electra" else set()) == listed


@pytest.mark.parametrize("reading", ["paper", "fed"])
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("albert", {"embedding_size": 8}),
        ("deberta", {"embedding_size": 6}),
        ("deberta-v2", {"embedding_size": 6}),
        ("deberta-v2", {"share_att_key": True, "conv_kernel_size": 3}),
        ("deberta-v2", {"relative_attention": False}),
        ("electra", {"embedding_size": 8}),
        ("gpt_neox", {"use_parallel_residual": False}),
        ("opt", {"word_embed_proj_dim": 6}),
        ("opt", {"do_layer_norm_before": False}),
        ("t5", {"feed_forward_proj": "gated-gelu"}),
    ],
)
def test_mixed_layers_of_a_family_s_variants_are_those_next_to_a_dropout(name, changes, family_model, batch, reading):
    found, listed = watched_and_listed(*family_model(name, attn_implementation="eager", **changes), batch, reading)
    assert found == listed


def watched_and_listed(model, head, batch, reading):
    attached(model.train(), head, "dropout(0.5)")
    with Flow(model) as flow:
        output(model, batch)
    found = {layer for layer in getattr(flow, reading) if f"{layer}.weight" not in head}
    return found, set(find_sites(model, head).mixed[reading])


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_every_site_changes_the_output(family, family_model, batch, attention):
    if family in OWN_ATTENTION and attention == "sdpa":
        pytest.skip(f"{family} has one attention of its own")
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


def test_tensors_that_precede_a_site():
    model = BertForSequenceClassification(tiny_config(num_hidden_layers=12))
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
    shared = {
        "bart": "model.shared.weight",
        "deberta": "deberta.encoder.rel_embeddings.weight",
        "deberta-v2": "deberta.encoder.rel_embeddings.weight",
        "mpnet": "mpnet.encoder.relative_attention_bias.weight",
        "t5": "transformer.shared.weight",
    }
    assert {name for name in own if own.count(name) > 1} <= {shared.get(family, "")}
    assert not set(own) & head


def test_gpt2_attention_sites_of_one_module_have_tensors_of_their_own(family_model):
    sites = {site.name: site for site in find_sites(*family_model("gpt2")).dropouts}
    of_probabilities, of_output = sites["h.0.attn.probabilities"].parameters, sites["h.0.attn.output"].parameters
    assert of_probabilities == tuple(
        f"transformer.h.0.{name}" for name in ("ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias")
    )
    assert of_output == ("transformer.h.0.attn.c_proj.weight", "transformer.h.0.attn.c_proj.bias")


def test_model_default_is_the_checkpoints_own_training_mode(family, family_model, batch):
    """Bit for bit: where a function drops, the dropout in its place takes the same random numbers."""
    model, head = family_model(family)
    plain = output(copy.deepcopy(model).train(), batch)
    expected = {site.name: site.rate for site in find_sites(model, head).dropouts}
    assert any(expected.values())
    attached(model, head, "model_default")
    assert {site.name: site.rate for site in find_sites(model, head).dropouts} == expected
    assert torch.equal(output(model.train(), batch), plain)
    evaluated = output(model.eval(), batch)
    assert torch.equal(output(model, batch, seed=1), evaluated) and not torch.equal(evaluated, plain)


def test_the_sites_are_all_that_drops(family, family_model):
    """Every dropout module and every probability is a site's, or replaced by one of ours, or never used."""
    model, head = family_model(family)
    unused = {"albert": {"encoder.albert_layer_groups.0.albert_layers.0.dropout"}}.get(family, set())
    held = {(site.module, site.attribute) for site in find_sites(model, head).dropouts}
    free = {
        name.removeprefix(base_prefix(model))
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Dropout) and (name, "p") not in held
    }
    assert {name for name in free if not name.endswith("attn.out_drop")} == unused  # ModernBERT's: p = 0 leaves it out


def test_deberta_v3_shares_projections_and_xlarge_has_a_convolution(family_model):
    model, head = family_model("deberta-v2", share_att_key=True, conv_kernel_size=3)
    sites = find_sites(model, head)
    assert [site.name for site in sites.dropouts][:2] == ["embeddings", "encoder.conv"]
    assert not any("pos_" in name for names in sites.mixed.values() for name in names)


def test_a_family_without_table_trains_with_what_reads_no_site():
    config = XLNetConfig(vocab_size=9, d_model=4, n_layer=1, n_head=2, d_inner=4)
    model = XLNet(config)
    attached(model, frozenset(), "none")
    attached(model, frozenset(), "mixout(0, 0.5, layers=all) + wdecay(w_pre, 0.1)")
    for strategy, term in (("sam + dropout(0.1)", r"dropout\(0.1\)"), ("mixout(0, 0.5)", r"mixout\(0, 0.5\)")):
        with pytest.raises(SkipTrial, match=rf"^{term} needs .*and the family xlnet has no site table$"):
            attached(model, frozenset(), strategy)


def test_an_albert_with_groups_of_two_layers_is_no_model_of_its_table(family_model):
    """The table names the first layer of a group: acting on it alone would be half of a strategy."""
    model, head = family_model("albert", inner_group_num=2)
    attached(model, head, "wdecay(w_pre, 0.1)")
    with pytest.raises(
        SkipTrial, match=r"needs .*, and the site table of albert is for groups of one layer, got .* 2$"
    ):
        attached(model, head, "dropout(0.1)")
    found = {site.module for site in discover(model, head).dropouts}
    assert {f"albert.encoder.albert_layer_groups.0.albert_layers.{i}.attention.output_dropout" for i in (0, 1)} <= found


@pytest.mark.parametrize(
    ("family", "change", "message"),
    [
        (
            "bert",
            lambda model: setattr(model.bert.encoder.layer[1].output, "dropout", torch.nn.Identity()),
            "bert model must have a dropout at bert.encoder.layer.1.output.dropout, got",
        ),
        (
            "t5",
            lambda model: delattr(model.transformer.encoder.block[0].layer[0].SelfAttention, "dropout"),
            "t5 model must have a probability dropout at transformer.encoder.block.0",
        ),
        (
            "bert",
            lambda model: delattr(model.bert.encoder.layer[0].intermediate, "dense"),
            "must have the layer bert.encoder.layer.0.intermediate.dense, got none",
        ),
        ("bert", lambda model: delattr(model.bert.pooler, "dense"), "must have the layer bert.pooler.dense, got none"),
    ],
)
def test_a_missing_site_or_layer_is_an_error(family, change, message, family_model, refusal):
    model, head = family_model(family)
    change(model)
    assert re.search(message, refusal(find_sites, model, head))


def test_a_model_without_the_classifiers_head_has_the_sites_of_its_body():
    assert find_sites(BertForMaskedLM(tiny_config())).mixed["paper"][-1] == "bert.encoder.layer.1.output.dense"
