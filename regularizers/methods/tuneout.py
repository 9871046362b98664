"""Tuneout: dropout on what fine-tuning has added to a layer.

    y = x W_pre^T + (m * x / (1 - p)) (W - W_pre)^T + b,   m ~ Bernoulli(1 - p) per example and input feature

Barone et al. 2017 (EMNLP) introduce tuneout as inspired by dropout, and [Lee20 §1.1] calls it a special case of mixout.
The equation is *our reading* of that: we could not check it against the text of the paper. One mask per example, shared
by its positions; every forward pass of a step has masks of its own. With one mask for all examples it is mixout(w_pre).
Where (`layers`): as for mixout; on the head (`head:tuneout(p)`) its start w_0 takes w_pre's place.
Costs two matrix products per layer in training.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from regularizers import Context, Linear, number, one_of, register
from regularizers.methods._site_noise import StreamNoise
from regularizers.surgery.mixing_method import LAYERS, OnLayers
from regularizers.surgery.noise import StepNoise


def tuneout(x: Tensor, weight: Tensor, target: Tensor, p: float, mask: Tensor) -> Tensor:
    """The product of a layer without its bias.

    Args:
        x: (..., in); weight, target: (out, in), differentiable in x and weight.
        p: in [0, 1); at 0 the result is x W^T.
        mask: broadcast against x, 1 where a feature sees the whole weight and 0 where it sees the target's alone.

    Raises ValueError for p outside [0, 1).
    """
    if not 0 <= p < 1:
        raise ValueError(f"p must be in [0, 1), got {p}")
    if p == 0:
        return nn.functional.linear(x, weight)
    return nn.functional.linear(x, target) + nn.functional.linear(mask * x / (1 - p), weight - target)


class Examples(StepNoise):
    """Masks per example, and where the examples lie: packed batches concatenate them into one row of tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.lengths: tuple[int, ...] = ()

    def __call__(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        """Forward hook of the base model: remember the lengths of a packed row, in order."""
        self.lengths = tuple(kwargs.get("sequence_lengths", ()))

    def mask(self, x: Tensor, p: float) -> Tensor:
        """Bernoulli(1 - p) per example and feature, shaped to meet x (..., in)."""
        spans = self.spans(x)
        count = len(spans) or x.shape[0]
        kept = torch.rand((count, x.shape[-1]), generator=self.on(x.device), device=x.device) >= p
        if spans:
            return kept.repeat_interleave(torch.tensor(spans, device=x.device), 0).unsqueeze(0).to(x.dtype)
        return kept.view(count, *(1 for _ in x.shape[1:-1]), x.shape[-1]).to(x.dtype)

    def spans(self, x: Tensor) -> tuple[int, ...]:
        """How many positions of a packed row (1, positions, in) each example has; none where examples are rows.

        In the last layer of a packed batch the row holds nothing but the first position of each example.
        """
        whole, firsts = self.lengths, (1,) * len(self.lengths)
        return next((spans for spans in (whole, firsts) if spans and x.shape[:-1] == (1, sum(spans))), ())


class Tuned(nn.Module):
    """A linear layer with tuneout in training; next to its weight it has the target, p and the masks' source."""

    weight: Tensor
    bias: Any
    tune_target: Tensor
    tune_p: float
    tune_examples: Examples

    def forward(self, x: Tensor) -> Tensor:
        """x (..., in) -> (..., out)."""
        if not self.training or self.tune_p == 0:
            return super().forward(x)
        weight, target = self.weight, self.tune_target
        if isinstance(self, Conv1D):
            weight, target = weight.t(), target.t()
        product = tuneout(x, weight, target, self.tune_p, self.tune_examples.mask(x, self.tune_p))
        return product if self.bias is None else product + self.bias


class TunedLinear(Tuned, nn.Linear):
    """`nn.Linear` with tuneout."""


class TunedConv1D(Tuned, Conv1D):
    """GPT-2's linear layer, whose weight lies (in, out), with tuneout."""


@register("tuneout")
@dataclass
class Tuneout(OnLayers, StreamNoise):
    """Drop the input of what fine-tuning added to the layers in scope with probability `p` in [0, 1)."""

    p: float = number("in [0, 1)")
    layers: str = one_of(*LAYERS)
    version = 3
    summary = "dropout on the difference to the pretrained weights"
    paper = "Barone et al. 2017 (EMNLP)"
    equation = "y = x W_pre^T + (m*x / (1-p)) (W - W_pre)^T, m ~ Bernoulli(1-p) per example and feature"
    deviations = "the equation is our reading; not checked against the paper's text"
    example = "tuneout(0.1)"
    off = ("tuneout(0)",)
    search = {"p": Linear(0.05, 0.7)}

    def attach(self, context: Context) -> list[str]:
        """Give the layers in scope their target and masks; returns their names."""
        names = context.mixed_layers(self.layers)
        self._stream = Examples()
        for name in names:
            layer: Any = context.model.get_submodule(name)
            layer.__class__ = TunedConv1D if isinstance(layer, Conv1D) else TunedLinear
            layer.tune_p, layer.tune_examples = self.p, self._stream
            layer.register_buffer("tune_target", context.initial[f"{name}.weight"].detach().clone())
        base = getattr(context.model, "base_model", context.model)
        base.register_forward_pre_hook(self._stream, with_kwargs=True)
        return names
