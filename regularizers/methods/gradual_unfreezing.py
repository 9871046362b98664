"""Gradual unfreezing: the layers join the training one after the other, from the head down.

    g_l = 0  for stage l < top - floor(t / T),  T = share * steps / top,  t = 0, 1, ...  [Howard & Ruder 2018, §3.3]

Stages are the embeddings (0), the layers from the bottom (1, 2, ...), and what stands above them with the head (top),
which trains from the first step on; after the share of all steps everything trains. What does not train in a step has
no gradient there, so neither clipping nor Adam's moments see it.
Deviations: a stage joins after an equal part of the first `share` of the steps; ULMFiT gives each stage an epoch, which
has fewer layers than an encoder of today and more epochs. Their discriminative learning rates are `layerwise_lr`, a
term of its own. The share has no value in the paper.
Reference: Howard & Ruder 2018 (ACL), arXiv:1801.06146.
"""

from dataclasses import dataclass

from regularizers import TRAINED_WEIGHTS, Context, Linear, Regularizer, Step, number, register
from regularizers.surgery.layers import stages


def lowest_trained(step: int, steps: int, share: float, top: int) -> int:
    """The lowest stage that trains in step 0, 1, ... of `steps`: `top` at first, 0 once the share has gone by."""
    begun = share * steps
    return 0 if step >= begun else top - int(step * top / begun)


@register("gradual_unfreezing")
@dataclass
class GradualUnfreezing(Regularizer):
    """Let the stages join from the head down, evenly over the first `share` in [0, 1] of all steps."""

    share: float = number("in [0, 1]", 0.5)
    summary = "the layers join the training one after the other from the top"
    paper = "Howard & Ruder 2018 (ACL), §3.3"
    equation = "g_l = 0 in stage l < top - floor(t * top / (share * steps))"
    deviations = "stages join over a share of the steps, not epoch by epoch"
    off = ("gradual_unfreezing(0)",)
    search = {"share": Linear(0.1, 0.9)}
    sets = frozenset({TRAINED_WEIGHTS})
    body_only = True

    def attach(self, context: Context) -> list[str]:
        """Returns what waits: everything below the top stage."""
        self._stages, self._top = stages(context)
        return [name for name in context.parameters() if self._stages[name] < self._top]

    def gradients(self, backward: Step, context: Context) -> None:
        """Take the gradients of the stages that do not train yet away."""
        backward()
        lowest = lowest_trained(context.training.step, context.training.steps, self.share, self._top)
        for name, parameter in context.parameters().items():
            if self._stages.get(name, self._top) < lowest:
                parameter.grad = None
