"""WiSE-FT: evaluate a point on the line between the start and the fine-tuned weights.

    v = (1 - a) * w_pre + a * w   for what has a w_pre;  the head is evaluated as it was trained

Training does not see it. a = 1 is plain fine-tuning, a = 0 the pretrained body under the trained head.
Deviations: the paper's head starts from a zero-shot classifier and is averaged too; a head drawn at random has no such
start, and averaging its random values in would shrink it for nothing.
Reference: Wortsman et al. 2022 (CVPR), arXiv:2109.01903.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from regularizers import Context, Linear, number, register
from regularizers.methods._pretrained import OnPretrained
from regularizers.surgery.swapping import swapped_parameters


def between(start: Mapping[str, Tensor], end: Mapping[str, Tensor], a: float) -> dict[str, Tensor]:
    """`(1 - a) * start + a * end` for every name in `end`; exactly `start` at a = 0 and `end` at a = 1."""
    return {name: torch.lerp(start[name].to(value), value.detach(), a) for name, value in end.items()}


@register("wise_ft")
@dataclass
class WiseFT(OnPretrained):
    """Evaluate the share `a` in [0, 1] of the way from the start to the fine-tuned weights."""

    a: float = number("in [0, 1]", 0.5)
    version = 2
    summary = "evaluate between the start and the fine-tuned weights"
    paper = "Wortsman et al. 2022 (CVPR)"
    equation = "v = (1 - a) * w_pre + a * w; v is evaluated"
    deviations = "the head, which has no pretrained start, is not averaged"
    off = ("wise_ft(1)",)
    search = {"a": Linear(0.1, 0.9, paper=0.5)}

    def evaluation(self, context: Context) -> contextlib.AbstractContextManager[Any]:
        """The model carries the interpolated weights, frozen ones included: another term may have changed them."""
        body = context.initial.keys() - context.head
        weights = {name: p for name, p in context.model.named_parameters() if name in body}
        return swapped_parameters(weights, between(context.initial, weights, self.a))
