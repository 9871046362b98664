"""Variational dropout: Gaussian dropout whose strength alpha is learned at every site.

    h <- h * e,  e ~ N(1, alpha) per element,  0 < alpha <= 1
    L + KL / n,  KL = -sum over units (0.5 log alpha + c1 alpha + c2 alpha^2 + c3 alpha^3)      [Kingma et al. 2015]

c1 = 1.16145124, c2 = -1.50204118, c3 = 0.58629921: their approximation of the divergence between the posterior of a
unit's noise and a log-uniform prior (up to a constant; their supplement). n is the number of training examples, because
the loss is a mean over examples. alpha starts at p / (1 - p), so that p = 0.1 starts as gaussian_dropout(0.1) does.
Our reading, since the paper has fully connected layers only: one alpha per dropout site (their layer-wise form), whose
KL counts once per feature of the site's activations, and once per head where the site are attention probabilities.
Deviations: noise on activations (their type A), drawn per element; alpha <= 1 is kept by projection after every step;
log alpha has a learning rate `lr` of its own (0.01, ours), because fine-tuning rates would not move it. Its gradient
counts in the norm that a protocol clips (`clip`): with few examples KL / n is steep, and the weights' gradient is then
scaled down with it.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from regularizers import (
    ATTENTION_NOISE,
    DROPOUT_SITES,
    Batch,
    Compute,
    Context,
    Linear,
    Log,
    Output,
    Step,
    number,
    register,
    require,
)
from regularizers.methods._site_noise import StreamNoise
from regularizers.surgery.noise import StepNoise, attach_noise, holder

C1, C2, C3 = 1.16145124, -1.50204118, 0.58629921
PARAMETER = "log_alpha"


def divergence(log_alpha: Tensor) -> Tensor:
    """KL of one unit, up to a constant; elementwise and differentiable in log alpha (alpha <= 1)."""
    alpha = log_alpha.exp()
    return -(0.5 * log_alpha + C1 * alpha + C2 * alpha**2 + C3 * alpha**3)


def variational_dropout(x: Tensor, log_alpha: Tensor, noise: Tensor) -> Tensor:
    """x * (1 + sqrt(alpha) * noise), differentiable in x and log alpha; `noise` is standard normal of x's shape."""
    return x * (1 + (0.5 * log_alpha).exp() * noise)


class VariationalNoise:
    """The noise of one site; its alpha is a parameter of the module it sits on."""

    def __init__(self, attention: bool, stream: StepNoise) -> None:
        self.attention, self.stream, self.units = attention, stream, 0

    def __call__(self, module: nn.Module, x: Tensor) -> Tensor:
        """x (batch, heads, tokens, tokens) of an attention site, else (..., features)."""
        self.units = x.shape[1] if self.attention else x.shape[-1]
        log_alpha: Any = module.log_alpha
        return variational_dropout(x, log_alpha.to(x.dtype), self.stream.normal(x))


@register("variational_dropout")
@dataclass
class VariationalDropout(StreamNoise):
    """Learned Gaussian noise at every dropout site in scope; starts at `p` in (0, 0.5], alpha learns with `lr` > 0."""

    p: float = 0.1
    lr: float = number("> 0", 0.01, kw_only=True)
    summary = "Gaussian dropout with learned strengths"
    paper = "Kingma, Salimans, Welling 2015 (NeurIPS)"
    equation = "h <- h * e, e ~ N(1, alpha); L + KL(alpha) / n"
    deviations = "one alpha per dropout site, with a learning rate of its own"
    search = {"p": Linear(0.02, 0.5), "lr": Log(1e-3, 0.1)}
    sets = frozenset({DROPOUT_SITES, ATTENTION_NOISE})

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.p <= 0.5, "p of variational_dropout must be in (0, 0.5], so that alpha <= 1", self.p)

    def attach(self, context: Context) -> list[str]:
        """Register log alpha at every site in scope and put the noise there; returns the sites' modules."""
        needs = "variational_dropout must know the number of training examples"
        require(context.examples > 0, needs, "none", "give apply its data, or the Trainer a data set that has a length")
        self._stream, self._noises = StepNoise(), []
        self._alphas: dict[str, nn.Parameter] = {}
        sites, like = context.dropout_sites(), next(context.model.parameters())
        for site in sites:
            noise = VariationalNoise(site.kind == "attention", self._stream)
            log_alpha = nn.Parameter(like.new_full((), math.log(self.p / (1 - self.p))))
            attach_noise(context.model, site, noise)
            holder(context.model, site).register_parameter(PARAMETER, log_alpha)
            self._noises.append(noise)
            self._alphas[f"{site.owner or site.module}.{PARAMETER}"] = log_alpha
        context.added.update(self._alphas)
        return [site.module for site in sites]

    def groups(self, groups: list[dict[str, Any]], context: Context) -> list[dict[str, Any]]:
        """The alphas learn with a rate of their own."""
        return [*groups, {"names": tuple(self._alphas), "lr": self.lr}]

    def loss(self, compute: Compute, batch: Batch, context: Context) -> Output:
        """Add the divergence of all units over the number of training examples."""
        inner = compute(batch)
        units = torch.tensor([noise.units for noise in self._noises])
        alphas = torch.stack(list(self._alphas.values()))
        penalty = (divergence(alphas) * units.to(alphas, non_blocking=True)).sum() / context.examples
        return inner._replace(loss=inner.loss + penalty)

    def update(self, apply: Step, context: Context) -> None:
        """Keep alpha <= 1 after every step."""
        apply()
        for log_alpha in self._alphas.values():
            log_alpha.data.clamp_(max=0.0)
