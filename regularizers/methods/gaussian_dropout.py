"""Gaussian dropout: multiply activations by noise of mean 1 instead of dropping them.

    h <- h * e,  e ~ N(1, p / (1 - p)) per element         [Srivastava et al. 2014 §10; Wang & Manning 2013]

The *variance* is p / (1 - p), that of inverted dropout's m / (1 - p), so both have the same first two moments. It acts
at every dropout site of the model, attention probabilities included, in training only.
Deviations: code of [Sharma24]'s baseline uses p / (1 - p) as the standard deviation and stays in training mode when it
evaluates; neither is done here. Wang & Manning approximate the sum over units, here each unit has its own noise.
"""

import math
from dataclasses import dataclass

from torch import Tensor, nn

from regularizers import ATTENTION_NOISE, DROPOUT_SITES, Context, Linear, number, register
from regularizers.methods._site_noise import StreamNoise


def gaussian_dropout(x: Tensor, p: float, noise: Tensor) -> Tensor:
    """x * (1 + sqrt(p / (1 - p)) * noise); `noise` is standard normal of x's shape, p in [0, 1) (else ValueError)."""
    if not 0 <= p < 1:
        raise ValueError(f"p must be in [0, 1), got {p}")
    return x if p == 0 else x * (1 + math.sqrt(p / (1 - p)) * noise)


@register("gaussian_dropout")
@dataclass
class GaussianDropout(StreamNoise):
    """Multiplicative Gaussian noise of variance p / (1 - p) at every dropout site in scope, p in [0, 1)."""

    p: float = number("in [0, 1)", 0.1)
    summary = "multiplicative Gaussian noise at the dropout sites"
    paper = "Srivastava et al. 2014 §10; Wang & Manning 2013"
    equation = "h <- h * e, e ~ N(1, p / (1-p))"
    deviations = "p/(1-p) is the variance (Sharma et al.'s baseline code: standard deviation)"
    off = ("gaussian_dropout(0)",)
    search = {"p": Linear(0.02, 0.5)}
    sets = frozenset({DROPOUT_SITES, ATTENTION_NOISE})

    def attach(self, context: Context) -> list[str]:
        """Put the noise at every site in scope; returns the modules that hold their probabilities."""
        return self.put_noise(context, context.dropout_sites(), self.noise if self.p > 0 else None)

    def noise(self, module: nn.Module, x: Tensor) -> Tensor:
        """x of any shape, every element with noise of its own."""
        return gaussian_dropout(x, self.p, self._stream.normal(x))
