"""RecAdam: pull the weights toward w_pre at first and let the task take over by and by.

    w' = w + s(t) * (Adam's move)                              s(t) = 1 / (1 + exp(-k * (t - t0 * steps)))
    w <- w' - min(1, lr * gamma * (1 - s(t))) * (w' - w_pre)                 [Chen et al. 2020, alg. 1, line 12]

for t = 1, 2, ... and everything that has a w_pre, biases and normalisation included; the head takes Adam's moves. The
pull stands outside of Adam's moments, which see the gradient of the task alone. "Adam's move" is all that the other
terms of a sum and the optimizer do to a weight in this step.
Deviations: the paper counts the midpoint in steps (100 to 1,000 of the 7,800 to 61,360 of its BERT runs); here `t0` is
a share of the training, for a midpoint of 250 lies behind the end of a short one and nothing would be learned. The pull
never overshoots w_pre, which 5000 does from a learning rate of 2e-4 on. Training starts from w_pre; the authors' code
starts from random weights unless told otherwise. gamma is theirs, k = 0.5 the default of their script, t0 ours.
As in their code the pull acts on the weight that Adam has moved; in the paper's line 12 on the one before.
Reference: Chen, Hou, Cui, Che, Liu, Yu 2020 (EMNLP), arXiv:2004.12651; code Sanyuan-Chen/RecAdam.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from regularizers import Choice, Context, Linear, Log, Step, number, register, require
from regularizers.methods._pretrained import OnPretrained


def annealed(t: float, k: float, midpoint: float) -> float:
    """The weight s(t) in (0, 1) of the task at step t; 1/2 at the midpoint."""
    return 0.5 * (1.0 + math.tanh(0.5 * k * (t - midpoint)))


@torch.no_grad()
def recall(weight: Tensor, before: Tensor, target: Tensor, s: float, pull: float) -> None:
    """In place: go the share s of the way from `before` to the weight, then the share `pull` of the way to `target`."""
    weight.copy_(torch.lerp(before, weight, s)).lerp_(target, pull)


@register("recadam")
@dataclass
class RecAdam(OnPretrained):
    """Pull toward w_pre with strength `gamma` >= 0, fading at rate `k` > 0 per step around the share `t0` of steps."""

    gamma: float = number(">= 0", 5000)
    k: float = number("> 0", 0.5, kw_only=True)
    t0: float = field(default=0.1, kw_only=True)
    summary = "a pull toward w_pre that fades as the task fades in"
    paper = "Chen et al. 2020 (EMNLP), alg. 1"
    equation = "w <- w + s(t) * Adam(g) - lr * gamma * (1 - s(t)) * (w - w_pre), s a sigmoid of t"
    deviations = "t0 is a share of the steps; the pull never overshoots; training starts from w_pre"
    search = {
        "gamma": Log(100, 10000, paper=5000),
        "k": Choice((0.05, 0.1, 0.2, 0.5, 1.0)),
        "t0": Linear(0.0, 0.5),
    }
    exempt = {"decay": "biases and normalisation are pulled too, as in the authors' code"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.t0 <= 1, "t0 of recadam must be in [0, 1], a share of the steps", self.t0)

    def update(self, apply: Step, context: Context) -> None:
        """Shorten the move that the rest of the sum makes, then pull."""
        weights = {p: name for name, p in context.pretrained().items()}
        before = {name: p.detach().clone() for p, name in weights.items()}
        apply()
        s = annealed(context.training.step + 1, self.k, self.t0 * context.training.steps)
        for group in context.training.optimizer.param_groups:
            pull = min(1.0, float(group["lr"]) * self.gamma * (1 - s))
            for weight in weights.keys() & set(group["params"]):
                name = weights[weight]
                recall(weight, before[name], context.initial[name].to(weight), s, pull)
