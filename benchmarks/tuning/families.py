"""A family is a strategy whose unset hyperparameters are searched: `mixout(w_pre)`, `dropout(0.1) + rdrop`.

What is written is fixed. What is not written and stands in the technique's `search` is an axis of its own; anything
else keeps the technique's default.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from regularizers.base import Regularizer, spell
from regularizers.search import Layers, Search, Value
from regularizers.strategy import parse, read_sum


@dataclass(frozen=True)
class Term:
    """One technique of a family: where it acts, which hyperparameters are written and which are free."""

    technique: type[Regularizer]
    head: bool
    given: Mapping[str, Value]

    @property
    def free(self) -> dict[str, Search]:
        """The ranges of what is searched."""
        return {key: space for key, space in self.technique.search.items() if key not in self.given}

    def text(self, values: Mapping[str, Value]) -> str:
        """The term with `values` for what is free; `name=value` wherever the argument before it is left out."""
        chosen = {**self.given, **values}
        words = []
        complete = True
        for field in dataclasses.fields(self.technique):
            if field.name in chosen:
                word = spell(chosen[field.name])
                words.append(word if complete and not field.kw_only else f"{field.name}={word}")
            else:
                complete = False
        arguments = f"({', '.join(words)})" if words else ""
        return f"{'head:' if self.head else ''}{self.technique.name}{arguments}"


@dataclass(frozen=True)
class Axis:
    """One searched hyperparameter of a family: `term` is the place of its technique in the sum."""

    term: int
    name: str
    space: Search

    def first(self, technique: type[Regularizer]) -> Value:
        """The value of draw 0: the paper's, else the technique's default, else the middle of the range."""
        default: Any = next(f.default for f in dataclasses.fields(technique) if f.name == self.name)
        value = default if self.space.paper is None else self.space.paper
        if value is dataclasses.MISSING or (isinstance(self.space, Layers) and not self.space.contains(value)):
            return self.space.at(0.5)
        return value


@dataclass(frozen=True)
class Family:
    """A sum of techniques with its free hyperparameters; equal families have equal text."""

    terms: tuple[Term, ...]

    def __str__(self) -> str:
        return " + ".join(term.text({}) for term in self.terms)

    def axes(self, layers: int) -> tuple[Axis, ...]:
        """What is searched, in the order of the terms, for a model of so many layers."""
        return tuple(
            Axis(at, name, space.within(layers))
            for at, term in enumerate(self.terms)
            for name, space in term.free.items()
        )

    def label(self, axis: Axis) -> str:
        """How an axis is called: `mixout.p`, `head:mixout.p`."""
        term = self.terms[axis.term]
        return f"{'head:' if term.head else ''}{term.technique.name}.{axis.name}"

    def first(self, axis: Axis) -> Value:
        """The value of an axis in draw 0."""
        return axis.first(self.terms[axis.term].technique)

    @property
    def passes(self) -> int:
        """Forward passes of a batch per step in draw 0; terms that repeat them do so on top of each other."""
        first = parse(self.strategy({axis: self.first(axis) for axis in self.axes(layers=1)}))
        return math.prod(term.regularizer.passes[0] for term in first.terms)

    def strategy(self, values: Mapping[Axis, Value]) -> str:
        """The strategy with these values, in its canonical form. Raises InputError where it is none."""
        return str(parse(" + ".join(term.text(_of(at, values.items())) for at, term in enumerate(self.terms))))


def _of(term: int, values: Iterable[tuple[Axis, Value]]) -> dict[str, Value]:
    return {axis.name: value for axis, value in values if axis.term == term}


def read_family(text: str) -> Family:
    """Read a family; `read_family(str(f)) == f`.

    Raises InputError for what is no strategy once the free hyperparameters have their values of draw 0.
    """
    terms = [Term(technique, head, given) for head, technique, given in read_sum(text)]
    family = Family(tuple(sorted(terms, key=lambda term: (term.head, term.text({})))))
    family.strategy({axis: family.first(axis) for axis in family.axes(layers=1)})
    return family
