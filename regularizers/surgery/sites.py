"""The dropout sites and the mixed layers of one model, by the table of its family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from fisher.common.errors import InputError
from regularizers.surgery.families import FAMILIES, READINGS, Family, Row


@dataclass(frozen=True)
class Site:
    """A dropout site of one model.

    module: qualified name of the module that holds the probability, in `attribute`.
    parameters: names of the tensors before it.
    rate: the checkpoint's own probability.
    owner: name of the attention module whose attention function drops; None where the dropout module is called.
    """

    name: str
    module: str
    kind: str
    parameters: tuple[str, ...]
    rate: float
    attribute: str = "p"
    owner: str | None = None


@dataclass(frozen=True)
class Sites:
    """The sites of one model in its own order, and the names of the layers that mixout mixes in each reading."""

    family: str
    dropouts: tuple[Site, ...]
    mixed: Mapping[str, tuple[str, ...]]


def base_prefix(model: nn.Module) -> str:
    """`bert.` for a model that wraps the base model, the empty string for the base model itself."""
    prefix = getattr(model, "base_model_prefix", "")
    return f"{prefix}." if prefix and hasattr(model, prefix) else ""


def find_sites(model: nn.Module, head: frozenset[str] = frozenset()) -> Sites:
    """The sites of a transformers model by its family's table.

    Raises InputError for a family without a table and for a site that the table expects and the model lacks: a name
    that moved must be an error, never a strategy silently applied in part.
    """
    config: Any = model.config
    name = getattr(config, "model_type", type(model).__name__)
    if name not in FAMILIES:
        raise InputError(f"the model family must be one of {', '.join(FAMILIES)}, got {name}; it has no site table")
    family, prefix = FAMILIES[name], base_prefix(model)
    sites = [_site(row, i, prefix, name, model) for row, i in _rows(family, config)]
    modules = dict(model.named_modules())
    classifier = "ForSequenceClassification" in type(model).__name__  # other heads have the dropouts they have
    head_modules = [module for module in family.head if classifier or (prefix and module in modules)]
    sites += [_head_site(module, len(family.head), name, model) for module in head_modules]
    layers = [(prefix + layer, readings) for layer, readings in _layers(family, config)]
    for layer, _ in layers:
        if layer not in modules:
            raise InputError(f"a {name} model must have the layer {layer}, got none; its site table is out of date")
    body = [(layer, readings) for layer, readings in layers if f"{layer}.weight" not in head]
    mixed = {reading: tuple(layer for layer, readings in body if reading in readings) for reading in READINGS}
    return Sites(name, tuple(sites), mixed)


def _rows(family: Family, config: Any) -> list[tuple[Row, int]]:
    """The rows that this model has, in order: those outside the stacks, then stack by stack, layer by layer."""
    free = [(row, 0) for row in family.rows]
    stacked = [(row, i) for stack in family.stacks for i in range(getattr(config, stack.layers)) for row in stack.rows]
    return [(row, i) for row, i in free + stacked if row.when(config)]


def _layers(family: Family, config: Any) -> list[tuple[str, tuple[str, ...]]]:
    """The mixed layers that this model has, with the readings they belong to, stacks first."""
    stacked = [
        (mix.layer.format(i=i), mix.readings)
        for stack in family.stacks
        for i in range(getattr(config, stack.layers))
        for mix in stack.mixed
        if mix.when(config)
    ]
    return stacked + [(mix.layer, mix.readings) for mix in family.mixed if mix.when(config)]


def _site(row: Row, i: int, prefix: str, family: str, model: nn.Module) -> Site:
    module = prefix + row.module.format(i=i)
    held = _rate(model, module, row.attribute, family)
    starts = tuple(prefix + start.format(i=i) for start in row.parameters)
    parameters = tuple(name for name, _ in model.named_parameters() if name.startswith(starts))
    holder = module if row.attribute != "p" else module.rpartition(".")[0]
    owner = None if row.called else holder
    return Site(row.site.format(i=i), module, row.kind, parameters, held, row.attribute, owner)


def _head_site(module: str, count: int, family: str, model: nn.Module) -> Site:
    name = "head" if count == 1 else f"head.{module}"
    return Site(name, module, "head", (), _rate(model, module, "p", family))


def _rate(model: nn.Module, module: str, attribute: str, family: str) -> float:
    """The probability that a site has now; a dropout module's `p` or a float attribute."""
    found = dict(model.named_modules()).get(module)
    rate = getattr(found, attribute, None)
    if not isinstance(rate, float | int) or (attribute == "p" and not isinstance(found, nn.Dropout)):
        what = "a dropout" if attribute == "p" else f"a probability {attribute}"
        raise InputError(f"a {family} model must have {what} at {module}, got {type(found).__name__}")
    return float(rate)


def set_rate(model: nn.Module, site: Site, p: float) -> None:
    """Let the site drop with probability `p` (0 <= p < 1)."""
    setattr(model.get_submodule(site.module), site.attribute, p)
