"""Label smoothing: the target of the cross-entropy is (1 - e) one-hot plus e uniform.

    L = (1 - e) * CE(y, p) + e * mean_k(-log p_k)                       [Szegedy et al. 2016 §7]

Regression has no classes; such a task is skipped.
Deviations: none.
Reference: Szegedy, Vanhoucke, Ioffe, Shlens, Wojna 2016 (CVPR), arXiv:1512.00567; its default of 0.1.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from regularizers import Batch, Compute, Context, Linear, Output, Regularizer, SkipTrial, number, register


def uniform_loss(logits: Tensor) -> Tensor:
    """Cross-entropy against the uniform distribution, mean over the batch; logits (batch, classes) -> scalar."""
    return -torch.log_softmax(logits, dim=-1).mean()


@register("label_smoothing")
@dataclass
class LabelSmoothing(Regularizer):
    """Move the share `e` in [0, 1) of the target to the uniform distribution."""

    e: float = number("in [0, 1)", 0.1)
    summary = "soft targets"
    paper = "Szegedy et al. 2016 (CVPR), §7"
    equation = "L = (1 - e) * CE + e * mean_k(-log p_k)"
    loss_order = -2
    off = ("label_smoothing(0)",)
    search = {"e": Linear(0.02, 0.3, paper=0.1)}
    body_only = True

    def attach(self, context: Context) -> list[str]:
        """It acts on everything that trains, through the loss."""
        if getattr(getattr(context.model, "config", None), "num_labels", 2) == 1:
            raise SkipTrial("label_smoothing needs a task with classes, got a regression head")
        return list(context.parameters())

    def loss(self, compute: Compute, batch: Batch, context: Context) -> Output:
        """Mix the inner loss with the uniform one."""
        inner = compute(batch)
        return Output((1 - self.e) * inner.loss + self.e * uniform_loss(inner.logits), inner.logits)
