"""Stochastic weight averaging: the weights that are evaluated are the plain mean of those after the last steps.

    v = 1/n * sum of w_t over the steps t > (1 - share) * steps,  n of them;   v is evaluated   [Izmailov et al. 2018]
    as a running mean:  v <- (v * n + w) / (n + 1)                                                   [their alg. 1]

Training does not see the average; until the last part begins, and at share 0, the weights themselves are evaluated.
LAWA (Kaddour 2022, arXiv:2209.14981) averages the latest checkpoints and slides with the training; after the last step,
where a trial is evaluated, both are a mean over the end of it. `ema` forgets exponentially instead.
Deviations: the average is taken after every step, where the paper takes it once in a cycle or epoch. The learning rate
is the protocol's; theirs is high and constant or cyclic in the last part, and under a rate that falls to 0 the last
weights lie closer together. Models with batch normalisation would need its statistics anew; there are none here.
A share of a quarter is that of PyTorch's examples; the settings of the paper's runs could not be looked up.
Reference: Izmailov, Podoprikhin, Garipov, Vetrov, Wilson 2018 (UAI), arXiv:1803.05407.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from regularizers.base import AVERAGED_WEIGHTS, Context, Regularizer, require
from regularizers.registry import register
from regularizers.search import Linear
from regularizers.surgery.swapping import swapped_parameters


@register("swa")
@dataclass
class SWA(Regularizer):
    """Evaluate the mean of the weights after the last `share` in [0, 1] of all steps."""

    share: float = 0.25
    summary: ClassVar[str] = "evaluate the mean of the weights of the last steps"
    paper: ClassVar[str] = "Izmailov et al. 2018 (UAI), alg. 1"
    equation: ClassVar[str] = "v <- (v * n + w) / (n + 1) in the last steps; v is evaluated"
    deviations: ClassVar[str] = "averaged after every step; the learning rate is the protocol's"
    off: ClassVar[tuple[str, ...]] = ("swa(0)",)
    sets: ClassVar[frozenset[str]] = frozenset({AVERAGED_WEIGHTS})
    search: ClassVar = {"share": Linear(0.05, 0.75)}

    def __post_init__(self) -> None:
        require(0 <= self.share <= 1, "the share of swa must be in [0, 1]", self.share)

    def attach(self, context: Context) -> list[str]:
        """Returns what is averaged."""
        self.mean: dict[str, Tensor] = {}
        self.averaged = 0
        return list(context.parameters())

    def update(self, apply: Callable[[], None], context: Context) -> None:
        """Take the weights after the step into the mean, in the last part of the training."""
        apply()
        if context.training.step + 1 <= (1 - self.share) * context.training.steps:
            return
        weights = {name: p.detach() for name, p in context.parameters().items()}
        if not self.mean:
            self.mean = {name: torch.zeros_like(w) for name, w in weights.items()}
        self.averaged += 1
        torch._foreach_lerp_(list(self.mean.values()), [weights[name] for name in self.mean], 1 / self.averaged)

    def evaluation(self, context: Context) -> contextlib.AbstractContextManager[Any]:
        """The model carries the mean."""
        return swapped_parameters(context.parameters(), self.mean)
