"""Child-Tuning: only a part of the weights, the child network, gets a gradient.

    F (task-free):    g <- g * m / p,  m ~ Bernoulli(p) per element and step             [Xu et al. 2021]
    D (task-driven):  g <- g * 1[F_i among the top share p],  F_i = 1/n sum_k (d l(x_k) / d w_i)^2 at the start

Gradients are masked after clipping, right before the optimizer's step, where the authors' optimizer does it.
F of variant D is the project's empirical Fisher: one sample at a time, on the training data, dropout off, once before
the first step; elements of equal score are kept or left out together. It costs one pass over the training data with
batches of one.
Deviations: the authors' code squares clipped mini-batch gradients with dropout on, and its D masks the encoder's layers
alone; here D masks every parameter that has a w_pre, and the head always trains.
Reference: Xu et al. 2021 (EMNLP), arXiv:2109.05687.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fisher.estimation.diagonal import empirical_fisher
from regularizers import Batch, Context, Linear, Regularizer, Step, number, one_of, outside_head, register


def top_share(scores: Mapping[str, Tensor], p: float) -> dict[str, Tensor]:
    """Masks (bool, of the scores' shapes) of the share p in (0, 1] of all elements with the highest scores."""
    flat = torch.cat([score.flatten() for score in scores.values()])
    keep = max(1, round(p * flat.numel()))
    threshold = flat.kthvalue(flat.numel() - keep + 1).values
    return {name: score >= threshold for name, score in scores.items()}


@register("child_tuning")
@dataclass
class ChildTuning(Regularizer):
    """Train a share `p` in (0, 1] of the weights: a fresh random one every step (F) or the most informed one (D)."""

    p: float = number("in (0, 1]", 0.3)
    variant: str = one_of("F", "D")
    version = 2
    summary = "only a share of the weights gets a gradient"
    paper = "Xu et al. 2021 (EMNLP)"
    equation = "F: g <- g * m / p, m ~ Bernoulli(p); D: g <- g * 1[Fisher score in the top share p]"
    deviations = "D uses per-sample squares without dropout and covers all that has a w_pre"
    off = ("child_tuning(1)", "child_tuning(1, variant=D)")
    search = {"p": Linear(0.1, 0.5, paper=0.3)}

    def check_scope(self, scope: str) -> None:
        """Variant D is about what was pretrained."""
        if self.variant == "D":
            outside_head(f"{self.name}(variant=D)", scope)

    def attach(self, context: Context) -> list[str]:
        """Returns the parameters whose gradients are masked."""
        self.seed = 0
        self.masks: dict[str, Tensor] = {}
        return [n for n in context.parameters() if self.variant == "F" or n not in context.head]

    def start(self, batches: Iterable[Batch], context: Context) -> None:
        """Variant D: choose the child by the Fisher scores of the training data."""
        if self.variant == "F":
            return
        samples = [{k: v[at] for k, v in batch.items()} for batch in batches for at in range(len(batch["labels"]))]
        body = context.pretrained()
        dtype = next(iter(body.values())).dtype
        scores = empirical_fisher(context.model, samples, lambda _, batch: context.compute(batch).loss, dtype=dtype)
        self.masks = top_share({name: scores[name] for name in body}, self.p)

    def draw(self, context: Context) -> None:
        """One number per step, from which the masks of variant F follow however often gradients are computed."""
        self.seed = int(torch.randint(2**62, (1,), generator=context.generator))

    def update(self, apply: Step, context: Context) -> None:
        """Mask the gradients that the optimizer sees, which are clipped by now."""
        self._mask(context)
        apply()

    def _mask(self, context: Context) -> None:
        gradients = {name: p.grad for name, p in context.parameters().items() if p.grad is not None}
        if self.variant == "D":
            for name in gradients.keys() & self.masks.keys():
                gradients[name].mul_(self.masks[name])
            return
        generators: dict[torch.device, torch.Generator] = {}
        for gradient in gradients.values():
            if gradient.device not in generators:
                generators[gradient.device] = torch.Generator(gradient.device).manual_seed(self.seed)
            kept = torch.empty_like(gradient).bernoulli_(self.p, generator=generators[gradient.device])
            gradient.mul_(kept).div_(self.p)
