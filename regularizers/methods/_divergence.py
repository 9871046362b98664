"""How far two predictions for the same examples are apart: what `rdrop`, `r3f` and `smart` penalise."""

import torch
from torch import Tensor


def divergence(first: Tensor, second: Tensor, labels: Tensor) -> Tensor:
    """Half of KL(P || Q) + KL(Q || P), or for values the squared difference; mean over the batch (scalar, >= 0).

    Args:
        first, second: logits (batch, classes) of two passes over the same examples, or a regression's (batch, 1).
        labels: of the examples; floating-point labels say that it is a regression.
    """
    if labels.is_floating_point():
        return (first - second).square().mean()
    log_p, log_q = torch.log_softmax(first, dim=-1), torch.log_softmax(second, dim=-1)
    return ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(-1).mean() / 2
