"""LP-FT: the head alone trains at first (linear probing), then everything (fine-tuning).

    g = 0 for what has a w_pre  in the steps t <= share * steps;  afterwards every gradient          [Kumar et al. 2022]

A head at random sends random gradients through the body, which distorts the features that pretraining made; a head that
is trained first does so less. What does not train in a step has no gradient there, so neither clipping nor Adam's
moments see it.
Deviations: both parts share one schedule of the learning rate, and the head is trained under the dropout that the sum
has. How the steps are divided is ours; the settings of the paper could not be looked up.
Reference: Kumar, Raghunathan, Jones, Ma, Liang 2022 (ICLR), arXiv:2202.10054.
"""

from dataclasses import dataclass

from regularizers import TRAINED_WEIGHTS, Context, Linear, Step, number, register
from regularizers.methods._pretrained import OnPretrained


@register("lp_ft")
@dataclass
class LPFT(OnPretrained):
    """Train the head alone for the first `share` in [0, 1] of all steps; at 1 it is linear probing."""

    share: float = number("in [0, 1]", 0.5)
    summary = "the head trains alone before the rest joins in"
    paper = "Kumar et al. 2022 (ICLR)"
    equation = "g = 0 outside the head while t <= share * steps"
    deviations = "one schedule of the learning rate for both parts; the division of the steps is ours"
    off = ("lp_ft(0)",)
    search = {"share": Linear(0.1, 0.9)}
    sets = frozenset({TRAINED_WEIGHTS})

    def gradients(self, backward: Step, context: Context) -> None:
        """In the first part, take the body's gradients away."""
        backward()
        if context.training.step < self.share * context.training.steps:
            for parameter in context.pretrained().values():
                parameter.grad = None
