"""Linear layers that train with a mixed weight: what mixout, mixconnect and dropconnect share.

    Phi(w; u, M) = mu^-1 ((I - M) u + M w - (1 - mu) u),   E M = mu,   so E Phi = w        [Lee20 eq. 4-5]

Here mu = 1 - p throughout. Targets and masks are buffers: they move with the model, and targets are saved with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from fisher.errors import InputError
from regularizers.base import Context, require
from regularizers.sites import base_prefix

WEIGHTS = "the mixed weights"


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


class Mixed(nn.Module):
    """What a mixed layer has beside its own weight: target and mask as buffers, p and the form of the gradient."""

    weight: Tensor
    mix_target: Tensor
    mix_mask: Tensor
    mix_p: float
    mix_gradient: str

    def mixed_weight(self) -> Tensor:
        """The weight of this step, in the layer's own layout."""
        return mixconnect(self.weight, self.mix_target, self.mix_p, self.mix_mask, self.mix_gradient)


class MixedLinear(Mixed, nn.Linear):
    """`nn.Linear` that trains with a mixed (out, in) weight and evaluates with its own."""

    def forward(self, x: Tensor) -> Tensor:
        """x (..., in) -> (..., out)."""
        if not self.training:
            return super().forward(x)
        return nn.functional.linear(x, self.mixed_weight(), self.bias)


class MixedConv1D(Mixed, Conv1D):
    """GPT-2's linear layer, whose (in, out) weight has input features as rows, likewise."""

    bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """x (..., in) -> (..., out)."""
        if not self.training:
            return super().forward(x)
        rows = torch.addmm(self.bias, x.reshape(-1, self.mix_mask.shape[0]), self.mixed_weight())
        return rows.view(*x.shape[:-1], -1)


def input_features(layer: nn.Module) -> int:
    """Number of input features of a linear layer, whichever way its weight lies."""
    assert isinstance(layer.weight, Tensor)
    return layer.weight.shape[0 if isinstance(layer, Conv1D) else 1]


def adopt(layer: nn.Module, target: Tensor, p: float, *, gradient: str = "exact", per_weight: bool = False) -> Mixed:
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
    mask = torch.ones(weight.shape, dtype=torch.bool) if per_weight else torch.ones(input_features(layer))
    if not per_weight:
        mask = mask.to(weight.dtype).unsqueeze(1) if isinstance(layer, Conv1D) else mask.to(weight.dtype)
    layer.register_buffer("mix_mask", mask.to(weight.device), persistent=False)
    return layer


def set_mask(layer: Mixed, mask: Tensor) -> None:
    """Use `mask` (one entry per input feature, or of the weight's shape) from now on."""
    layer.mix_mask.copy_(mask.view(layer.mix_mask.shape))


def check_target(technique: str, target: str) -> None:
    """Raise InputError unless the target is 0, w_pre, w_0 or names a file."""
    known = target in ("0", "w_pre", "w_0") or target.endswith(".safetensors")
    require(known, f"the target of {technique} must be 0, w_pre, w_0 or a .safetensors file", target)


def check_target_scope(technique: str, target: str, scope: str) -> None:
    """Raise InputError for a target that the scope does not have: w_pre on the head, w_0 outside it."""
    wrong = "w_pre" if scope == "head" else "w_0"
    hint = "the head has w_0" if scope == "head" else f"write head:{technique}(w_0, ...)"
    require(target != wrong, f"the target of {technique} on the {scope} must exist there", wrong, hint)


def targets(target: str, layers: Iterable[str], context: Context) -> dict[str, Tensor]:
    """{layer: target of its weight}; a file holds them under the base model's parameter names, a head's under its own.

    Raises InputError for a file that cannot be read, or that lacks a weight or has it in another shape.
    """
    names = {layer: f"{layer}.weight" for layer in layers}
    if target == "0":
        return {layer: torch.zeros_like(context.initial[name]) for layer, name in names.items()}
    if target in ("w_pre", "w_0"):
        return {layer: context.initial[name] for layer, name in names.items()}
    stored = _read(Path(target), [name.removeprefix(base_prefix(context.model)) for name in names.values()])
    found = dict(zip(names, stored, strict=True))
    for layer, name in names.items():
        wanted, got = tuple(context.initial[name].shape), tuple(found[layer].shape)
        require(wanted == got, f"{target} must hold {name} in the shape {wanted}", f"{got}")
    return found


def _read(path: Path, names: list[str]) -> list[Tensor]:
    if not path.is_file():
        raise InputError(f"the target must be 0, w_pre, w_0 or an existing .safetensors file, got {path}")
    try:
        with safe_open(str(path), framework="pt") as file:
            missing = sorted(set(names) - set(file.keys()))
            require(not missing, f"{path} must hold a target for every mixed weight", f"none for {', '.join(missing)}")
            return [file.get_tensor(name) for name in names]
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} must be a safetensors file, but it cannot be read: {error}") from error


def step_generator(context: Context, device: torch.device) -> torch.Generator:
    """A generator on the model's device for one step's large draws, seeded by one draw of the trial's own."""
    seed = torch.randint(2**62, (), generator=context.generator).item()
    return torch.Generator(device).manual_seed(int(seed))
