"""An average of the weights, kept next to the training and evaluated in their place: what `ema` and `swa` share."""

import contextlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from regularizers import AVERAGED_WEIGHTS, Context, Regularizer
from regularizers.surgery.swapping import swapped_parameters


@dataclass
class Averaging(Regularizer):
    """Evaluate `mean`, into which the weights are taken `averaged` times; before the first, the weights themselves."""

    sets = frozenset({AVERAGED_WEIGHTS})

    def attach(self, context: Context) -> list[str]:
        """Returns what is averaged."""
        self.mean: dict[str, Tensor] = {}
        self.averaged = 0
        return list(context.parameters())

    def take(self, context: Context, share: float) -> None:
        """mean <- (1 - share) * mean + share * w, with the weights w as they are; the first time w itself."""
        weights = {name: p.detach() for name, p in context.parameters().items()}
        if not self.mean:
            self.mean = {name: w.clone() for name, w in weights.items()}
        torch._foreach_lerp_(list(self.mean.values()), [weights[name] for name in self.mean], share)
        self.averaged += 1

    def evaluation(self, context: Context) -> contextlib.AbstractContextManager[Any]:
        """The model carries the average."""
        return swapped_parameters(context.parameters(), self.mean)
