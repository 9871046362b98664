"""The trials by which families are tuned: every configuration of every restart, and the default on all examples."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from benchmarks.planning.suite import Tuning
from benchmarks.trial.config import Tuned
from benchmarks.trial.protocol import Protocol
from benchmarks.tuning.draws import Draw, make_draws
from benchmarks.tuning.families import Family, read_family
from benchmarks.tuning.table import default_of, spaces

Fields = dict[str, Any]


class Plan:
    """What a `[tuning]` table asks for, on a model of so many layers.

    about: strategy -> the fields of a trial that depend on it.
    """

    def __init__(self, tuning: Tuning, layers: int, about: Callable[[str], Fields]) -> None:
        self.tuning, self.layers, self.about = tuning, layers, about
        self.shared, self.default = spaces(tuning), default_of(tuning)
        self.families = {text: read_family(text) for text in tuning.families}
        self.draws = functools.cache(self._draws)
        self.protocol = functools.cache(_replaced)
        self.axes = functools.cache(self._axes)

    def trials(self, restart: Fields, holdout_hash: str) -> Iterator[Fields]:
        """The fields of all trials of one restart, whose own fields are given: of each family the default first."""
        for text in self.families:
            place: Fields = {"family": text, "axes": self.axes(text, restart["protocol"])}
            whole = Tuned(**place, draw=0, holdout=None, holdout_hash=None)
            yield self._fields(restart, self.draws(text, restart["restart"])[0], whole)
            for draw in self.draws(text, restart["restart"]):
                held: Fields = {"holdout": float(self.tuning.holdout), "holdout_hash": holdout_hash}
                yield self._fields(restart, draw, Tuned(**place, draw=draw.number, **held))

    def _draws(self, text: str, restart: int) -> list[Draw]:
        ranges: dict[str, Any] = {"shared": self.shared, "default": self.default, "layers": self.layers}
        first = 0 if self.tuning.same_draws else restart
        return make_draws(self.families[text], self.tuning.budget, restart=first, **ranges)

    def _fields(self, restart: Fields, draw: Draw, place: Tuned) -> Fields:
        protocol = self.protocol(restart["protocol"], tuple(draw.shared.items()))
        return {**restart, **self.about(draw.strategy), "protocol": protocol, "tuning": place}

    def _axes(self, text: str, protocol: Protocol) -> Mapping[str, str]:
        """What is searched where, and the value of draw 0."""
        base = _replaced(protocol, tuple(self.default.items()))
        family: Family = self.families[text]
        axes = {key: f"{space}; default {getattr(base, key):g}" for key, space in self.shared.items()}
        own = {family.label(axis): f"{axis.space}; default {family.first(axis)}" for axis in family.axes(self.layers)}
        return axes | own


def first_strategies(tuning: Tuning | None) -> dict[str, str]:
    """{family: its strategy of draw 0}: what stands for it where its terms are explained."""
    found = {}
    for text in tuning.families if tuning else ():
        family = read_family(text)
        found[text] = family.strategy({axis: family.first(axis) for axis in family.axes(layers=1)})
    return found


def _replaced(protocol: Protocol, values: tuple[tuple[str, Any], ...]) -> Protocol:
    return dataclasses.replace(protocol, **dict(values))
