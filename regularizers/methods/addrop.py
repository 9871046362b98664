"""AD-DROP: in every second step, attention positions on which the prediction depends most are dropped at random.

    G = d(sum of the largest logits) / dA,   A (heads, queries, keys) an attention's probabilities [Yang et al. 2022]
    candidates: of every query's n keys those with G not below the floor((1 - p) n)-th smallest, counted from 0
    A <- A m / sum_keys A m,   m = 0 with probability q at a candidate, else 1

A first pass gives G, with the model's own prediction as the label; a second pass with the masks m on every attention
gives the loss. Dropping before the softmax, as the authors do, is the same as scaling what is left to a sum of 1. In
the other steps the model is trained as it is: their cross-tuning, which is to keep the model from losing what it is to
rely on. A regression's output stands for the largest logit. Keys that a query cannot see (padding, later tokens) do not
count. Where all keys of a query would go, none goes.
Deviations: the authors take turns by epochs, beginning without masks; here it is by steps, beginning with them, since
short trainings have few epochs. `passes` are those of a step with masks; the others take one. Of their attributions
this is the gradient (GA). They search p and q from 0.1 to 0.9; the defaults are those of their README.
Reference: Yang, Deng, Quan, Wang, Nie 2022 (NeurIPS), arXiv:2210.05883; code TaoYang225/AD-DROP, whose equations these
are (the paper itself could not be read).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from regularizers import ATTENTION_NOISE, Batch, Compute, Context, Linear, Output, number, register
from regularizers.methods._site_noise import StreamNoise
from regularizers.surgery.noise import attention_sites

ROUNDING = 1e-6  # (1 - p) n is a whole number up to this


def candidates(attribution: Tensor, seen: Tensor, p: float) -> Tensor:
    """The keys of highest attribution, (..., queries, keys) bool; at least one where a query sees any.

    attribution, seen: (..., queries, keys); a query's share `p` in (0, 1] of its seen keys, rounded up.
    """
    count = seen.sum(-1, keepdim=True)
    below = ((1 - p) * count + ROUNDING).long().clamp(max=seen.shape[-1] - 1)
    ranked = attribution.masked_fill(~seen, float("inf")).sort(-1).values
    return seen & (attribution >= ranked.gather(-1, below))


def reweighted(probabilities: Tensor, kept: Tensor) -> Tensor:
    """Probabilities (..., queries, keys) of what is kept, with a sum of 1; as they were where nothing is left."""
    left = probabilities * kept
    total = left.sum(-1, keepdim=True)
    return torch.where(total > 0, left / total.clamp(min=torch.finfo(total.dtype).tiny), probabilities)


class AttentionMasks:
    """What sits on every attention: notes its probabilities in one pass, and masks them in the next.

    An attention may be computed in several calls (equally long sequences); the i-th call of a pass is the i-th of the
    next.
    """

    before_dropout = True

    def __init__(self) -> None:
        self.seen: list[Tensor] | None = None
        self.shifts: list[Tensor] = []
        self.masks: list[Tensor] = []

    def __call__(self, module: nn.Module, x: Tensor) -> Tensor:
        """x (batch, heads, queries, keys)."""
        if self.seen is not None:
            self.seen.append(x.detach() > 0)
            self.shifts.append(torch.zeros_like(x, requires_grad=True))
            return x + self.shifts[-1]
        return reweighted(x, self.masks.pop(0)) if self.masks else x


@register("addrop")
@dataclass
class ADDrop(StreamNoise):
    """Drop with probability `q` in [0, 1) each of the share `p` in [0, 1] of keys with the highest attribution."""

    p: float = number("in [0, 1]", 0.3)
    q: float = number("in [0, 1)", 0.3)
    summary = "drop the attention on which the prediction depends most"
    paper = "Yang et al. 2022 (NeurIPS)"
    equation = "A <- A m / sum A m, m = 0 with probability q where dlogit/dA is in a query's top share p"
    deviations = "turns with plain training by steps, not epochs; gradient attribution alone"
    passes = (2, 2)
    off = ("addrop(0, 0.3)", "addrop(0.3, 0)")
    search = {"p": Linear(0.1, 0.9), "q": Linear(0.1, 0.9)}
    sets = frozenset({ATTENTION_NOISE})
    body_only = True

    def attach(self, context: Context) -> list[str]:
        """Put the masks on every attention; returns the modules that hold its probability."""
        self._attentions = AttentionMasks()
        noise = self._attentions if self.p * self.q > 0 else None
        return self.put_noise(context, attention_sites(context, self.name), noise)

    def loss(self, compute: Compute, batch: Batch, context: Context) -> Output:
        """The loss under masks by the attribution of a first pass, or in every second step the loss as it is."""
        if context.training.step % 2 or self.p * self.q == 0:
            return compute(batch)
        self._attentions.masks = self.draw_masks(compute, batch)
        return compute(batch)

    def draw_masks(self, compute: Compute, batch: Batch) -> list[Tensor]:
        """What every attention keeps, (batch, heads, queries, keys) bool, in the order of their calls in a pass."""
        noise = self._attentions
        noise.seen, noise.shifts = [], []
        try:
            with torch.enable_grad():
                predicted = compute(batch).logits.max(-1).values.sum()
                slopes = torch.autograd.grad(predicted, noise.shifts)
            visible = noise.seen
        finally:
            noise.seen, noise.shifts = None, []
        return [
            ~candidates(slope, seen, self.p)
            | (torch.rand(slope.shape, generator=self._stream.on(slope.device), device=slope.device) >= self.q)
            for slope, seen in zip(slopes, visible, strict=True)
        ]
