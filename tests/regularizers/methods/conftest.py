"""Numbers to compute with, and a slow reference of Adam for methods that act around the optimizer's step."""

import numpy as np
import pytest
import torch


@pytest.fixture
def numbers():
    """Return a function from a shape to fixed normal draws in float64."""
    return lambda *shape, seed=0: torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


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


@pytest.fixture
def replay():
    """Follow a trial step by step: yields (step, {name: (weight before, gradient, Adam's move, weight after)})."""

    def follow(trial, steps):
        adam = SlowAdam()
        for step in range(steps):
            before = {name: p.numpy().copy() for name, p in trial.parameters().items()}
            trial.run(1)
            yield (
                step,
                {
                    name: (before[name], p.grad.numpy(), adam.move(name, p.grad.numpy(), rate), p.detach().numpy())
                    for name, p in trial.model.named_parameters()
                    for rate in [trial.rates()[name]]
                },
            )

    return follow
