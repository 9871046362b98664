"""Exponential moving average: the weights that are evaluated are a running average of those that are trained.

    v <- d_t * v + (1 - d_t) * w  after step t = 1, 2, ...,   d_t = min(decay, (t - 1) / (t + 8));   v is evaluated

Training itself does not see the average. d_1 = 0, so the start (the head's is random) is no part of it, and a short
training is averaged over about its last tenth whatever the decay: 0.999 alone would keep nine tenths of the start after
a hundred steps. From 9 / (1 - decay) steps on it is the usual average.
Deviations: the warm-up of the decay is that of common implementations (TensorFlow's `num_updates`, shifted by a step);
no averaging of the last part alone (SWA, Izmailov et al. 2018).
Reference: Polyak & Juditsky 1992; Izmailov et al. 2018 (UAI), arXiv:1803.05407, a relative of it.
The default of 0.999 is the usual one and no paper's.
"""

from dataclasses import dataclass

from regularizers import Context, Linear, Step, number, register
from regularizers.methods._averaging import Averaging

WARMUP = 9  # d_t = (t - 1) / (t - 1 + 9)


@register("ema")
@dataclass
class EMA(Averaging):
    """Evaluate a running average with at most `decay` in [0, 1); at 0 the average is the last weights."""

    decay: float = number("in [0, 1)", 0.999)
    version = 2
    summary = "evaluate a running average of the weights"
    paper = "Polyak & Juditsky 1992; cf. Izmailov et al. 2018"
    equation = "v <- d_t * v + (1 - d_t) * w, d_t = min(decay, (t-1)/(t+8)); v is evaluated"
    deviations = "the decay is warmed up, so that the start is no part of the average"
    off = ("ema(0)",)
    search = {"decay": Linear(0.5, 0.99)}

    def update(self, apply: Step, context: Context) -> None:
        """Average after the step; the first step leaves its own result."""
        apply()
        self.take(context, 1.0 - self.rate())

    def rate(self) -> float:
        """d_t of the coming step."""
        return min(self.decay, self.averaged / (self.averaged + WARMUP))
