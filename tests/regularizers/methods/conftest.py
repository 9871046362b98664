"""A slow reference of Adam in NumPy, against which methods that act around the optimizer's step are held."""

import numpy as np
import pytest


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
            trial.context.training.step = step
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
