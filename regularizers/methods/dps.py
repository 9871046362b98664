"""DPS Dense: stages in which all weights train and are scored take turns with stages in which the best part trains.

    stage I,  T steps:  a <- a + g^2, from a = 0 anew; every gradient is kept             [Zhang et al. 2022, DPS Dense]
    stage II, T steps:  g <- g * 1[a among the top share p of its tensor];   T = max(1, floor(ratio * steps))

It acts on the weights of the linear layers in the numbered layers of the model, before clipping; biases, embeddings,
what stands above the layers and the head have all their gradients. g is the mini-batch's gradient. Entries of equal
score are kept or left out together.
Deviations: T is at least one step. The authors train runs of less than 2,000 steps without dropout, which here is what
a strategy without `dropout` says. DPS Mix, their second variant, is left out. `p` is the share that trains; their
script reserves 0.3, of which their code trains the rest, 0.7, and that is the default. The description is that of their
code; the paper could not be read.
Reference: Zhang, Li, Li, Zhang, Zhu, Jin 2022 (NeurIPS), arXiv:2211.01642; code ZhangHaojie077/DPS.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from regularizers import Context, Linear, Regularizer, SkipTrial, Step, linear_layers, number, register
from regularizers.surgery.layers import layer_modules


def top_part(scores: Tensor, p: float) -> Tensor:
    """A mask (bool, of the scores' shape) of the share p in (0, 1] of all entries with the highest scores."""
    kept = math.ceil(p * scores.numel())
    return scores >= scores.flatten().kthvalue(scores.numel() - kept + 1).values


@register("dps")
@dataclass
class DPS(Regularizer):
    """Train the share `p` in (0, 1] in every second stage; a stage has the share `ratio` in (0, 1] of all steps."""

    p: float = number("in (0, 1]", 0.7)
    ratio: float = number("in (0, 1]", 0.05, kw_only=True)
    summary = "every second stage only the weights of largest gradients train"
    paper = "Zhang et al. 2022 (NeurIPS), DPS Dense"
    equation = "stage I: a <- a + g^2; stage II: g <- g * 1[a in the top share p of its tensor]"
    deviations = "a stage has at least one step; DPS Mix is left out"
    example = "dps(0.7, ratio=0.3)"
    off = ("dps(1)",)
    search = {"p": Linear(0.1, 0.9, paper=0.7), "ratio": Linear(0.05, 0.25, paper=0.05)}
    body_only = True

    def attach(self, context: Context) -> list[str]:
        """Returns the weights that are scored and masked."""
        starts = tuple(f"{layer}." for layer in layer_modules(context))
        linear = {f"{name}.weight" for name in linear_layers(context.model)}
        self._names = [name for name in context.parameters() if name in linear and name.startswith(starts)]
        if not self._names:
            raise SkipTrial("dps needs a model with linear layers in its numbered layers")
        self.scores: dict[str, Tensor] = {}
        self.masks: dict[str, Tensor] = {}
        return self._names

    def gradients(self, backward: Step, context: Context) -> None:
        """Score in the stages 0, 2, ..., mask in the others."""
        backward()
        length = max(1, int(self.ratio * context.training.steps))
        stage, at = divmod(context.training.step, length)
        weights = context.parameters()
        found = {name: g for name in self._names if (g := weights[name].grad) is not None}
        if stage % 2:
            if at == 0:
                self.masks = {name: top_part(scores, self.p) for name, scores in self.scores.items()}
            for name in found.keys() & self.masks.keys():
                found[name].mul_(self.masks[name])
        else:
            before = {} if at == 0 else self.scores
            self.scores = {name: before.get(name, 0) + g.square() for name, g in found.items()}
