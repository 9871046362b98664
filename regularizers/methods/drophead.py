"""DropHead: whole attention heads are dropped, each example and layer with a draw of its own.

    A_h <- A_h * m_h * H / sum_h m_h,   m_h ~ Bernoulli(1 - p) per head h of H                      [Zhou et al. 2020]

A_h are a head's attention probabilities, so that its output is scaled alike. What is left is scaled by the number of
heads that are left, and so the mean of every factor is 1. Where all heads of an example would be dropped, none is.
Every attention of the model is meant, T5's cross-attention too.
Deviations: p stays as it is; the paper's schedule (down to 0 and up again) is left out, for its details could not be
looked up. The equation is that of a public port, not of the authors' code; p has no default.
Reference: Zhou, Ge, Wei, Zhou, Xu 2020 (Findings of EMNLP), arXiv:2004.13342; port: Kirill-Kravtsov/drophead-pytorch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from regularizers import ATTENTION_NOISE, Context, Linear, number, register
from regularizers.methods._site_noise import StreamNoise
from regularizers.surgery.noise import attention_sites


def head_factors(kept: Tensor) -> Tensor:
    """The factor of every head from what is kept, (batch, heads) with 0 and 1; 1 for all where nothing is kept."""
    count = kept.sum(1, keepdim=True)
    return torch.where(count > 0, kept * (kept.shape[1] / count.clamp(min=1)), 1.0)


@register("drophead")
@dataclass
class DropHead(StreamNoise):
    """Drop every attention head with probability `p` in [0, 1)."""

    p: float = number("in [0, 1)")
    summary = "drop whole attention heads"
    paper = "Zhou et al. 2020 (Findings of EMNLP)"
    equation = "A_h <- A_h * m_h * H / sum m, m_h ~ Bernoulli(1 - p) per head, example and layer"
    deviations = "p is constant; never are all heads of an example dropped"
    example = "drophead(0.2)"
    off = ("drophead(0)",)
    search = {"p": Linear(0.05, 0.5)}
    sets = frozenset({ATTENTION_NOISE})
    body_only = True

    def attach(self, context: Context) -> list[str]:
        """Put the noise on every attention; returns the modules that hold its probability."""
        return self.put_noise(context, attention_sites(context, self.name), self.noise if self.p > 0 else None)

    def noise(self, module: nn.Module, x: Tensor) -> Tensor:
        """Draw which heads of each example are kept; x (batch, heads, tokens, tokens)."""
        drawn = torch.rand(x.shape[:2], generator=self._stream.on(x.device), device=x.device)
        return x * head_factors((drawn >= self.p).to(x.dtype))[:, :, None, None]
