"""Gaussian dropout: moments of the noise, every site acts, evaluation stays clean."""

import math

import pytest
import torch

from regularizers.base import Context
from regularizers.methods.gaussian_dropout import gaussian_dropout
from regularizers.strategy import parse
from regularizers.surgery.noise import attention, holder
from regularizers.surgery.sites import find_sites
from regularizers.testing.tiny_families import OWN_ATTENTION


def bound_to(model, head, text="gaussian_dropout(0.3)"):
    bound = parse(text).bind(Context(model, head, torch.Generator().manual_seed(1)))
    return bound, next(iter(bound.attach().values()))


def output(model, batch):
    with torch.no_grad():
        return model(**{name: value for name, value in batch.items() if name != "labels"}).logits


def test_equals_the_slow_reference(numbers):
    x, noise, p = numbers(3, 4), numbers(3, 4, seed=1), 0.2
    pairs = zip(x.flatten().tolist(), noise.flatten().tolist(), strict=True)
    slow = torch.tensor([a * (1 + math.sqrt(p / (1 - p)) * e) for a, e in pairs], dtype=torch.float64).view(3, 4)
    assert ((gaussian_dropout(x, p, noise) - slow).norm() / slow.norm()).item() <= 1e-10


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_the_noise_of_every_single_site_changes_the_output(family, family_model, batch, implementation):
    if family in OWN_ATTENTION and implementation == "sdpa":
        pytest.skip(f"{family} has one attention of its own")
    model, head = family_model(family, attn_implementation=implementation)
    bound, touched = bound_to(model, head)
    sites = find_sites(model, head).dropouts
    assert touched == [site.module for site in sites]
    noises = {site.name: holder(model, site).site_noise for site in sites}
    for site in sites:
        holder(model, site).site_noise = None
    model.train()
    plain = output(model, batch)
    for site in sites:
        holder(model, site).site_noise = noises[site.name]
        bound.draw()
        assert not torch.equal(plain, output(model, batch)), site.name
        holder(model, site).site_noise = None


def test_evaluation_computes_what_the_model_does(family, family_model, batch):
    model, head = family_model(family)
    clean = output(model.double().eval(), batch)
    bound, _ = bound_to(model, head)
    bound.draw()
    exact = 1e-6 if family == "gemma2" else 1e-9  # ours sums in another order than sdpa, its own softmax is float32
    assert torch.allclose(output(model, batch), clean, rtol=exact, atol=exact)


def test_noise_acts_on_the_probabilities(numbers):
    module = torch.nn.Identity()
    module.site_noise = lambda owner, x: x * 2
    query, key, value = (numbers(1, 2, 3, 4, seed=seed) for seed in range(3))
    plain, _ = attention(module.eval(), query, key, value, None)
    noisy, probabilities = attention(module.train(), query, key, value, None)
    slow = torch.softmax(query @ key.mT / math.sqrt(4), -1)
    assert torch.allclose(noisy, 2 * plain) and torch.allclose(probabilities, 2 * slow)
    assert torch.allclose(plain, (slow @ value).transpose(1, 2))


def test_micro_batches_of_a_step_have_noise_of_their_own(lab):
    trial, seen = lab("gaussian_dropout(0.3)", micro_batch=2), []
    trial.model.dropout.register_forward_hook(lambda module, inputs, out: seen.append((out / inputs[0]).tolist()))
    trial.run(1)
    assert len(seen) == 2 and seen[0] != seen[1]


def test_head_alone(lab):
    trial = lab("head:gaussian_dropout(0.5)")
    assert trial.touched == ["dropout"]
    assert trial.model.config._attn_implementation == "sdpa"
