"""Guided dropout: the published schedule by name, ties, shuffling, and the scores it accepts."""

import random

import pytest
import torch

from fisher.scores import Scores, published_ranking
from regularizers.base import Context
from regularizers.methods.guided_dropout import schedule
from regularizers.strategy import parse
from regularizers.surgery.sites import base_prefix, find_sites


def test_the_published_ranking_gives_the_published_probabilities():
    ranking = published_ranking()
    rates = schedule({site: float(at) for at, site in enumerate(ranking)}, 0, 0.099)
    expected = {site: 0.099 - 0.00275 * at for at, site in enumerate(ranking)}
    assert list(rates) == list(expected)
    assert max(abs(rates[site] - expected[site]) for site in ranking) <= 1e-12
    assert rates["layer.7.attention.self"] == 0.099 and rates["embeddings"] == 0
    assert rates["layer.11.attention.self"] == pytest.approx(0.099 - 0.00275 * 6)


@pytest.mark.parametrize(
    ("scores", "low", "high", "expected"),
    [
        ({"a": 5.0, "b": 1e9, "c": 0.1}, 0.1, 0.3, {"a": 0.2, "b": 0.1, "c": 0.3}),  # linear in rank, not in score
        ({"a": 1.0, "b": 1.0, "c": 1.0}, 0, 0.2, {"a": 0.2, "b": 0.1, "c": 0}),  # equal scores keep their order
        ({"a": 1.0}, 0, 0.2, {"a": 0.2}),  # a single site gets the upper bound
        ({"a": 1.0, "b": 2.0}, 0.1, 0.1, {"a": 0.1, "b": 0.1}),  # equal bounds are plain dropout
    ],
)
def test_schedule_falls_with_the_rank(scores, low, high, expected):
    assert schedule(scores, low, high) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("scores", "low", "high", "message"),
    [
        ({}, 0, 0.1, "scores must name at least one site, got none"),
        ({"a": 1.0}, 0.2, 0.1, "bounds must satisfy 0 <= p_lower <= p_upper < 1, got 0.2 and 0.1"),
        ({"a": 1.0}, 0, 1, "bounds must satisfy 0 <= p_lower <= p_upper < 1, got 0 and 1"),
    ],
)
def test_schedule_refuses(scores, low, high, message):
    with pytest.raises(ValueError, match=message):
        schedule(scores, low, high)


def attached(lab, text):
    """Rates by site of a three-layer BERT whose tensors have made-up scores."""
    generator = torch.Generator().manual_seed(2)
    made = {
        n.removeprefix("bert."): torch.rand((), generator=generator, dtype=torch.float64) * torch.ones(p.shape)
        for n, p in lab("none").start.items()
        if n.startswith("bert.")
    }
    trial = lab(text, fisher={"estimate": Scores(made)})
    rates = {site.name: trial.model.get_submodule(site.module).p for site in trial.context.sites.dropouts}
    return rates, made, trial.touched


def test_rates_follow_the_mean_of_the_tensors_scores_before_each_site(lab):
    rates, made, touched = attached(lab, "guided_dropout(0, 0.2)")
    sites = [site for site in find_sites(lab("none").model).dropouts if site.kind != "head"]
    slow = {
        s.name: sum(made[n.removeprefix("bert.")].mean().item() for n in s.parameters) / len(s.parameters)
        for s in sites
    }
    ranked = sorted(slow, key=lambda name: slow[name])
    assert rates.pop("head") == 0.1
    assert rates == pytest.approx({name: 0.2 * (1 - ranked.index(name) / 9) for name in slow})
    assert len(touched) == 11


def test_the_head_has_a_probability_of_its_own(lab):
    assert attached(lab, "guided_dropout(0, 0.2, head=0.4)")[0]["head"] == 0.4
    assert attached(lab, "guided_dropout(0, 0.2) + head:none")[0]["head"] == 0


@pytest.mark.parametrize(
    ("family", "text", "note"),
    [
        ("gpt2", "guided_dropout(0, 0.2)", "head=0.1 did nothing, because the model has no dropout in its head"),
        ("gpt2", "guided_dropout(0, 0.2, head=0)", None),
        ("bert", "guided_dropout(0, 0.2)", None),
        ("bert", "guided_dropout(0, 0.2) + head:none", None),
    ],
)
def test_a_probability_for_a_head_without_dropout_is_told(family_model, family, text, note):
    model, head = family_model(family)
    prefix = base_prefix(model)
    values = {name.removeprefix(prefix): torch.ones(p.shape) for name, p in model.named_parameters()}
    bound = parse(text).bind(Context(model, head=head, fisher={"estimate": Scores(values)}))
    bound.attach()
    assert bound.notes() == ([] if note is None else [f"{text}: {note}"])


def test_shuffled_has_the_same_probabilities_elsewhere_and_always_the_same(lab):
    ranked, _, _ = attached(lab, "guided_dropout(0, 0.2)")
    state = random.getstate()
    shuffled, _, _ = attached(lab, "guided_dropout(0, 0.2, order=shuffled)")
    assert random.getstate() == state
    assert sorted(shuffled.values()) == sorted(ranked.values()) and shuffled != ranked
    assert shuffled == attached(lab, "guided_dropout(0, 0.2, order=shuffled)")[0]


def test_methods_name_the_sources_of_their_scores():
    sum_of_three = parse("ewc(1) + guided_dropout(0, 0.1, fisher=published) + surgical(2, fisher=f.safetensors)")
    assert sum_of_three.fisher_sources() == ["estimate", "f.safetensors", "published"]
