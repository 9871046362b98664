"""FreeLB: the loss is averaged over the steps of an ascent on the word embeddings.

    L = 1/K * sum_{t=0}^{K-1} L(x + d_t)                                                      [Zhu et al. 2020, alg. 1]
    d_0 = U(-1, 1) * magnitude / sqrt(length * width),   d_{t+1} = d_t + lr * g_t / ||g_t||_2,  g_t = grad_d L(x + d_t)

with the norm over an example's tokens; padding is not moved. `length` counts the real tokens of an example.
Deviations: the paper repeats the dropout masks over the K passes, here stock dropout draws anew in each. The ascent is
not confined to a ball around x (their `adv_max_norm` of 0). Gradients in d and in the weights are taken one after the
other, where the authors take both from one backward pass: K - 1 passes more, the same numbers. Needs padded batches.
Reference: Zhu, Cheng, Gan, Sun, Goldstein, Liu 2020 (ICLR), arXiv:1909.11764; code zhuchen03/FreeLB. They tune K, the
rate and the magnitude by task, so the defaults (K = 3, 0.03, 0.05) are ours, of the sizes that public code uses.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from regularizers import Batch, Compute, Context, Log, Output, Whole, number, register
from regularizers.surgery.embeddings import OnEmbeddings
from regularizers.surgery.noise import noise_like

TINY = 1e-8  # the authors' floor of a norm


def start(x: Tensor, mask: Tensor, magnitude: float, generator: torch.Generator) -> Tensor:
    """d_0 for embeddings x (batch, tokens, width) and a mask (batch, tokens) of 1 for real tokens; 0 at padding."""
    real = mask.to(x).unsqueeze(-1)
    size = magnitude / (real.sum(1, keepdim=True) * x.shape[-1]).sqrt()
    return noise_like(x, "uniform", generator) * real * size


def unit(gradient: Tensor) -> Tensor:
    """The gradient (batch, tokens, width) with norm 1 for every example."""
    norm = torch.linalg.vector_norm(gradient.flatten(1), dim=1).clamp(min=TINY)
    return gradient / norm.view(-1, 1, 1)


@register("freelb")
@dataclass
class FreeLB(OnEmbeddings):
    """Average the loss over `k` >= 1 points of an ascent with rate `lr` >= 0 that begins at `magnitude` >= 0."""

    k: int = number("an integer >= 1", 3)
    lr: float = number(">= 0", 0.03, kw_only=True)
    magnitude: float = number(">= 0", 0.05, kw_only=True)
    summary = "the loss on adversarially moved word embeddings"
    paper = "Zhu et al. 2020 (ICLR), alg. 1"
    equation = "1/K * sum_t L(x + d_t), d_{t+1} = d_t + lr * g/||g||, g = grad_d L(x + d_t)"
    deviations = "dropout draws anew in every pass; no ball; defaults are ours"
    forward = "stock"
    off = ("freelb(1, magnitude=0)",)
    search = {"k": Whole(2, 4), "lr": Log(0.003, 0.3), "magnitude": Log(0.003, 0.3)}
    exempt = {"gradient": "the ascent depends on the weights and is held fixed, as in the paper"}

    @property
    def passes(self) -> tuple[int, int]:  # type: ignore[override]
        """K forward passes; a backward pass for each, and one for every step of the ascent."""
        return self.k, 2 * self.k - 1

    def loss(self, compute: Compute, batch: Batch, context: Context) -> Output:
        """The mean of the losses along the ascent; the logits are those of its start."""
        moves: list[Tensor] = []

        def begin(i: int, x: Tensor) -> Tensor:
            moves.append(start(x, batch["attention_mask"], self.magnitude, context.generator).requires_grad_())
            return moves[i]

        with self._embeddings.adding(begin):
            outputs = [compute(batch)]
        while len(outputs) < self.k:
            slopes = torch.autograd.grad(outputs[-1].loss, moves, retain_graph=True)
            moves = [(d + self.lr * unit(g)).detach().requires_grad_() for d, g in zip(moves, slopes, strict=True)]
            outputs.append(self.at(moves, compute, batch))
        return outputs[0]._replace(loss=torch.stack([output.loss for output in outputs]).mean())

    def at(self, moves: list[Tensor], compute: Compute, batch: Batch) -> Output:
        """A pass with the embeddings moved."""
        with self._embeddings.adding(lambda i, x: moves[i]):
            return compute(batch)
