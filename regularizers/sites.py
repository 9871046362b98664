"""Where dropouts sit and which layers a method mixes, per model family: the one table every technique asks.

A *site* is a place where the model drops activations. A row names it, says where its probability is set (module path
and attribute) and which parameter tensors precede it. `{i}` runs over the encoder layers. Setting `p` on the stock
module acts under sdpa and eager alike, because the attention code reads `.p` (the module itself is never called there).

The mixed layers are our reading of [Lee20 C.2], "mixout replaces dropout": the linear layers fed by the units that BERT
drops. The feed-forward output dense is fed by GELU units, which BERT does not drop, and is therefore left alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from fisher.errors import InputError


@dataclass(frozen=True)
class Row:
    """One line of a family's table; names are relative to the base model, `{i}` is the layer number."""

    site: str
    dropout: str
    kind: str  # "hidden" or "attention"
    parameters: str  # prefix of the tensors that precede the site


@dataclass(frozen=True)
class Family:
    """A model family: its dropout rows, the layers that mixout mixes, and the head's dropout at the model's top."""

    rows: tuple[Row, ...]
    mixed: tuple[str, ...]
    head_dropout: str
    layers: str = "num_hidden_layers"


@dataclass(frozen=True)
class Site:
    """A dropout site of one model: `module` is the qualified name of the dropout, `parameters` those before it."""

    name: str
    module: str
    kind: str
    parameters: tuple[str, ...]
    rate: float  # the checkpoint's own probability


@dataclass(frozen=True)
class Sites:
    """The sites of one model in its own order, and the names of the layers that mixout mixes."""

    family: str
    dropouts: tuple[Site, ...]
    mixed: tuple[str, ...]


FAMILIES: dict[str, Family] = {
    "bert": Family(
        rows=(
            Row("embeddings", "embeddings.dropout", "hidden", "embeddings."),
            Row(
                "layer.{i}.attention.self",
                "encoder.layer.{i}.attention.self.dropout",
                "attention",
                "encoder.layer.{i}.attention.self.",
            ),
            Row(
                "layer.{i}.attention.output",
                "encoder.layer.{i}.attention.output.dropout",
                "hidden",
                "encoder.layer.{i}.attention.output.",
            ),
            Row("layer.{i}.output", "encoder.layer.{i}.output.dropout", "hidden", "encoder.layer.{i}.output."),
        ),
        mixed=(
            "encoder.layer.{i}.attention.self.query",
            "encoder.layer.{i}.attention.self.key",
            "encoder.layer.{i}.attention.self.value",
            "encoder.layer.{i}.attention.output.dense",
            "encoder.layer.{i}.intermediate.dense",
            "pooler.dense",
        ),
        head_dropout="dropout",
    ),
}


def base_prefix(model: nn.Module) -> str:
    """`bert.` for a model that wraps the base model, the empty string for the base model itself."""
    prefix = getattr(model, "base_model_prefix", "")
    return f"{prefix}." if prefix and hasattr(model, prefix) else ""


def find_sites(model: nn.Module, head: frozenset[str] = frozenset()) -> Sites:
    """The sites of a transformers model by its family's table.

    Raises InputError for a family without a table and for a site that the table expects and the model lacks: a name
    that moved must be an error, never a strategy silently applied in part.
    """
    family_name = getattr(model.config, "model_type", type(model).__name__)
    if family_name not in FAMILIES:
        raise InputError(
            f"the model family must be one of {', '.join(FAMILIES)}, got {family_name}; it has no site table"
        )
    family, prefix = FAMILIES[family_name], base_prefix(model)
    modules = dict(model.named_modules())
    count = getattr(model.config, family.layers)
    sites = [_site(row, i, prefix, modules, family_name, model) for row, i in _expand(family.rows, count)]
    if prefix and family.head_dropout in modules:
        module = modules[family.head_dropout]
        sites.append(Site("head", family.head_dropout, "head", (), float(module.p)))
    mixed = [prefix + name.format(i=i) for i in range(count) for name in family.mixed if "{i}" in name]
    mixed += [prefix + name for name in family.mixed if "{i}" not in name]
    for name in mixed:
        if name not in modules:
            raise InputError(
                f"a {family_name} model must have the layer {name}, got none; its site table is out of date"
            )
    return Sites(family_name, tuple(sites), tuple(n for n in mixed if f"{n}.weight" not in head))


def _expand(rows: tuple[Row, ...], count: int) -> list[tuple[Row, int]]:
    """Rows in the model's order: the layer-free ones first, then layer by layer."""
    free = [(row, 0) for row in rows if "{i}" not in row.site]
    return free + [(row, i) for i in range(count) for row in rows if "{i}" in row.site]


def _site(row: Row, i: int, prefix: str, modules: dict[str, nn.Module], family: str, model: nn.Module) -> Site:
    module = prefix + row.dropout.format(i=i)
    if not isinstance(modules.get(module), nn.Dropout):
        raise InputError(f"a {family} model must have a dropout at {module}, got {type(modules.get(module)).__name__}")
    start = prefix + row.parameters.format(i=i)
    parameters = tuple(name for name, _ in model.named_parameters() if name.startswith(start))
    return Site(row.site.format(i=i), module, row.kind, parameters, float(modules[module].p))


def set_rate(model: nn.Module, site: Site, p: float) -> None:
    """Let the site drop with probability `p` (0 <= p < 1)."""
    model.get_submodule(site.module).p = p  # type: ignore[assignment]
