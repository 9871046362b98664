"""Sharpness-aware minimisation: step with the gradient found at the worst nearby point.

    e = rho * g / ||g||_2,  g = grad L(w);   w <- w - step(grad L(w + e))                 [Foret et al. 2021, eq. 2-3]

The norm is over all parameters in scope. The weights go up to w + e and come back bit for bit before clipping and the
optimizer's step; the loss that is logged is L(w + e). Masks of a step (mixout) are the same in both passes, stock
dropout draws anew in the second.
Deviations: none known; the second-order term is dropped, as in the paper.
Reference: Foret et al. 2021 (ICLR), arXiv:2010.01412.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from regularizers import Context, Log, Regularizer, Step, number, register
from regularizers.surgery.swapping import swapped_parameters

TINY = 1e-12  # keeps a zero gradient from being divided by zero


def ascent(gradients: Sequence[Tensor], rho: float) -> list[Tensor]:
    """The step `rho * g / ||g||` to the worst point of the ball, a tensor per gradient; 0 where all of them are 0."""
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
    return [g * (rho / (norm + TINY)) for g in gradients]


@register("sam")
@dataclass
class SAM(Regularizer):
    """Gradient at the worst point within distance `rho` >= 0; at 0 it is that of plain fine-tuning, computed twice."""

    rho: float = number(">= 0", 0.05)
    summary = "gradient at the worst point nearby"
    paper = "Foret et al. 2021 (ICLR), eq. 2-3"
    equation = "w <- w - step(grad L(w + rho * g / ||g||)), g = grad L(w)"
    off = ("sam(0)",)
    passes = (2, 2)
    search = {"rho": Log(0.01, 0.2, paper=0.05)}

    def attach(self, context: Context) -> list[str]:
        """It moves everything in scope that trains."""
        return list(context.parameters())

    def gradients(self, backward: Step, context: Context) -> None:
        """Climb, take the gradient there, come back."""
        backward()
        moved = {name: p for name, p in context.parameters().items() if p.grad is not None}
        steps = ascent([p.grad for p in moved.values() if p.grad is not None], self.rho)
        with swapped_parameters(
            moved, {name: p.detach() + e for (name, p), e in zip(moved.items(), steps, strict=True)}
        ):
            backward()
