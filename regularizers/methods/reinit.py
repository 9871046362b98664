"""Re-initialise the top layers and the pooler before fine-tuning.

    weights ~ N(0, 0.02^2), biases 0, LayerNorm (1, 0)   in the top k layers and the pooler   [Zhang et al. 2021, §5]

w_pre stays the checkpoint: `mixout(w_pre, ...)`, `wdecay(w_pre, ...)` and `wise_ft` pull the new layers back to the
pretrained ones, and the recorded distance from w_pre includes the jump. Drawn from the trial's own generator.
Deviations: none known. k is tuned from 1 to 6 for every task in the paper, so it has no default.
Reference: Zhang, Wu, Katiyar, Weinberger, Artzi 2021 (ICLR), arXiv:2006.05987.
"""

from dataclasses import dataclass

import torch

from regularizers import STARTING_WEIGHTS, Context, Layers, Regularizer, SkipTrial, number, register
from regularizers.surgery.layers import norm_prefixes, stages

STD = 0.02  # BERT's own initialisation


def top_parameters(context: Context, k: int) -> list[str]:
    """Names of the pretrained parameters of the top k layers and of what stands above them. SkipTrial: too few."""
    stage, top = stages(context)
    if k >= top:
        raise SkipTrial(f"reinit({k}) needs a model of at least {k} layers, got {top - 1}")
    return [name for name in context.parameters() if stage[name] >= top - k and name not in context.head]


@register("reinit")
@dataclass
class Reinit(Regularizer):
    """Start the top `k` >= 1 layers and the pooler from scratch."""

    k: int = number("an integer >= 1")
    summary = "start the top layers from scratch"
    paper = "Zhang et al. 2021 (ICLR), §5"
    equation = "top k layers and pooler ~ N(0, 0.02^2), LayerNorm (1, 0)"
    example = "reinit(1)"
    search = {"k": Layers(1, 6)}
    sets = frozenset({STARTING_WEIGHTS})
    body_only = True

    @torch.no_grad()
    def attach(self, context: Context) -> list[str]:
        """Draw the new weights, in the model's order; returns the parameters' names."""
        parameters, norms = context.parameters(), norm_prefixes(context.model)
        names = top_parameters(context, self.k)
        for name in names:
            weight = parameters[name]
            if name.startswith(norms):
                weight.fill_(0.0 if name.endswith("bias") else 1.0)
            elif weight.dim() > 1:
                drawn = torch.empty(weight.shape, dtype=weight.dtype).normal_(0, STD, generator=context.generator)
                weight.copy_(drawn)
            else:
                weight.zero_()
        return names
