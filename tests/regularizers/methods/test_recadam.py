import math

import numpy as np
import pytest

from regularizers.methods.recadam import annealed


def test_the_task_fades_in_around_the_midpoint():
    for t, k, midpoint in [(1, 0.5, 4.0), (4, 0.1, 4.0), (9, 0.2, 3.5)]:
        assert annealed(t, k, midpoint) == pytest.approx(1 / (1 + math.exp(-k * (t - midpoint))), rel=1e-12)
    assert annealed(1, 1.0, 1e6) == 0 and annealed(1e6, 1.0, 1) == 1


@pytest.mark.parametrize(
    ("gamma", "rates"),
    [(30, ""), (5000, ""), (20, "layerwise_lr(0.5) + ")],  # the second would overshoot at the first steps
)
def test_steps_equal_a_slow_reference(gamma, rates, lab, replay):
    trial = lab(f"{rates}recadam({gamma}, k=0.4, t0=0.5)")
    for step, weights in replay(trial, 5):
        s = 1 / (1 + math.exp(-0.4 * (step + 1 - 0.5 * 5)))
        for name, (before, _, move, after) in weights.items():
            expected = before + move
            if not name.startswith("classifier"):
                moved = before + s * move
                expected = moved - min(1, trial.rates()[name] * gamma * (1 - s)) * (moved - trial.start[name].numpy())
            np.testing.assert_allclose(after, expected, rtol=1e-9, atol=1e-14, err_msg=name)
