"""What a torch function does to a parameter, and the per-sample gradient that follows: one small rule per function.

A rule carries the function out on detached parameters and returns the result with a list of `Use`. In the formulas x
has shape (batch, tokens, in), g is the gradient of the result of shape (batch, tokens, out), k numbers samples:

    y = x W^T + b (linear)       dW_k = g_k^T x_k         db_k = sum_t g_kt
    y = x W + b (addmm)          dW_k = x_k^T g_k         db_k = sum_t g_kt
    y = norm(x) * w + b          dw_k = sum_t g_kt norm(x)_kt
    y = W[ids] (lookup)          dW_k[i] = sum over t with ids_kt = i of g_kt
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

# (g, samples, rows) -> per-sample gradients (samples, *shape); rows cut the first dimension of a matrix
Gradient = Callable[[torch.Tensor, slice, slice], torch.Tensor]
Tensor = torch.Tensor


@dataclass(frozen=True)
class Use:
    """One use of a parameter: its per-sample gradient, or for a lookup the ids (batch, tokens; -1 = no gradient)."""

    parameter: Tensor
    gradient: Gradient | None = None
    ids: Tensor | None = None


Noted = tuple[Tensor, list[Use]]


def by_sample(value: Tensor, size: int) -> Tensor:
    """(batch, ..., width) or (batch * tokens, width) -> (batch, tokens, width), detached."""
    return value.detach().reshape(size, -1, value.shape[-1])


def products(left: Tensor, right: Tensor) -> Tensor:
    """left_k^T right_k for each sample k; a single product is quicker as a plain matrix product."""
    return (left[0].t() @ right[0]).unsqueeze(0) if len(left) == 1 else left.transpose(1, 2) @ right


def sum_tokens(size: int) -> Gradient:
    return lambda g, part, rows: by_sample(g, size)[part].sum(1)


def detached(value: Tensor | None) -> Tensor | None:
    return None if value is None else value.detach()


def note_linear(size: int, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Noted:
    seen = by_sample(x, size)
    uses = [Use(weight, lambda g, part, rows: products(by_sample(g, size)[part][..., rows], seen[part]))]
    uses += [] if bias is None else [Use(bias, sum_tokens(size))]
    return F.linear(x, weight.detach(), detached(bias)), uses


def note_addmm(size: int, bias: Tensor, x: Tensor, weight: Tensor) -> Noted:
    seen = by_sample(x, size)
    of_weight = Use(weight, lambda g, part, rows: products(seen[part][..., rows], by_sample(g, size)[part]))
    return torch.addmm(bias.detach(), x, weight.detach()), [of_weight, Use(bias, sum_tokens(size))]


def note_embedding(size: int, ids: Tensor, weight: Tensor, padding_idx: int | None = None, **options: object) -> Noted:
    if options.get("max_norm") or options.get("scale_grad_by_freq") or options.get("sparse"):
        raise NotImplementedError("embedding with max_norm, scale_grad_by_freq or sparse gradients")
    seen = ids.reshape(size, -1)
    if padding_idx is not None and padding_idx >= 0:
        seen = seen.masked_fill(seen == padding_idx, -1)
    return F.embedding(ids, weight.detach(), padding_idx), [Use(weight, ids=seen)]


def note_layer_norm(
    size: int, x: Tensor, shape: tuple[int, ...], weight: Tensor | None, bias: Tensor | None, eps: float
) -> Noted:
    if len(shape) != 1:
        raise NotImplementedError("layer norm over several dimensions")

    def of_weight(g: Tensor, part: slice, rows: slice) -> Tensor:
        normal = F.layer_norm(x.detach(), shape, None, None, eps)
        return (by_sample(g, size)[part] * by_sample(normal, size)[part]).sum(1)

    uses = [] if weight is None else [Use(weight, of_weight)]
    uses += [] if bias is None else [Use(bias, sum_tokens(size))]
    return F.layer_norm(x, shape, detached(weight), detached(bias), eps), uses


def split_product(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """(the operand with one dimension, the other), of two whose last dimensions agree."""
    vector, other = (first, second) if first.ndim == 1 else (second, first)
    if vector.ndim != 1 or other.ndim < 2 or other.shape[-1] != vector.shape[0]:
        raise NotImplementedError("elementwise operation on a parameter that is no vector")
    return vector, other


def note_mul(size: int, first: Tensor, second: Tensor) -> Noted:
    vector, other = split_product(first, second)
    seen = by_sample(other, size)
    return vector.detach() * other, [Use(vector, lambda g, part, rows: (by_sample(g, size)[part] * seen[part]).sum(1))]


def note_add(size: int, first: Tensor, second: Tensor) -> Noted:
    vector, other = split_product(first, second)
    return vector.detach() + other, [Use(vector, sum_tokens(size))]


RULES: dict[object, Callable[..., Noted]] = {
    F.linear: note_linear,
    F.embedding: note_embedding,
    F.layer_norm: note_layer_norm,
    torch.addmm: note_addmm,
    torch.mul: note_mul,
    torch.Tensor.mul: note_mul,
    torch.add: note_add,
    torch.Tensor.add: note_add,
}

# Functions under which sample k of one operand meets sample k of the others only, whichever of them leads.
PAIRING = {
    torch.add, torch.Tensor.add, torch.Tensor.add_, torch.mul, torch.Tensor.mul, torch.sub, torch.Tensor.sub,
    torch.where, torch.bmm, torch.Tensor.bmm, F.scaled_dot_product_attention,
}  # fmt: skip
