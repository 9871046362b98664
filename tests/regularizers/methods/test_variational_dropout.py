"""Variational dropout: the divergence against Kingma et al.'s formula, learned strengths, where they are kept."""

import math

import torch

from regularizers.methods.variational_dropout import divergence, variational_dropout


def slow_divergence(alpha):
    return -0.5 * math.log(alpha) - 1.16145124 * alpha + 1.50204118 * alpha * alpha - 0.58629921 * alpha * alpha * alpha


def test_divergence_equals_the_slow_reference():
    alphas = [0.01, 0.111, 0.5, 1.0]
    ours = divergence(torch.tensor(alphas, dtype=torch.float64).log())
    slow = torch.tensor([slow_divergence(alpha) for alpha in alphas], dtype=torch.float64)
    assert ((ours - slow).norm() / slow.norm()).item() <= 1e-10


def test_the_noise_equals_the_slow_reference(numbers):
    x, noise, log_alpha = numbers(3, 2), numbers(3, 2, seed=1), torch.tensor(-1.3, dtype=torch.float64)
    slow = x + x * noise * math.sqrt(math.exp(-1.3))
    assert ((variational_dropout(x, log_alpha, noise) - slow).norm() / slow.norm()).item() <= 1e-10


def alphas(trial):
    return {n: p for n, p in trial.model.named_parameters() if n.endswith("log_alpha")}


def test_one_alpha_per_site_learns_with_its_own_rate_and_starts_at_p(lab):
    trial = lab("variational_dropout(0.1, lr=0.05)")
    found = alphas(trial)
    assert len(found) == len(trial.touched) == 1 + 3 * 3 + 1
    assert "bert.encoder.layer.0.attention.self.log_alpha" in found and "dropout.log_alpha" in found
    assert all(math.isclose(p.item(), math.log(0.1 / 0.9)) for p in found.values())
    assert all(rate == (0.05 if name in found else 1e-2) for name, rate in trial.rates().items())
    trial.run(2)
    assert all(p.item() != math.log(0.1 / 0.9) for p in found.values())


def test_the_loss_adds_the_divergence_of_all_units_over_n(lab):
    trial = lab("variational_dropout(0.1)")
    trial.model.train()
    trial.bound.draw()
    state = trial.term._stream.generator.get_state()
    regularized = trial.bound.loss(trial.batches[0]).loss
    trial.term._stream.generator.set_state(state)
    plain = trial.context.compute(trial.batches[0]).loss
    hidden, attention = 16 * (1 + 3 * 2 + 1), 2 * 3  # features of the hidden sites, heads of the attention sites
    expected = (hidden + attention) * slow_divergence(0.1 / 0.9) / 28
    assert abs((regularized - plain).item() / expected - 1) <= 1e-10


def test_alpha_stays_at_most_one(lab):
    trial = lab("variational_dropout(0.5, lr=3)")
    trial.run(3)
    assert all(p.item() <= 0 for p in alphas(trial).values())


def test_alphas_are_no_weights_for_other_terms(lab):
    trial = lab("variational_dropout(0.1) + wdecay(0, 0.1)")
    decayed = dict(zip(("variational", "wdecay"), trial.bound.terms, strict=True))["wdecay"][0]
    sizes = {id(weight) for weight in decayed._weights}
    assert not sizes & {id(p) for p in alphas(trial).values()}
