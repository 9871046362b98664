"""Sites that are found by watching a model: they are those of the tables, and a family without one is listed."""

import pytest
import torch
from transformers import AutoModelForSequenceClassification, FunnelConfig, XLNetConfig

from regularizers.base import Context
from regularizers.strategy import parse
from regularizers.surgery.discovery import discover, listing
from regularizers.surgery.sites import find_sites, head_of, set_rate
from regularizers.testing.tiny_families import tiny_family

WITHOUT_SITES_OF_OURS = ["bert", "roberta", "distilbert", "deberta-v2", "deberta", "mpnet", "gpt2", "gpt_neox", "t5"]
SMALL = {"vocab_size": 30, "d_model": 8, "d_inner": 12, "n_head": 2}


@pytest.fixture(scope="module")
def xlnet():
    with torch.random.fork_rng(devices=[]):
        return AutoModelForSequenceClassification.from_config(XLNetConfig(n_layer=2, **SMALL))


@pytest.mark.parametrize("family", WITHOUT_SITES_OF_OURS)
def test_what_is_found_is_what_the_table_says(family):
    model, head = tiny_family(family)
    state, before = torch.get_rng_state(), {name: p.clone() for name, p in model.named_parameters()}
    found, table = discover(model, head), find_sites(model, head)

    def held(sites):
        return {(site.module, site.attribute, site.owner, site.rate, site.kind == "head") for site in sites.dropouts}

    assert held(found) == held(table)
    assert {reading: set(layers) for reading, layers in found.mixed.items()} == {
        reading: set(layers) for reading, layers in table.mixed.items()
    }
    assert torch.equal(state, torch.get_rng_state()), "the trial's own draws are untouched"
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert find_sites(model, head) == table, "the model itself is not changed"


def test_an_attention_that_takes_no_noise_has_no_attention_site():
    """Llama's probability is read by transformers' attention; hidden sites would be ours, and are not planted."""
    model, head = tiny_family("llama")
    assert [site.name for site in discover(model, head).dropouts] == [
        f"layers.{i}.self_attn.attention_dropout" for i in range(2)
    ]


def test_a_family_without_a_table_is_listed_and_trains(xlnet):
    head = head_of(xlnet)
    sites = discover(xlnet, head)
    line = listing(sites)
    assert line.startswith(
        "sites=discovered found in xlnet: 6 dropout sites (layer.0.rel_attn.dropout, layer.0.ff.dropout"
    )
    assert line.endswith("4 mixed in paper, 4 mixed in fed")
    context = Context(xlnet, head, torch.Generator().manual_seed(1), sites)
    touched = parse("gaussian_dropout(0.1) + mixout(w_pre, 0.5)").bind(context).attach()
    assert [len(names) for names in touched.values()] == [6, 4]
    ids = torch.arange(3, 9).unsqueeze(0)
    xlnet.train()
    for site in sites.dropouts:
        set_rate(xlnet, site, 0.0)
    assert xlnet(input_ids=ids).logits.isfinite().all()


def test_a_model_without_an_end_token_is_watched_as_well():
    config = FunnelConfig(d_head=4, block_sizes=[1, 1], **SMALL)
    with torch.random.fork_rng(devices=[]):
        model = AutoModelForSequenceClassification.from_config(config)
    assert discover(model, head_of(model)).dropouts
