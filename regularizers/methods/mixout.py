"""Mixout: every step, replace a random share p of each neuron's outgoing weights by those of a target model.

    w_mix = (m * w + (1 - m) * u - p * u) / (1 - p),  m ~ Bernoulli(1 - p) per input feature      [Lee20 eq. 8]

mixconnect (eq. 4-5) with a Bernoulli mask shared by all parameters that leave one neuron: one mask entry per input
feature of a linear layer, so a whole column of an (out, in) weight, and a row of GPT-2's (in, out) one, is kept or
mixed. E w_mix = w. For a strongly convex loss of constant m it penalises ||w - u||^2 with strength m * p / (1 - p)
(Corollary 1.1). The bias is not mixed.

Where (`layers`): `paper` is what the first author says in public (bloodwass/mixout, pull request 13 and issue 4): the
linear layers whose output the model drops (BERT: query, key, value, attention output dense, feed-forward output dense,
pooler; not the intermediate dense). `fed` is another reading of [Lee20 C.2]: the linear layers whose input is dropped
(intermediate dense in, output dense out). `regularizers/sites.py` lists both for every family; `all` is every linear
layer of the body. The head is mixed by a `head:` term alone.

Deviations: the gradient is exact, grad * m / (1 - p). The authors' code (and eq. 2) leaves out 1 / (1 - p), which Adam
hardly sees and a global-norm clip does; `gradient=authors` is that variant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from regularizers.base import MIXED_WEIGHTS, Context, Regularizer, require
from regularizers.mixing import (
    adopt,
    check_layers,
    check_layers_scope,
    check_target,
    check_target_scope,
    input_features,
    is_file,
    set_mask,
    targets,
)
from regularizers.mixing import mixconnect as mix
from regularizers.registry import register
from regularizers.search import Linear, Search


def mixout(weight: Tensor, target: Tensor, p: float, mask: Tensor, gradient: str = "exact") -> Tensor:
    """The mixed weight of [Lee20 eq. 8], differentiable in `weight`.

    Args:
        weight, target: (out, in), any floating dtype.
        p: mixing probability in [0, 1]; at 0 the result is `weight`, at 1 it is `target`.
        mask: (in,) with 1 where a column is kept and 0 where it is mixed.
        gradient: `exact`, or `authors` to leave out the factor 1 / (1 - p) of the derivative.

    Raises ValueError for p outside [0, 1].
    """
    if p == 1:
        return target + torch.zeros_like(weight) * weight
    if not 0 <= p < 1:
        raise ValueError(f"p must be in [0, 1], got {p}")
    return mix(weight, target, p, mask, gradient)


@register("mixout")
@dataclass
class Mixout(Regularizer):
    """Mix toward `target`, p in [0, 1); [Lee20] uses p = 0.7, 0.8, 0.9.

    Targets: w_pre or 0 outside the head, w_0 or 0 on it, or a .safetensors file of weights under base-model names.
    """

    target: str
    p: float
    layers: str = field(default="paper", kw_only=True)
    gradient: str = field(default="exact", kw_only=True)
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "swap random columns of the weights for a target's"
    paper: ClassVar[str] = "Lee, Cho, Kang 2020 (ICLR), eq. 8"
    equation: ClassVar[str] = "w_mix = (m*w + (1-m)*u - p*u) / (1-p), m ~ Bernoulli(1-p) per input feature"
    deviations: ClassVar[str] = "exact gradient; the authors' code leaves out 1/(1-p) (gradient=authors)"
    example: ClassVar[str] = "mixout(w_pre, 0.5)"
    off: ClassVar[tuple[str, ...]] = ("mixout(w_pre, 0)", "mixout(0, 0, layers=all)")
    search: ClassVar[Mapping[str, Search]] = {"p": Linear(0.1, 0.9, paper=0.7)}
    sets: ClassVar[frozenset[str]] = frozenset({MIXED_WEIGHTS})

    def __post_init__(self) -> None:
        check_target(self.name, self.target)
        require(0 <= self.p < 1, f"p of {self.name} must be in [0, 1)", self.p)
        check_layers(self.name, self.layers)
        known = self.gradient in ("exact", "authors")
        require(known, f"gradient of {self.name} must be exact or authors", self.gradient)

    def check_scope(self, scope: str) -> None:
        """w_pre exists outside the head only, w_0 in the head only."""
        check_target_scope(self.name, self.target, scope)
        check_layers_scope(self.name, self.layers, scope)

    def files(self) -> tuple[str, ...]:
        """The stored target, if there is one."""
        return (self.target,) if is_file(self.target) else ()

    def attach(self, context: Context) -> list[str]:
        """Turn the layers in scope into mixed ones; returns their names."""
        names = context.mixed_layers(self.layers)
        found = targets(self.target, names, context)
        layers = {name: context.model.get_submodule(name) for name in names}
        self._mixed = [adopt(layers[name], found[name], self.p, gradient=self.gradient) for name in names]
        return names

    def draw(self, context: Context) -> None:
        """One draw for all layers: a mask entry per input feature, the same for every micro-batch of the step."""
        widths = [input_features(layer) for layer in self._mixed]
        masks = self.masks(sum(widths), context.generator)
        for layer, mask in zip(self._mixed, masks.split(widths), strict=True):
            set_mask(layer, mask)

    def masks(self, count: int, generator: torch.Generator) -> Tensor:
        """`count` mask entries of mean 1 - p: Bernoulli(1 - p)."""
        return torch.rand(count, generator=generator) >= self.p
