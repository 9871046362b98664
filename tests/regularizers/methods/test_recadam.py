import math

import numpy as np
import pytest
import torch

from regularizers.methods.recadam import annealed


def test_the_task_fades_in_around_the_midpoint():
    for t, k, midpoint in [(1, 0.5, 4.0), (4, 0.1, 4.0), (9, 0.2, 3.5)]:
        assert annealed(t, k, midpoint) == pytest.approx(1 / (1 + math.exp(-k * (t - midpoint))), rel=1e-12)
    assert annealed(1, 1.0, 1e6) == 0 and annealed(1e6, 1.0, 1) == 1


@pytest.mark.parametrize("gamma", [30, 5000])  # the second would overshoot at the first steps
def test_steps_equal_a_slow_reference(gamma, lab, replay):
    trial = lab(f"recadam({gamma}, k=0.4, t0=0.5)")
    trial.context.training.steps = 5
    for step, weights in replay(trial, 5):
        s = 1 / (1 + math.exp(-0.4 * (step + 1 - 0.5 * 5)))
        for name, (before, _, move, after) in weights.items():
            expected = before + move
            if not name.startswith("classifier"):
                moved = before + s * move
                expected = moved - min(1, 0.01 * gamma * (1 - s)) * (moved - trial.start[name].numpy())
            np.testing.assert_allclose(after, expected, rtol=1e-9, atol=1e-14, err_msg=name)


def test_the_pull_has_the_rate_of_its_parameters(lab, replay):
    trial = lab("layerwise_lr(0.5) + recadam(20, k=0.1, t0=0.5)")
    trial.context.training.steps = 5
    assert len(set(trial.rates().values())) > 2
    for step, weights in replay(trial, 3):
        s = annealed(step + 1, 0.1, 2.5)
        for name, (before, _, move, after) in weights.items():
            if not name.startswith("classifier"):
                moved = before + s * move
                expected = moved - trial.rates()[name] * 20 * (1 - s) * (moved - trial.start[name].numpy())
                np.testing.assert_allclose(after, expected, rtol=1e-9, atol=1e-14, err_msg=name)


def test_without_a_gradient_biases_too_go_back_to_w_pre(lab):
    trial = lab("recadam(10, k=1, t0=1)")
    trial.context.training.steps = 1000
    with torch.no_grad():
        for p in trial.model.parameters():
            p.add_(0.1)
            p.grad = torch.zeros_like(p)
    trial.bound.update(trial.context.training.optimizer.step)
    for name, p in trial.model.named_parameters():
        left = 0.1 if name.startswith("classifier") else 0.1 * (1 - 0.01 * 10)
        torch.testing.assert_close(p.detach(), trial.start[name] + left, rtol=1e-9, atol=1e-12)
