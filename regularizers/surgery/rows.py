"""What the site tables are written in: rows of dropouts, mixed layers, stacks of layers that repeat, families."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

READINGS = ("paper", "fed")
PAPER, FED = ("paper",), ("fed",)
Condition = Callable[[Any], bool]  # of a model's config


def always(config: Any) -> bool:
    """The condition of a row that every model of the family has."""
    return True


def describes_all(config: Any) -> str:
    """A table that fits every model of its family."""
    return ""


@dataclass(frozen=True)
class Row:
    """One dropout of a family; names are relative to the base model, `{i}` is the layer number.

    called: whether the model calls the module itself (else an attention function reads its probability).
    attribute: what holds the probability; `p` belongs to a dropout module, anything else to the attention module.
    when: which models of the family have the row.
    planted: "output" or "input" where no module drops and ours is put behind or before `module`.
    own: `module:attribute` that holds the checkpoint's own probability of a planted site; empty where the site is ours.
    """

    site: str
    module: str
    kind: str  # "hidden" or "attention"
    parameters: tuple[str, ...]  # prefixes of the tensors that precede the site
    called: bool = True
    attribute: str = "p"
    when: Condition = always
    planted: str = ""
    own: str = ""


@dataclass(frozen=True)
class Mix:
    """One linear layer that is mixed, in which of the readings, and in which models of the family."""

    layer: str
    when: Condition = always
    readings: tuple[str, ...] = READINGS


@dataclass(frozen=True)
class Stack:
    """Layers that repeat: config's field with their number, the dropouts and the mixed layers of each."""

    layers: str
    rows: tuple[Row, ...]
    mixed: tuple[Mix, ...]


@dataclass(frozen=True)
class Family:
    """A model family: what stands outside its stacks, the stacks, and the head's dropouts (names in the full model).

    reads: the token that the head reads, `first`, `last`, or anything else in words.
    adapted: last names of the layers that LoRA corrects, as the authors do: projections to queries and values.
    shared: why the family has no layers of its own to tell by depth, where it shares one among all.
    lacks: (config) -> why a model is none that the table describes; empty for those that are.
    """

    rows: tuple[Row, ...]
    stacks: tuple[Stack, ...]
    head: tuple[str, ...]
    mixed: tuple[Mix, ...] = ()
    reads: str = "first"
    shared: str = ""
    adapted: tuple[str, ...] = ("query", "value")
    lacks: Callable[[Any], str] = describes_all


def hidden(site: str, module: str, *parameters: str, when: Condition = always) -> Row:
    """A dropout module that the model calls on hidden states."""
    return Row(site, module, "hidden", parameters, when=when)


def attention(site: str, module: str, *parameters: str, called: bool = False, attribute: str = "p") -> Row:
    """A probability with which attention probabilities are dropped."""
    return Row(site, module, "attention", parameters, called, attribute)


def planted(site: str, module: str, *parameters: str, at: str = "output", own: str = "") -> Row:
    """A dropout of ours on the output (or input) of a module, with the checkpoint's own probability if it has one."""
    return Row(site, module, "hidden", parameters, planted=at, own=own)
