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

from dataclasses import dataclass

from regularizers import Context, Linear, Step, number, register
from regularizers.methods._averaging import Averaging


@register("swa")
@dataclass
class SWA(Averaging):
    """Evaluate the mean of the weights after the last `share` in [0, 1] of all steps."""

    share: float = number("in [0, 1]", 0.25)
    summary = "evaluate the mean of the weights of the last steps"
    paper = "Izmailov et al. 2018 (UAI), alg. 1"
    equation = "v <- (v * n + w) / (n + 1) in the last steps; v is evaluated"
    deviations = "averaged after every step; the learning rate is the protocol's"
    off = ("swa(0)",)
    search = {"share": Linear(0.05, 0.75)}

    def update(self, apply: Step, context: Context) -> None:
        """Take the weights after the step into the mean, in the last part of the training."""
        apply()
        if context.training.step + 1 > (1 - self.share) * context.training.steps:
            self.take(context, 1 / (self.averaged + 1))
