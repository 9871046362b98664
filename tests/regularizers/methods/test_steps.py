"""recadam, spd and sam: every step against a slow reference in float64."""

import math

import numpy as np
import pytest
import torch

from regularizers.methods.recadam import annealed
from regularizers.methods.sam import ascent
from regularizers.methods.spd import growth


class SlowAdam:
    """Adam as in its paper, one tensor at a time in float64; `move` gives what a step adds to the weight."""

    def __init__(self, beta1=0.9, beta2=0.999, eps=1e-8):
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.moments = {}

    def move(self, name, gradient, lr):
        m, v, t = self.moments.get(name, (0.0, 0.0, 0))
        m, v, t = self.beta1 * m + (1 - self.beta1) * gradient, self.beta2 * v + (1 - self.beta2) * gradient**2, t + 1
        self.moments[name] = m, v, t
        return -lr * (m / (1 - self.beta1**t)) / (np.sqrt(v / (1 - self.beta2**t)) + self.eps)


def steps(trial):
    """Follow a trial: yields step, name, weight before, gradient, Adam's move and weight after, of every tensor."""
    adam = SlowAdam()
    for step in range(5):
        before = {name: p.numpy().copy() for name, p in trial.parameters().items()}
        trial.run(1)
        for name, p in trial.model.named_parameters():
            gradient = p.grad.numpy()
            yield step, name, before[name], gradient, adam.move(name, gradient, trial.rates()[name]), p.detach().numpy()


def test_the_task_fades_in_around_the_midpoint():
    for t, k, midpoint in [(1, 0.5, 4.0), (4, 0.1, 4.0), (9, 0.2, 3.5)]:
        assert annealed(t, k, midpoint) == pytest.approx(1 / (1 + math.exp(-k * (t - midpoint))), rel=1e-12)
    assert annealed(1, 1.0, 1e6) == 0 and annealed(1e6, 1.0, 1) == 1


@pytest.mark.parametrize(
    ("gamma", "rates"),
    [(30, ""), (5000, ""), (20, "layerwise_lr(0.5) + ")],  # the second would overshoot at the first steps
)
def test_steps_of_recadam_equal_a_slow_reference(gamma, rates, lab):
    trial = lab(f"{rates}recadam({gamma}, k=0.4, t0=0.5)")
    for step, name, before, _, move, after in steps(trial):
        s, expected = 1 / (1 + math.exp(-0.4 * (step + 1 - 0.5 * 5))), before + move
        if not name.startswith("classifier"):
            moved = before + s * move
            expected = moved - min(1, trial.rates()[name] * gamma * (1 - s)) * (moved - trial.start[name].numpy())
        np.testing.assert_allclose(after, expected, rtol=1e-9, atol=1e-14, err_msg=name)


def test_growth_is_the_share_that_a_step_has_added_to_the_distance():
    target, before = torch.zeros(2, dtype=torch.float64), torch.tensor([3.0, 0.0], dtype=torch.float64)
    assert float(growth(torch.tensor([0.0, 4.0], dtype=torch.float64), before, target)) == pytest.approx(0.25)
    assert float(growth(before / 2, before, target)) == 0 and float(growth(target, target, target)) == 0
    assert float(growth(before, target, target)) == 1


@pytest.mark.parametrize("strength", [0.4, 1])
def test_steps_of_spd_equal_a_slow_reference(strength, lab):
    trial, acted = lab(f"spd({strength})"), set()
    for _, name, before, gradient, move, after in steps(trial):
        expected, start = before + move, trial.start[name].numpy()
        condition = -(gradient * (before - start)).sum()
        ratio = max(0, np.linalg.norm(expected - start) - np.linalg.norm(before - start))
        acts = condition < 0 and ratio > 0 and not name.startswith("classifier")
        if acts:
            expected = expected - strength * ratio / np.linalg.norm(expected - start) * (expected - start)
        acted.add(bool(acts))
        np.testing.assert_allclose(after, expected, rtol=1e-9, atol=1e-13, err_msg=name)
    assert acted == {True, False}


def test_ascent_has_length_rho_and_the_gradients_direction():
    gradients = [torch.tensor([[3.0, 0.0]], dtype=torch.float64), torch.tensor([4.0], dtype=torch.float64)]
    first, second = ascent(gradients, 0.5)
    assert first.tolist() == [[pytest.approx(0.3), 0.0]] and second.tolist() == [pytest.approx(0.4)]
    assert all(torch.equal(e, torch.zeros(2)) for e in ascent([torch.zeros(2)], 0.5))


def reference_gradients(trial, rho):
    """The gradient at w + e, with e from plain autograd and the moved weights put in as a functional call."""
    batch, names = trial.batches[0], [name for name, _ in trial.model.named_parameters()]
    weights = {name: p.detach().clone().requires_grad_() for name, p in trial.model.named_parameters()}

    def gradient(at):
        inputs = {k: v for k, v in batch.items() if k != "labels"}
        out = torch.func.functional_call(trial.model, at, kwargs=inputs).logits
        loss = torch.nn.functional.cross_entropy(out, batch["labels"])
        return dict(zip(names, torch.autograd.grad(loss, [at[name] for name in names]), strict=True))

    g = gradient(weights)
    norm = math.sqrt(sum(float(x.square().sum()) for x in g.values()))
    moved = {name: (w + rho * g[name] / norm).detach().requires_grad_() for name, w in weights.items()}
    return gradient(moved)


@pytest.mark.parametrize("micro_batch", [0, 2])
def test_the_gradient_is_that_of_the_worst_point_and_the_weights_come_back(micro_batch, lab):
    trial = lab("sam(0.3)", lr=0.0, micro_batch=micro_batch)
    expected = reference_gradients(trial, 0.3)
    trial.run(1)
    weights = dict(trial.model.named_parameters())
    apart = math.sqrt(sum(float((weights[name].grad - g).square().sum()) for name, g in expected.items()))
    assert apart < 1e-12 * math.sqrt(sum(float(g.square().sum()) for g in expected.values()))
    assert all(torch.equal(p, trial.start[name]) for name, p in weights.items())
