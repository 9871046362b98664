"""Exponential moving average: the weights that are evaluated are a running average of those that are trained.

    v <- decay * v + (1 - decay) * w  after every step, v = w before the first;   v is evaluated

Training itself does not see the average. After t steps the start still weighs decay^t, so short trainings want a small
decay: 0.999 needs some thousand steps.
Deviations: no correction of the start's weight, and no averaging of the last part alone (SWA, Izmailov et al. 2018).
Reference: Polyak & Juditsky 1992; Izmailov et al. 2018 (UAI), arXiv:1803.05407, a relative of it.
The default of 0.999 is the usual one and no paper's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from regularizers.base import Context, Regularizer, require
from regularizers.registry import register
from regularizers.search import Linear, Search
from regularizers.surgery.swapping import swapped_parameters


def average(running: list[Tensor], weights: list[Tensor], decay: float) -> None:
    """In place `v <- decay * v + (1 - decay) * w` over lists of equal shapes."""
    torch._foreach_lerp_(running, weights, 1.0 - decay)


@register("ema")
@dataclass
class EMA(Regularizer):
    """Evaluate a running average with `decay` in [0, 1); at 0 the average is the last weights."""

    decay: float = 0.999
    summary: ClassVar[str] = "evaluate a running average of the weights"
    paper: ClassVar[str] = "Polyak & Juditsky 1992; cf. Izmailov et al. 2018"
    equation: ClassVar[str] = "v <- decay * v + (1 - decay) * w; v is evaluated"
    deviations: ClassVar[str] = "the start is part of the average with weight decay^steps"
    off: ClassVar[tuple[str, ...]] = ("ema(0)",)
    search: ClassVar[Mapping[str, Search]] = {"decay": Linear(0.5, 0.99)}

    def __post_init__(self) -> None:
        require(0 <= self.decay < 1, "the decay of ema must be in [0, 1)", self.decay)

    def attach(self, context: Context) -> list[str]:
        """Returns what is averaged."""
        self.running: dict[str, Tensor] = {}
        return list(context.parameters())

    def update(self, apply: Callable[[], None], context: Context) -> None:
        """Average after the step; the first step begins with a copy of the weights before it."""
        weights = context.parameters()
        if not self.running:
            self.running = {name: p.detach().clone() for name, p in weights.items()}
        apply()
        average(list(self.running.values()), [weights[name].detach() for name in self.running], self.decay)

    def evaluation(self, context: Context) -> contextlib.AbstractContextManager[Any]:
        """The model carries the average."""
        return swapped_parameters(context.parameters(), self.running)
