"""Mixout: every step, replace a random share p of each neuron's outgoing weights by those of a target model.

    w_mix = (m * w + (1 - m) * u - p * u) / (1 - p),  m ~ Bernoulli(1 - p) per input feature      [Lee20 eq. 8]

mixconnect (eq. 4-5) with a Bernoulli mask shared by all parameters that leave one neuron: one mask entry per input
feature of a linear layer, so a whole column of an (out, in) weight is kept or mixed. E w_mix = w. For a strongly convex
loss of constant m it penalises ||w - u||^2 with strength m * p / (1 - p) (Corollary 1.1). The bias is not mixed.

Where (`layers`): `paper` is our reading of [Lee20 C.2], the linear layers fed by the units that BERT drops (query, key,
value, attention output dense, intermediate dense, pooler; `regularizers/sites.py` lists them); `all` is every linear
layer of the body. The head is mixed by a `head:` term alone.

Deviations: the gradient is exact, grad * m / (1 - p). The authors' code (and eq. 2) leaves out 1 / (1 - p), which Adam
hardly sees and a global-norm clip does; `gradient=authors` is that variant. Target and mask are buffers: they move with
the model and are saved with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from regularizers.base import Context, Regularizer, require
from regularizers.registry import register

WEIGHTS = "the mixed weights"


def mixout(weight: Tensor, target: Tensor, p: float, mask: Tensor, gradient: str = "exact") -> Tensor:
    """The mixed weight of [Lee20 eq. 8], differentiable in `weight`.

    Args:
        weight, target: (out, in), any floating dtype.
        p: mixing probability in [0, 1]; at 0 the result is `weight`, at 1 it is `target`.
        mask: (in,) with 1 where a column is kept and 0 where it is mixed.
        gradient: `exact`, or `authors` to leave out the factor 1 / (1 - p) of the derivative.

    Raises ValueError for p outside [0, 1].
    """
    if not 0 <= p <= 1:
        raise ValueError(f"p must be in [0, 1], got {p}")
    if p == 0:
        return weight
    if p == 1:
        return target + torch.zeros_like(weight) * weight
    if gradient == "authors":
        weight = weight.detach() + (1 - p) * (weight - weight.detach())
    return (mask * weight + (1 - mask) * target - p * target) / (1 - p)


class MixedLinear(nn.Linear):
    """A linear layer that trains with a mixed weight and evaluates with its own.

    `adopt` turns an existing layer into one in place: parameters, their names and the module's identity stay, no random
    number is drawn; the target is a buffer, the mask (fresh every step) a buffer that is not saved.
    """

    mix_target: Tensor
    mix_mask: Tensor
    mix_p: float
    mix_gradient: str

    @staticmethod
    def adopt(layer: nn.Module, target: Tensor, p: float, gradient: str) -> None:
        """Let `layer` mix toward `target` (shape of its weight) with probability `p` from now on."""
        weight = layer.weight
        assert isinstance(layer, nn.Linear) and isinstance(weight, Tensor)
        layer.__class__ = MixedLinear
        assert isinstance(layer, MixedLinear)
        layer.mix_p, layer.mix_gradient = p, gradient
        layer.register_buffer("mix_target", target.detach().clone())
        layer.register_buffer("mix_mask", torch.ones(layer.in_features).to(weight), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x (..., in) -> (..., out)."""
        if not self.training:
            return nn.functional.linear(x, self.weight, self.bias)
        mixed = mixout(self.weight, self.mix_target, self.mix_p, self.mix_mask, self.mix_gradient)
        return nn.functional.linear(x, mixed, self.bias)


@register("mixout")
@dataclass
class Mixout(Regularizer):
    """Mix toward `target`, p in [0, 1): w_pre or 0 outside the head, w_0 or 0 on it; [Lee20] uses p = 0.7, 0.8, 0.9."""

    target: str
    p: float
    layers: str = field(default="paper", kw_only=True)
    gradient: str = field(default="exact", kw_only=True)
    summary: ClassVar[str] = "swap random columns of the weights for a target's"
    paper: ClassVar[str] = "Lee, Cho, Kang 2020 (ICLR), eq. 8"
    equation: ClassVar[str] = "w_mix = (m*w + (1-m)*u - p*u) / (1-p), m ~ Bernoulli(1-p) per input feature"
    deviations: ClassVar[str] = "exact gradient; the authors' code leaves out 1/(1-p) (gradient=authors)"

    def __post_init__(self) -> None:
        require(self.target in ("0", "w_pre", "w_0"), "the target of mixout must be 0, w_pre or w_0", self.target)
        require(0 <= self.p < 1, "p of mixout must be in [0, 1)", self.p)
        require(self.layers in ("paper", "all"), "layers of mixout must be paper or all", self.layers)
        require(self.gradient in ("exact", "authors"), "gradient of mixout must be exact or authors", self.gradient)

    def acts_on(self) -> frozenset[str]:
        """The weights of linear layers."""
        return frozenset({WEIGHTS})

    def check_scope(self, scope: str) -> None:
        """w_pre exists outside the head only, w_0 in the head only."""
        wrong = "w_pre" if scope == "head" else "w_0"
        hint = "the head has w_0" if scope == "head" else "write head:mixout(w_0, ...)"
        require(self.target != wrong, f"the target of mixout on the {scope} must exist there", wrong, hint)

    def attach(self, context: Context) -> list[str]:
        """Turn the layers in scope into mixed ones; returns their names."""
        names = context.mixed_layers(self.layers)
        self.mixed = []
        for name in names:
            layer = context.model.get_submodule(name)
            initial = context.initial[f"{name}.weight"]
            MixedLinear.adopt(
                layer, torch.zeros_like(initial) if self.target == "0" else initial, self.p, self.gradient
            )
            self.mixed.append(layer)
        return names

    def draw(self, context: Context) -> None:
        """One draw for all layers: a mask entry per input feature, the same for every micro-batch of the step."""
        widths = [layer.in_features for layer in self.mixed]
        kept = torch.rand(sum(widths), generator=context.generator) >= self.p
        for layer, mask in zip(self.mixed, kept.split(widths), strict=True):
            layer.mix_mask.copy_(mask)
