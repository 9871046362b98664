"""Mixconnect: mixout with a mask of any distribution; mean and variance of the mask are all that its theory needs.

    Phi(w; u, M) = mu^-1 ((I - M) u + M w - (1 - mu) u),  E M_i = mu,  Var M_i = sigma^2    [Lee20 eq. 4-5]
    E L(Phi) >= L(w) + m sigma^2 / (2 mu^2) ||w - u||^2   for a strongly convex loss of constant m        [Theorem 1]

`mask=bernoulli`: Bernoulli(1 - p), which is mixout, draw for draw. `mask=gaussian`: N(1 - p, p (1 - p)), the same mean
and variance, so that Theorem 1 gives both the same strength p / (1 - p). One mask entry per input feature.
Where it acts and which targets there are: as for mixout. Deviations: [Lee20] trains with Bernoulli masks only.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from regularizers import one_of, register
from regularizers.surgery.mixing import mixconnect
from regularizers.surgery.mixing_method import ColumnMixing

__all__ = ["Mixconnect", "mixconnect"]


def gaussian_mask(count: int, p: float, generator: torch.Generator) -> Tensor:
    """`count` draws of N(1 - p, p (1 - p))."""
    return (1 - p) + math.sqrt(p * (1 - p)) * torch.randn(count, generator=generator)


@register("mixconnect")
@dataclass
class Mixconnect(ColumnMixing):
    """Mix toward `target` with masks of mean 1 - p and variance p (1 - p), p in [0, 1)."""

    mask: str = one_of("bernoulli", "gaussian")
    version = 2
    summary = "mixout with a mask of any distribution"
    paper = "Lee, Cho, Kang 2020 (ICLR), eq. 4-5"
    equation = "w_mix = ((1-M)*u + M*w - (1-mu)*u) / mu, E M = mu = 1-p, Var M = p*(1-p)"
    deviations = "exact gradient, as for mixout"
    example = "mixconnect(w_pre, 0.5, mask=gaussian)"
    off = ("mixconnect(w_pre, 0)", "mixconnect(w_pre, 0, mask=gaussian)")

    def masks(self, count: int, generator: torch.Generator) -> Tensor:
        """`count` mask entries of mean 1 - p and variance p (1 - p)."""
        return super().masks(count, generator) if self.mask == "bernoulli" else gaussian_mask(count, self.p, generator)
