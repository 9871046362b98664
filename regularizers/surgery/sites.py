"""The dropout sites and the mixed layers of one model, by the table of its family."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from fisher.common.errors import InputError, require
from regularizers.surgery.rows import READINGS, Family, Row
from regularizers.surgery.site_tables import FAMILIES

PLANTED = {"output": "site_dropout", "input": "site_input_dropout"}  # names of dropouts of ours in their host module


@dataclass(frozen=True)
class Site:
    """A dropout site of one model.

    module: qualified name of the module that holds the probability, in `attribute`.
    parameters: names of the tensors before it.
    rate: the checkpoint's own probability.
    owner: name of the attention module whose attention function drops; None where the dropout module is called.
    planted: "output" or "input" of the module above `module` where a dropout of ours is put on first use.
    ours: whether the checkpoint has no dropout there.
    """

    name: str
    module: str
    kind: str
    parameters: tuple[str, ...]
    rate: float
    attribute: str = "p"
    owner: str | None = None
    planted: str = ""
    ours: bool = False


@dataclass(frozen=True)
class Sites:
    """The sites of one model in its own order, and the names of the layers that mixout mixes in each reading.

    missing: why nobody knows them: a family without a table, or a model that its family's table does not describe.
    adapted: names of the layers that LoRA corrects.
    """

    family: str
    dropouts: tuple[Site, ...] = ()
    mixed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    missing: str = ""
    adapted: tuple[str, ...] = ()


def base_prefix(model: nn.Module) -> str:
    """`bert.` for a model that wraps the base model, the empty string for the base model itself."""
    prefix = getattr(model, "base_model_prefix", "")
    return f"{prefix}." if prefix and hasattr(model, prefix) else ""


def head_of(model: nn.Module) -> frozenset[str]:
    """The parameters outside the base model: the classifier with whatever layers it has; none for a bare base model."""
    prefix = base_prefix(model)
    return frozenset(name for name, _ in model.named_parameters() if not name.startswith(prefix))


def find_sites(model: nn.Module, head: frozenset[str] = frozenset()) -> Sites:
    """The sites of a transformers model by its family's table; none, and why, where that does not exist or fit.

    Raises InputError for a site that the table expects and the model lacks: a name that moved must be an error, never a
    strategy silently applied in part.
    """
    config: Any = model.config
    name = getattr(config, "model_type", type(model).__name__)
    if name not in FAMILIES:
        return Sites(name, missing=f"the family {name} has no site table")
    family, prefix = FAMILIES[name], base_prefix(model)
    if lacks := family.lacks(config):
        return Sites(name, missing=lacks)
    sites = [_site(row, i, prefix, name, model) for row, i in _rows(family, config)]
    modules = dict(model.named_modules())
    classifier = "ForSequenceClassification" in type(model).__name__  # other heads have the dropouts they have
    head_modules = [module for module in family.head if classifier or (prefix and module in modules)]
    single = len(family.head) == 1
    sites += [
        Site("head" if single else f"head.{module}", module, "head", (), _rate(model, module, "p", name))
        for module in head_modules
    ]
    expected = [(layer, of) for layer, of in _layers(family, config) if classifier or not layer.startswith("pooler")]
    layers = [(prefix + layer, readings) for layer, readings in expected]  # heads on tokens read no pooler
    for layer, _ in layers:
        require(
            layer in modules, f"a {name} model must have the layer {layer}", "none", "its site table is out of date"
        )
    body = [(layer, readings) for layer, readings in layers if f"{layer}.weight" not in head]
    mixed = {reading: tuple(layer for layer, readings in body if reading in readings) for reading in READINGS}
    adapted = tuple(layer for layer, _ in body if layer.rpartition(".")[2] in family.adapted)
    return Sites(name, tuple(sites), mixed, adapted=adapted)


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
    starts = tuple(prefix + start.format(i=i) for start in row.parameters)
    parameters = tuple(name for name, _ in model.named_parameters() if name.startswith(starts))
    if row.planted:
        return _planted_site(row, i, prefix, family, model, parameters)
    held = _rate(model, module, row.attribute, family)
    holder = module if row.attribute != "p" else module.rpartition(".")[0]
    owner = None if row.called else holder
    return Site(row.site.format(i=i), module, row.kind, parameters, held, row.attribute, owner)


def _planted_site(row: Row, i: int, prefix: str, family: str, model: nn.Module, parameters: tuple[str, ...]) -> Site:
    """A site whose dropout is ours; its rate is that of our dropout where it stands already, else the checkpoint's."""
    modules, host = dict(model.named_modules()), prefix + row.module.format(i=i)
    require(host in modules, f"a {family} model must have the module {host}", "none", "its site table is out of date")
    module = f"{host}.{PLANTED[row.planted]}"
    holder, _, attribute = row.own.format(i=i).partition(":")
    rate = _rate(model, module, "p", family) if module in modules else 0.0
    if row.own and module not in modules:
        rate = _rate(model, prefix + holder, attribute, family)
    return Site(row.site.format(i=i), module, row.kind, parameters, rate, planted=row.planted, ours=not row.own)


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
    setattr(place(model, site), site.attribute, p)


def set_rates(model: nn.Module, rates: Mapping[Site, float]) -> list[str]:
    """Let every site drop with its probability; returns the modules that hold them."""
    for site, p in rates.items():
        set_rate(model, site, p)
    return [site.module for site in rates]


def place(model: nn.Module, site: Site) -> nn.Module:
    """The module that holds a site's probability; a dropout of ours is put there when it is first asked for."""
    host_name, _, name = site.module.rpartition(".")
    host = model.get_submodule(host_name)
    if site.planted and not hasattr(host, name):
        host.register_module(name, nn.Dropout(0.0).train(host.training))
        if site.planted == "output":
            host.register_forward_hook(_drop_output)
        else:
            host.register_forward_pre_hook(_drop_input)
    return model.get_submodule(site.module)


def _drop_output(host: nn.Module, args: tuple[Any, ...], out: Any) -> Any:
    """Drop what a module gives, or the first of what it gives (attention modules also give their probabilities)."""
    dropout = host.get_submodule(PLANTED["output"])
    return (dropout(out[0]), *out[1:]) if isinstance(out, tuple) else dropout(out)


def _drop_input(host: nn.Module, args: tuple[Any, ...]) -> Any:
    return (host.get_submodule(PLANTED["input"])(args[0]), *args[1:])


def silence(model: nn.Module) -> None:
    """Set every dropout probability of the model to 0, whatever the checkpoint's config says.

    That is `p` of dropout modules, and every number that a module keeps under a name with `drop` in it (attention
    probabilities, layer drop, dropouts that are functions and no modules).
    """
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        for name, value in vars(module).items():
            if "drop" in name.lower() and type(value) in (int, float):
                setattr(module, name, 0.0)
