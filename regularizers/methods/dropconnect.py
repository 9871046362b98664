"""Dropconnect: drop single weights instead of units.

    w_drop = m * w / (1 - p),  m ~ Bernoulli(1 - p) independently per weight                 [Wan et al. 2013, §3]

mixconnect(0, 1 - p, p (1 - p)) with an independent mask entry per weight [Lee20 §3]. Fresh every optimizer step.
Where (`layers`): as for mixout, `paper`, `fed` or `all`; the head by a `head:` term alone. The bias is not dropped.
Deviations: Wan et al. draw a mask per example, on one fully connected layer, and approximate the mean at test time by a
Gaussian; here one mask serves the whole step (as mixout's does) and evaluation uses the mean weight.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from regularizers import Context, Linear, number, one_of, register
from regularizers.surgery.mixing import convert_to_mixed, mixconnect
from regularizers.surgery.mixing_method import LAYERS, OnLayers, draw_per_weight


def dropconnect(weight: Tensor, p: float, mask: Tensor) -> Tensor:
    """weight * mask / (1 - p); `mask` has the weight's shape with 1 where it is kept, p in [0, 1) (else ValueError)."""
    return mixconnect(weight, torch.zeros((), dtype=weight.dtype, device=weight.device), p, mask)


@register("dropconnect")
@dataclass
class Dropconnect(OnLayers):
    """Drop every weight of the linear layers in scope with probability `p` in [0, 1)."""

    p: float = number("in [0, 1)")
    layers: str = one_of(*LAYERS)
    version = 2
    summary = "drop single weights of the linear layers"
    paper = "Wan et al. 2013 (ICML)"
    equation = "w_drop = m * w / (1-p), m ~ Bernoulli(1-p) per weight"
    deviations = "one mask per step instead of one per example; evaluates with the mean weight"
    example = "dropconnect(0.1)"
    off = ("dropconnect(0)",)
    search = {"p": Linear(0.05, 0.7, paper=0.5)}

    def attach(self, context: Context) -> list[str]:
        """Turn the layers in scope into mixed ones with target 0; returns their names."""
        names = context.mixed_layers(self.layers)
        layers = [context.model.get_submodule(name) for name in names]
        self._mixed = [convert_to_mixed(layer, torch.zeros(()), self.p, per_weight=True) for layer in layers]
        return names

    def draw(self, context: Context) -> None:
        """A mask entry per weight, drawn on the model's device."""
        draw_per_weight(self._mixed, self.p, context)
