"""Theorem 1 and Corollary 1.1 of [Lee20], by enumerating every mask in float64.

    Phi(w; u, M) = mu^-1 ((I - M) u + M w - (1 - mu) u),  E M_i = mu, Var M_i = sigma^2                      [eq. 4-5]
    L strongly convex with constant m:  E L(Phi) >= L(w) + m sigma^2 / (2 mu^2) ||w - u||^2                [Theorem 1]
    with equality for a quadratic loss of Hessian m I; for mixout mu = 1 - p and sigma^2 = p (1 - p), so that the
    penalty is m p / (2 (1 - p)) ||w - u||^2, a strength of m p / (1 - p)                              [Corollary 1.1]

Corollary 1.1 is checked on the project's `mixout`, Theorem 1 on its `mixconnect` with mask entries of three values,
each with one entry per input feature. A finite sum over all masks replaces the expectation: no sampling error is left.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from regularizers.methods.mixout import mixout
from regularizers.surgery.mixing import mixconnect

Loss = Callable[[Tensor], Tensor]
Mix = Callable[[Tensor, Tensor, float, Tensor], Tensor]  # (w, u, p, mask) -> Phi
Points = Sequence[tuple[float, float]]

CONVEXITY = 0.25  # m of every loss below
SHAPE = (3, 6)  # out, in: 2^6 masks
PROBABILITIES = tuple(round(0.1 * k, 1) for k in range(1, 10))
THREE_POINTS = ((0.0, 0.3), (0.5, 0.3), (1.5, 0.4))  # mask values and their probabilities
EXAMPLES = 20


@dataclass(frozen=True)
class Excess:
    """E L(Phi) - L(w) of both losses at one (w, u) and one mask distribution, with the theorem's `bound`."""

    masks: str
    p: float | None
    bound: float
    quadratic: float
    logistic: float


def quadratic(center: Tensor) -> Loss:
    """L(w) = m/2 ||w - center||^2 + 1, Hessian m I."""
    return lambda w: CONVEXITY / 2 * (w - center).square().sum() + 1


def logistic(inputs: Tensor, signs: Tensor) -> Loss:
    """L(w) = mean log(1 + exp(-s <x, w>)) + m/2 ||w||^2: strongly convex with constant m, not quadratic.

    inputs (n, out, in), signs (n,) of -1 and 1.
    """
    return lambda w: softplus(-signs * (inputs * w).sum((1, 2))).mean() + CONVEXITY / 2 * w.square().sum()


def outcomes(points: Points, count: int) -> Iterator[tuple[Tensor, float]]:
    """Every mask of `count` independent entries over the (value, probability) `points`, with its probability."""
    for choice in itertools.product(points, repeat=count):
        mask = torch.tensor([value for value, _ in choice], dtype=torch.float64)
        yield mask, math.prod(chance for _, chance in choice)


def excess(mix: Mix, loss: Loss, weight: Tensor, target: Tensor, p: float, points: Points) -> float:
    """E L(Phi) - L(w) over all masks of `points`, one entry per column; 1 - p is their mean."""
    masks = outcomes(points, weight.shape[1])
    expected = sum(chance * loss(mix(weight, target, p, mask)) for mask, chance in masks)
    return float(expected - loss(weight))


def run(seed: int, *, draws: int = 3) -> list[Excess]:
    """Both losses at `draws` random (w, u): mixout at every p of `PROBABILITIES`, then the three-point masks."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    square, curve = quadratic(normal(*SHAPE)), logistic(normal(EXAMPLES, *SHAPE), normal(EXAMPLES).sign())
    mu = sum(value * chance for value, chance in THREE_POINTS)
    variance = sum((value - mu) ** 2 * chance for value, chance in THREE_POINTS)
    rows = []
    for _ in range(draws):
        weight, target = normal(*SHAPE), normal(*SHAPE)
        distance = float((weight - target).square().sum())
        for p in PROBABILITIES:
            bound, points = CONVEXITY * p / (2 * (1 - p)) * distance, ((0.0, p), (1.0, 1 - p))
            found = (excess(mixout, loss, weight, target, p, points) for loss in (square, curve))
            rows.append(Excess("mixout", p, bound, *found))
        bound = CONVEXITY * variance / (2 * mu**2) * distance
        found = (excess(mixconnect, loss, weight, target, 1 - mu, THREE_POINTS) for loss in (square, curve))
        rows.append(Excess("three-point", None, bound, *found))
    return rows
