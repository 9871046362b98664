import numpy as np
import pytest
import torch

from regularizers.methods.spd import growth


def test_growth_is_the_share_that_a_step_has_added_to_the_distance():
    target, before = torch.zeros(2, dtype=torch.float64), torch.tensor([3.0, 0.0], dtype=torch.float64)
    assert float(growth(torch.tensor([0.0, 4.0], dtype=torch.float64), before, target)) == pytest.approx(0.25)
    assert float(growth(before / 2, before, target)) == 0 and float(growth(target, target, target)) == 0
    assert float(growth(before, target, target)) == 1


@pytest.mark.parametrize("strength", [0.4, 1])
def test_steps_equal_a_slow_reference(strength, lab, replay):
    trial, acted, spared = lab(f"spd({strength})"), 0, 0
    for _, weights in replay(trial, 5):
        for name, (before, gradient, move, after) in weights.items():
            expected, start = before + move, trial.start[name].numpy()
            condition = -(gradient * (before - start)).sum()
            ratio = max(0, np.linalg.norm(expected - start) - np.linalg.norm(before - start))
            if condition < 0 and ratio and not name.startswith("classifier"):
                expected = expected - strength * ratio / np.linalg.norm(expected - start) * (expected - start)
                acted += 1
            else:
                spared += 1
            np.testing.assert_allclose(after, expected, rtol=1e-9, atol=1e-13, err_msg=name)
    assert acted and spared
