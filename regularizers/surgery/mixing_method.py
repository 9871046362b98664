"""What mixout and mixconnect have in common as techniques: target, layers, gradient, and fresh masks every step."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from fisher.common.errors import InputError
from regularizers.base import MIXED_WEIGHTS, Context, Regularizer, number, one_of, require
from regularizers.search import Linear
from regularizers.surgery.mixing import Mixed, convert_to_mixed, input_features, set_mask
from regularizers.surgery.noise import step_generator
from regularizers.surgery.rows import READINGS
from regularizers.surgery.sites import base_prefix

LAYERS = (*READINGS, "all")


class OnLayers(Regularizer):
    """Act on the linear layers of a choice, the subclass's field `layers`."""

    layers: str
    sets = frozenset({MIXED_WEIGHTS})

    def check_scope(self, scope: str) -> None:
        """The head is acted on as a whole: one computation has one name."""
        where = f"layers of {self.name} must be left out on the head, which is acted on as a whole"
        require(scope != "head" or self.layers == "paper", where, self.layers)


@dataclass
class ColumnMixing(OnLayers):
    """Mix the columns of linear layers toward `target` with masks of mean 1 - p, or their weights one by one."""

    target: str
    p: float = number("in [0, 1)")
    layers: str = one_of(*LAYERS)
    gradient: str = one_of("exact", "authors")
    search = {"p": Linear(0.1, 0.9, paper=0.7)}
    per_weight = False

    def __post_init__(self) -> None:
        named = self.target in ("0", "w_pre", "w_0") or is_file(self.target)
        require(named, f"the target of {self.name} must be 0, w_pre, w_0 or a .safetensors file", self.target)
        super().__post_init__()

    def check_scope(self, scope: str) -> None:
        """w_pre exists outside the head only, w_0 in the head only."""
        check_target_scope(self.name, self.target, scope)
        super().check_scope(scope)

    def files(self) -> tuple[str, ...]:
        """The stored target, if there is one."""
        return (self.target,) if is_file(self.target) else ()

    def attach(self, context: Context) -> list[str]:
        """Turn the layers in scope into mixed ones; returns their names."""
        names = context.mixed_layers(self.layers)
        found = targets(self.target, names, context)
        form: dict[str, Any] = {"gradient": self.gradient, "per_weight": self.per_weight}
        layers = {name: context.model.get_submodule(name) for name in names}
        self._mixed = [convert_to_mixed(layers[name], found[name], self.p, **form) for name in names]
        return names

    def draw(self, context: Context) -> None:
        """One draw for all layers: a mask entry per input feature, the same for every micro-batch of the step."""
        if self.per_weight:
            draw_per_weight(self._mixed, self.p, context)
            return
        widths = [input_features(layer) for layer in self._mixed]
        masks = self.masks(sum(widths), context.generator)
        for layer, mask in zip(self._mixed, masks.split(widths), strict=True):
            set_mask(layer, mask)

    def masks(self, count: int, generator: torch.Generator) -> Tensor:
        """`count` mask entries of mean 1 - p: Bernoulli(1 - p)."""
        return torch.rand(count, generator=generator) >= self.p


def draw_per_weight(layers: Sequence[Mixed], p: float, context: Context) -> None:
    """A mask entry per weight, 1 with probability 1 - p, drawn on the model's device."""
    generator = step_generator(context, layers[0].weight.device)
    for layer in layers:
        shape, device = layer.weight.shape, layer.weight.device
        set_mask(layer, torch.rand(shape, generator=generator, device=device) >= p)


def is_file(target: str) -> bool:
    """Whether a target names a file of weights."""
    return target.endswith(".safetensors")


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
    require(os.path.isfile(path), "the target must be 0, w_pre, w_0 or an existing .safetensors file", path)
    try:
        with safe_open(str(path), framework="pt") as file:
            missing = sorted(set(names) - set(file.keys()))
            require(not missing, f"{path} must hold a target for every mixed weight", f"none for {', '.join(missing)}")
            return [file.get_tensor(name) for name in names]
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} must be a safetensors file, but it cannot be read: {error}") from error
