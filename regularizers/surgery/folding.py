"""Fold a strategy into plain weights: undo what it changed in the model, and keep the weights that it evaluates.

A mixed layer, a noise module, an adapter, a parametrization or a hook is found by what `attach` and `start` changed in
the model's modules, whichever technique did it, so a technique says nothing about folding. The weights are those of
`evaluation` (a running average, a merged correction), read under the names that the plain model has for them.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from fisher.common.errors import require
from regularizers.context import Context

MISSING = object()
CLASS = ("", None)
Place = tuple[str, Any]  # (attribute, None), or (attribute, key) of a dict or set such as _buffers
Structure = dict[nn.Module, dict[Place, Any]]
_carried: weakref.WeakKeyDictionary[nn.Module, weakref.ref[Attached]] = weakref.WeakKeyDictionary()


class Attached(Protocol):
    """What folding needs of a strategy that is attached to a model (`strategy.BoundStrategy`)."""

    context: Context
    surgery: Surgery

    @property
    def terms(self) -> Sequence[tuple[Any, Context, str]]:
        """Each term with its context and its text."""

    def evaluation(self) -> contextlib.AbstractContextManager[None]:
        """Within it the model carries the weights that are evaluated."""


class Change(NamedTuple):
    """What a module had at a place before a technique changed it (`MISSING` for nothing)."""

    module: nn.Module
    place: Place
    before: Any


class Surgery:
    """What a strategy changes in the structure of one model, noted so that it can be undone."""

    def __init__(self, model: nn.Module) -> None:
        self.model, self.changes = model, list[Change]()
        self.names = tuple(model.state_dict())
        self.trains = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
        self.attention = getattr(getattr(model, "config", None), "_attn_implementation", None)

    @contextlib.contextmanager
    def watch(self, strategy: Attached) -> Iterator[None]:
        """Note what changes within it; the model then carries the strategy."""
        before = structure(self.model)
        try:
            yield
        finally:
            self.changes += differences(before, structure(self.model))
            _carried[self.model] = weakref.ref(strategy)

    def undo(self) -> None:
        """Give the model its structure back, and let train what trained before."""
        _carried.pop(self.model, None)
        for change in reversed(self.changes):
            put_back(change)
        self.changes.clear()
        for parameter, trains in self.trains:
            parameter.requires_grad_(trains)
        model: Any = self.model
        if self.attention != getattr(getattr(model, "config", None), "_attn_implementation", None):
            model.set_attn_implementation(self.attention)


def structure(model: nn.Module) -> Structure:
    """What every module of the model is and holds, by reference."""
    return {module: dict(_entries(module)) for module in model.modules()}


def _entries(module: nn.Module) -> Iterator[tuple[Place, Any]]:
    yield CLASS, type(module)
    for name, value in vars(module).items():
        if isinstance(value, (dict, set)) and name.startswith("_"):
            keyed = value if isinstance(value, dict) else dict.fromkeys(value, True)
            yield from (((name, key), item) for key, item in keyed.items())
        elif name != "training":
            yield (name, None), value


def differences(before: Structure, after: Structure) -> list[Change]:
    """What it takes to come from `after` back to `before`; modules that are new go with the entries that hold them."""
    return [
        Change(module, place, was.get(place, MISSING))
        for module, was in before.items()
        if module in after
        for place in {**was, **after[module]}
        if was.get(place, MISSING) is not after[module].get(place, MISSING)
    ]


def put_back(change: Change) -> None:
    """Undo one change."""
    module, (name, key), before = change
    if change.place == CLASS:
        module.__class__ = before
        return
    holder: Any = vars(module) if key is None else vars(module).setdefault(name, {})
    key = name if key is None else key
    if isinstance(holder, set):
        holder.discard(key) if before is MISSING else holder.add(key)
    elif before is MISSING:
        holder.pop(key, None)
    else:
        holder[key] = before


@torch.no_grad()
def plain_weights(strategy: Attached) -> dict[str, Tensor]:
    """Copies of the evaluated weights as the plain model's `state_dict` has them; tied ones stay one tensor."""
    model = strategy.context.model
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        with strategy.evaluation():
            found = {name: _tensor(model, name) for name in strategy.surgery.names}
            copies = {id(tensor): tensor.detach().clone() for tensor in found.values()}
    finally:
        for module, training in modes.items():
            module.training = training
    return {name: copies[id(tensor)] for name, tensor in found.items()}


def _tensor(model: nn.Module, name: str) -> Tensor:
    """The tensor of that name, through whatever has taken its module's place."""
    module, _, leaf = name.rpartition(".")
    tensor: Tensor = getattr(model.get_submodule(module), leaf)
    return tensor


def carried(model: nn.Module) -> Attached | None:
    """The strategy that is attached to the model; None for a plain model. Raises InputError where it is lost.

    The model does not keep it alive: the two would wait for a garbage collection with the memory of a whole training.
    """
    known = _carried.get(model)
    strategy = known() if known is not None else None
    require(
        known is None or strategy is not None,
        "the strategy of this model must still be there",
        "none",
        "keep what apply returned until fold",
    )
    return strategy


def fold(model: nn.Module) -> nn.Module:
    """Fold what a strategy left in the model back into plain weights, in place, and return the model.

    It then computes what was evaluated under the strategy, `save_pretrained` writes a plain checkpoint, and its dropout
    is that of its config again. A plain model stays as it is.
    """
    require(isinstance(model, nn.Module), "fold must be given a model", type(model).__name__)
    strategy = carried(model)
    if strategy is not None:
        weights = plain_weights(strategy)
        strategy.surgery.undo()
        for name, tensor in model.state_dict(keep_vars=True).items():
            tensor.data = weights[name]
    return model
