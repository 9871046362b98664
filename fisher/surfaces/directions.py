"""Random directions in weight space, and the choice of the tensors that move along them.

    surface(a, b) = L(w + a d1 + b d2),   d row <- d row / |d row| * |w row|           [Li et al. 2018, section 4]

A row is an index of a tensor's first dimension ("filter"); normalisation by whole tensors is the other choice.
1-d tensors (biases, LayerNorm) get no direction. A tensor's directions are drawn from (seed, its name), so they are
the same whatever else moves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from fisher.common.errors import require
from fisher.seeds import generator

CHOICES = ("top", "bottom", "random")


@dataclass(frozen=True)
class Variant:
    """Which tensors move: "all", or "top:50", "bottom:50", "random:50" (per cent of the tensors, by score)."""

    choice: str
    percent: float

    def __str__(self) -> str:
        return self.choice if self.choice == "all" else f"{self.choice}:{self.percent:g}"


def parse_variant(text: str) -> Variant:
    """A variant from its name; `str` of it gives the name back."""
    choice, _, percent = text.partition(":")
    if text == "all":
        return Variant("all", 100.0)
    try:
        variant = Variant(choice, float(percent))
    except ValueError:
        variant = Variant(choice, -1.0)
    require(
        choice in CHOICES and 0 < variant.percent <= 100,
        "a variant must be all, or top:N, bottom:N or random:N with N in (0, 100]",
        repr(text),
    )
    return variant


def chosen_tensors(
    scores: Mapping[str, float], shapes: Mapping[str, Sequence[int]], variant: Variant, *, seed: int, among: str = "all"
) -> list[str]:
    """Names of the tensors that a variant selects, ties broken by name.

    Args:
        shapes: of the tensors with a score; 1-d tensors are counted and chosen with `among="all"`, though they have
            no direction, and left aside with `among="matrices"`.
        seed: of the random choice.
    """
    names = sorted(name for name in scores if among == "all" or len(shapes[name]) > 1)
    count = max(1, int(variant.percent / 100 * len(names) + 0.5))
    if variant.choice == "random":
        order = torch.randperm(len(names), generator=generator(seed, "random tensors")).tolist()
        return sorted(names[i] for i in order[:count])
    ranked = sorted(names, key=lambda name: scores[name], reverse=variant.choice != "bottom")
    return sorted(ranked[:count])


def directions(
    parameters: Mapping[str, torch.Tensor], *, seed: int, normalise: str = "row"
) -> list[dict[str, torch.Tensor]]:
    """The two directions {name: tensor} of a seed, for the parameters of two or more dimensions."""
    return [
        {
            name: scaled(torch.randn(value.shape, generator=generator(seed, axis, name)), value, normalise)
            for name, value in parameters.items()
            if value.ndim > 1
        }
        for axis in ("first", "second")
    ]


def scaled(direction: torch.Tensor, weight: torch.Tensor, normalise: str) -> torch.Tensor:
    """A direction with the norms of the weight's rows, or of the whole weight; where the weight is zero, zero."""
    shape = (len(weight), -1) if normalise == "row" else (1, -1)
    flat, target = direction.reshape(shape).to(weight), weight.detach().reshape(shape)
    return (flat / flat.norm(dim=1, keepdim=True) * target.norm(dim=1, keepdim=True)).reshape(weight.shape)
