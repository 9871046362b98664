"""NoisyTune: shake the pretrained weights once, before fine-tuning.

    w <- w + (U(0, 1) - 1/2) * lambda * std(w)   per parameter tensor, once              [Wu et al. 2022, eq. 1]

A tensor of one element has no standard deviation and is left alone, and so is the head, which is random anyway.
w_pre stays the checkpoint: terms toward w_pre pull the noise out again.
Deviations: the authors' code adds noise to the head as well.
Reference: Wu, Wu, Qi, Huang, Xie 2022 (ACL), arXiv:2202.12024.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from regularizers import STARTING_WEIGHTS, Context, Linear, Regularizer, number, register


def shaken(weight: Tensor, uniform: Tensor, strength: float) -> Tensor:
    """`w + (u - 1/2) * strength * std(w)` for `uniform` in [0, 1) of the weight's shape; std over n - 1, n >= 2."""
    return weight + (uniform - 0.5) * (strength * weight.std())


@register("noisytune")
@dataclass
class NoisyTune(Regularizer):
    """Uniform noise in proportion to each tensor's standard deviation, of strength `strength` >= 0 (lambda)."""

    strength: float = number(">= 0", 0.15)
    summary = "noise on the pretrained weights before fine-tuning"
    paper = "Wu et al. 2022 (ACL), eq. 1"
    equation = "w <- w + (U(0, 1) - 1/2) * lambda * std(w), once"
    deviations = "the head and tensors of one element get no noise"
    off = ("noisytune(0)",)
    search = {"strength": Linear(0.05, 0.3, paper=0.15)}
    sets = frozenset({STARTING_WEIGHTS})
    body_only = True

    @torch.no_grad()
    def attach(self, context: Context) -> list[str]:
        """Add the noise; returns the parameters that got some."""
        shaken_names = []
        for name, weight in context.pretrained().items():
            if weight.numel() > 1:
                uniform = torch.rand(weight.shape, dtype=weight.dtype, generator=context.generator)
                weight.copy_(shaken(weight, uniform.to(weight.device), self.strength))
                shaken_names.append(name)
        return shaken_names
