"""Linear layers that train with a mixed weight: what mixout, mixconnect and dropconnect share.

    Phi(w; u, M) = mu^-1 ((I - M) u + M w - (1 - mu) u),   E M = mu,   so E Phi = w        [Lee20 eq. 4-5]

Here mu = 1 - p throughout. Targets and masks are buffers: they move with the model, and targets are saved with it.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

WORTHWHILE = 2**16  # weights of a layer from which on choosing its kept columns saves more than it costs


def mixconnect(weight: Tensor, target: Tensor, p: float, mask: Tensor, gradient: str = "exact") -> Tensor:
    """The mixed weight of [Lee20 eq. 5], differentiable in `weight`.

    Args:
        weight, target: of one shape (a target of fewer dimensions is broadcast), any floating dtype.
        p: 1 - E[mask], in [0, 1); at 0 the result is `weight`.
        mask: M, of mean 1 - p; broadcast against `weight`.
        gradient: `exact` (M / (1 - p)), or `authors` to leave out the factor 1 / (1 - p) of the derivative.

    Raises ValueError for p outside [0, 1).
    """
    if not 0 <= p < 1:
        raise ValueError(f"p must be in [0, 1), got {p}")
    if p == 0:
        return weight
    if gradient == "authors":
        weight = weight.detach() + (1 - p) * (weight - weight.detach())
    mask = mask.to(weight.dtype)
    return (mask * weight + (1 - mask) * target - p * target) / (1 - p)


class MixedProduct(torch.autograd.Function):
    """x W_mix^T + b with W_mix = u + s * (w - u), s = M / mu: mixconnect's layer, without work for what is mixed.

    The same function as `linear(x, mixconnect(w, u, p, M), b)` for a mask of one entry per input feature, in one pass
    over the weights. Where an entry of M is 0, that column of W_mix does not depend on w and its gradient is exactly 0:

        dL/dw[:, kept] = s_kept * g^T x[:, kept],    dL/dw[:, mixed] = 0,    dL/dx = g W_mix

    Arguments: x (..., in); weight and target (out, in); bias (out,) or None; scale s (in,); slope (in,): what the
    gradient is multiplied by, s itself or for `gradient=authors` M; kept: the columns with M != 0, None for all.
    Under autocast the products are computed in its type, as `nn.functional.linear` does.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        target: Tensor,
        scale: Tensor,
        slope: Tensor,
        kept: Tensor | None,
    ) -> Tensor:
        mixed = torch.lerp(target, weight, scale)
        device = x.device.type
        if torch.is_autocast_enabled(device):
            kind = torch.get_autocast_dtype(device)
            x, mixed, bias = x.to(kind), mixed.to(kind), None if bias is None else bias.to(kind)
        ctx.save_for_backward(x, mixed, slope, kept)
        ctx.weight_type = weight.dtype
        return nn.functional.linear(x, mixed, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:
        x, mixed, slope, kept = ctx.saved_tensors
        rows = outputs[0].reshape(-1, mixed.shape[0])
        of_x = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_x = (rows @ mixed).view_as(x)
        if ctx.needs_input_grad[1]:
            inputs = x.reshape(-1, mixed.shape[1])
            if kept is None:
                of_weight = (rows.t() @ inputs).to(ctx.weight_type).mul_(slope)
            else:
                some = (rows.t() @ inputs.index_select(1, kept)).to(ctx.weight_type).mul_(slope[kept])
                of_weight = torch.zeros(mixed.shape, dtype=ctx.weight_type, device=x.device).index_copy_(1, kept, some)
        if ctx.needs_input_grad[2]:
            of_bias = rows.sum(0)
        return of_x, of_weight, of_bias, None, None, None, None


class Mixed(nn.Module):
    """What a mixed layer has next to its own weight: target and mask as buffers, p and the form of the gradient.

    `mix_kept` holds the input features whose entry of the mask is not 0, or is None where all are computed.
    """

    weight: Tensor
    bias: Any
    mix_target: Tensor
    mix_mask: Tensor
    mix_kept: Tensor | None
    mix_p: float
    mix_gradient: str

    def forward(self, x: Tensor) -> Tensor:
        """x (..., in) -> (..., out); with the layer's own weight in evaluation."""
        return self.mixed_product(x) if self.training and self.mix_p else super().forward(x)

    def mixed_product(self, x: Tensor) -> Tensor:
        """The layer's output with the weight of this step."""
        mask = self.mix_mask
        if mask.shape == self.weight.shape:
            return self.plain_product(x)
        scale = mask / (1 - self.mix_p)
        slope = mask if self.mix_gradient == "authors" else scale
        weight, target = self.weight, self.mix_target
        if isinstance(self, Conv1D):
            weight, target = weight.t(), target.t()
        rows = x.reshape(-1, x.shape[-1])  # so that the function's output is no view: DeBERTa divides it in place
        product = MixedProduct.apply(rows, weight, self.bias, target, scale, slope, self.mix_kept)
        return product.view(*x.shape[:-1], -1)

    def plain_product(self, x: Tensor) -> Tensor:
        """The same through the whole mixed weight, which is formed and differentiated in separate passes."""
        turned = isinstance(self, Conv1D)
        mask = self.mix_mask.unsqueeze(1) if turned and self.mix_mask.dim() == 1 else self.mix_mask
        weight = mixconnect(self.weight, self.mix_target, self.mix_p, mask, self.mix_gradient)
        return nn.functional.linear(x, weight.t() if turned else weight, self.bias)


class MixedLinear(Mixed, nn.Linear):
    """`nn.Linear` that trains with a mixed (out, in) weight."""


class MixedConv1D(Mixed, Conv1D):
    """GPT-2's linear layer, whose (in, out) weight has input features as rows, likewise."""


def input_features(layer: nn.Module) -> int:
    """Number of input features of a linear layer, whichever way its weight lies."""
    assert isinstance(layer.weight, Tensor)
    return layer.weight.shape[0 if isinstance(layer, Conv1D) else 1]


def convert_to_mixed(
    layer: nn.Module, target: Tensor, p: float, *, gradient: str = "exact", per_weight: bool = False
) -> Mixed:
    """Turn a linear layer into a mixed one in place and return it.

    Parameters, their names and the module's identity stay, and no random number is drawn: until the first draw the mask
    is 1 everywhere. `set_mask` takes one entry per input feature, or with `per_weight` one per weight.
    """
    weight = layer.weight
    assert isinstance(layer, nn.Linear | Conv1D) and isinstance(weight, Tensor)
    layer.__class__ = MixedConv1D if isinstance(layer, Conv1D) else MixedLinear
    assert isinstance(layer, Mixed)
    layer.mix_p, layer.mix_gradient = p, gradient
    layer.register_buffer("mix_target", target.detach().clone().to(weight))
    shape, kind = (weight.shape, torch.bool) if per_weight else ((input_features(layer),), weight.dtype)
    layer.register_buffer("mix_mask", torch.ones(shape, dtype=kind, device=weight.device), persistent=False)
    layer.register_buffer("mix_kept", None, persistent=False)
    return layer


def set_mask(layer: Mixed, mask: Tensor) -> None:
    """Use `mask` (one entry per input feature, or of the weight's shape) from now on.

    The kept columns are chosen on the CPU alone: on a GPU copying them costs more than the products of all.
    """
    layer.mix_mask.copy_(mask.view(layer.mix_mask.shape), non_blocking=True)
    if mask.dim() == 1 and layer.weight.numel() >= WORTHWHILE and layer.weight.device.type == "cpu":
        kept = mask.nonzero().flatten()
        layer.mix_kept = kept if len(kept) < len(mask) else None
