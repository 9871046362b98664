"""A family is a strategy whose unset hyperparameters are searched: `mixout(w_pre)`, `dropout(0.1) + rdrop`.

What is written is fixed. What is not written and stands in the technique's `search` is an axis of its own; anything
else keeps the technique's default.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from regularizers.base import Regularizer, spell
from regularizers.search import Layers, Search, Value
from regularizers.strategy import parse, read_sum


@dataclass(frozen=True)
class Axis:
    """One searched hyperparameter of a family: the place of its technique in the sum, its own name, how the axis is
    called (`mixout.p`, `head:mixout.p`), its range, and the value of draw 0."""

    term: int
    name: str
    label: str
    space: Search
    first: Value


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

    def axis(self, at: int, name: str, space: Search) -> Axis:
        """The axis of a hyperparameter; draw 0 has the paper's value, else the technique's, else the range's middle."""
        default: Any = next(f.default for f in dataclasses.fields(self.technique) if f.name == name)
        value = default if space.paper is None else space.paper
        if value is dataclasses.MISSING or (isinstance(space, Layers) and not space.contains(value)):
            value = space.at(0.5)
        return Axis(at, name, f"{'head:' if self.head else ''}{self.technique.name}.{name}", space, value)

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
class Family:
    """A sum of techniques with its free hyperparameters; equal families have equal text."""

    terms: tuple[Term, ...]

    def __str__(self) -> str:
        return " + ".join(term.text({}) for term in self.terms)

    def axes(self, layers: int = 1) -> list[Axis]:
        """What is searched, in the order of the terms, for a model of so many layers."""
        return [
            term.axis(at, name, free.within(layers))
            for at, term in enumerate(self.terms)
            for name, free in term.free.items()
        ]

    def first_strategy(self, layers: int = 1) -> str:
        """The strategy of draw 0."""
        return self.strategy({axis: axis.first for axis in self.axes(layers)})

    @property
    def passes(self) -> int:
        """Forward passes of a batch per step in draw 0; terms that repeat them do so on top of each other."""
        return math.prod(term.regularizer.passes[0] for term in parse(self.first_strategy()).terms)

    def strategy(self, values: Mapping[Axis, Value]) -> str:
        """The strategy with these values, in its canonical form. Raises InputError where it is none."""
        of_terms: list[dict[str, Value]] = [{} for _ in self.terms]
        for axis, value in values.items():
            of_terms[axis.term][axis.name] = value
        return str(parse(" + ".join(map(Term.text, self.terms, of_terms))))


def read_family(text: str) -> Family:
    """Read a family; `read_family(str(f)) == f`.

    Raises InputError for what is no strategy once the free hyperparameters have their values of draw 0.
    """
    terms = [Term(technique, head, given) for head, technique, given in read_sum(text)]
    family = Family(tuple(sorted(terms, key=lambda term: (term.head, term.text({})))))
    family.first_strategy()
    return family
