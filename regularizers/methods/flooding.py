"""Flooding: keep the training loss from falling below a level b.

    L' = |L - b| + b                                                    [Ishida et al. 2020]

Below the flood level the gradient changes its sign. In a sum, L is the task's own loss, smoothed where the sum says so;
what other terms add to it is not flooded.
Deviations: every micro-batch is flooded by itself, as a mini-batch is in the paper. b is searched for every task there
(0.01 to 0.1); the default of 0.05 is ours.
Reference: Ishida, Yamane, Sakai, Niu, Sugiyama 2020 (ICML), arXiv:2002.08709.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from regularizers import Batch, Compute, Context, Log, Output, Regularizer, number, register


def flooded(loss: Tensor, b: float) -> Tensor:
    """`|loss - b| + b`, never below b."""
    return (loss - b).abs() + b


@register("flooding")
@dataclass
class Flooding(Regularizer):
    """Keep the loss at or above the flood level `b` >= 0."""

    b: float = number(">= 0", 0.05)
    summary = "keep the training loss above a level"
    paper = "Ishida et al. 2020 (ICML)"
    equation = "L' = |L - b| + b"
    deviations = "every micro-batch is flooded by itself"
    loss_order = -1
    example = "flooding(2)"  # above the loss of an untrained model, where it acts
    off = ("flooding(0)",)
    search = {"b": Log(0.01, 0.3)}
    body_only = True
    exempt = {"accumulation": "every micro-batch is flooded by itself, as a mini-batch is in the paper"}
    lowest = torch.tensor(torch.inf)  # loss of all batches

    def loss(self, compute: Compute, batch: Batch, context: Context) -> Output:
        """Flood the inner loss."""
        inner = compute(batch)
        self.lowest = torch.minimum(self.lowest.to(inner.loss.device), inner.loss.detach())
        return Output(flooded(inner.loss, self.b), inner.logits)

    def notes(self) -> list[str]:
        """A level that no batch's loss falls below is plain fine-tuning."""
        lowest = float(self.lowest)
        dry = f"no batch's loss fell below {self.b:g} (the lowest was {lowest:.3g}), so it did nothing"
        return [] if lowest < self.b else [dry]
