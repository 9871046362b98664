"""Freeze the bottom of the model: the embeddings and the k lowest layers do not train.

    g_i = 0  for parameters of the embeddings and of layers 0 .. k-1

Frozen parameters leave the optimizer, so they cost neither time in the backward pass nor Adam's moments.
Deviations: Howard & Ruder unfreeze layer by layer during training (gradual unfreezing); here the choice is fixed.
Reference: Howard & Ruder 2018 (ACL), arXiv:1801.06146; Lee, Tang, Lin 2019, arXiv:1911.03090 (freezing in BERT).
"""

from dataclasses import dataclass

from regularizers import TRAINED_WEIGHTS, Context, Layers, Regularizer, SkipTrial, number, register
from regularizers.surgery.layers import stages


@register("freeze")
@dataclass
class Freeze(Regularizer):
    """Freeze the embeddings and the `k` >= 0 lowest layers; `freeze(0)` freezes the embeddings alone."""

    k: int = number("an integer >= 0")
    summary = "the embeddings and the lowest layers do not train"
    paper = "Howard & Ruder 2018 (ACL)"
    equation = "g = 0 in the embeddings and layers 0 .. k-1"
    deviations = "no gradual unfreezing"
    example = "freeze(1)"
    search = {"k": Layers(0, 11)}
    sets = frozenset({TRAINED_WEIGHTS})
    body_only = True

    def attach(self, context: Context) -> list[str]:
        """Freeze; returns the frozen parameters. Raises SkipTrial for a model of fewer than k layers."""
        stage, top = stages(context)
        if self.k >= top:
            raise SkipTrial(f"freeze({self.k}) needs a model of at least {self.k} layers, got {top - 1}")
        frozen = {name: p for name, p in context.parameters().items() if stage[name] <= self.k}
        for parameter in frozen.values():
            parameter.requires_grad_(False)
        return list(frozen)
