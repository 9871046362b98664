"""Selective projection decay: what the step adds to a tensor's distance from w_pre is taken back where it is doubtful.

    c = -<g, w - w_pre>                                             [Tian et al. 2024, eq. 3]
    r = max(0, ||w' - w_pre|| - ||w - w_pre||) / ||w' - w_pre||     [eq. 9]
    w <- w' - strength * r * (w' - w_pre)   where c < 0, else w'    [eq. 4]

for every tensor that has a w_pre, biases and normalisation included; w is the weight before, w' after the optimizer's
step, g the clipped gradient. c < 0 says that descent leads back toward w_pre; if Adam's momentum moves away all the
same, the decay acts. With strength 1, the default, it puts the tensor on the sphere around w_pre on which it was
before the step [eq. 10].
Deviations: the head, which has no w_pre, is left alone (the authors' example keeps the start of all that trains). A
layer of the paper is a single tensor, as in their code. Equations and their numbers are those of three public ports
of that code, which agree; the paper itself could not be read, so a value of its own is not given.
Reference: Tian, Huang, Kira 2024 (NeurIPS), arXiv:2411.01713; code GT-RIPL/Selective-Projection-Decay.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from regularizers import Context, Log, Step, number, register
from regularizers.methods._pretrained import OnPretrained

NORM_FLOOR = 1e-30  # keeps a weight that is still at w_pre from being divided by zero


def growth(moved: Tensor, before: Tensor, target: Tensor) -> Tensor:
    """The share r in [0, 1] of the distance from `target` that a step from `before` to `moved` has added; a scalar."""
    now, then = torch.linalg.vector_norm(moved - target), torch.linalg.vector_norm(before - target)
    return (now - then).clamp(min=0) / now.clamp(min=NORM_FLOOR)


def points_back(weight: Tensor, target: Tensor) -> Tensor:
    """Whether c < 0: descent along the weight's gradient leads back toward `target`; a scalar."""
    assert weight.grad is not None
    return (weight.grad * (weight.detach() - target)).sum() > 0


@register("spd")
@dataclass
class SPD(OnPretrained):
    """Take back the share `strength` >= 0 of the distance from w_pre that a doubtful step adds; at 1 all of it."""

    strength: float = number(">= 0", 1.0)
    summary = "take back what doubtful steps add to the distance from w_pre"
    paper = "Tian et al. 2024 (NeurIPS), eq. 3, 4, 9"
    equation = "w <- w' - strength * r * (w' - w_pre) where -<g, w - w_pre> < 0, r: growth of the norm"
    deviations = "the head is left alone"
    off = ("spd(0)",)
    search = {"strength": Log(0.05, 2.0)}

    def update(self, apply: Step, context: Context) -> None:
        """Note where the gradient points, step, and take back."""
        weights = context.pretrained()
        targets = {name: context.initial[name].to(p) for name, p in weights.items()}
        before = {name: p.detach().clone() for name, p in weights.items() if p.grad is not None}
        doubtful = {name: points_back(weights[name], targets[name]) for name in before}
        apply()
        with torch.no_grad():
            for name, start in before.items():
                share = self.strength * growth(weights[name], start, targets[name])
                weights[name].lerp_(targets[name], share * doubtful[name])
