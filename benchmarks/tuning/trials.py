"""The trials by which families are tuned: every configuration of every restart, and the default on all examples."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from benchmarks.planning.suite import Tuning
from benchmarks.trial.config import Tuned
from benchmarks.trial.protocol import Protocol
from benchmarks.tuning.draws import Draw, make_draws, points
from benchmarks.tuning.families import Family, read_family
from benchmarks.tuning.floors import STRENGTH
from benchmarks.tuning.table import default_of, spaces

FLOOR = "floor: "
Fields = dict[str, Any]


class Plan:
    """What a `[tuning]` table asks for, on a model of so many layers.

    about: strategy -> the fields of a trial that depend on it. rows: name in the tables -> the family, and how many
    times the steps of its draws are trained.
    """

    def __init__(self, tuning: Tuning, layers: int, about: Callable[[str], Fields]) -> None:
        self.tuning, self.layers, self.about = tuning, layers, about
        self.shared, self.default = spaces(tuning), default_of(tuning)
        self.families = {text: read_family(text) for text in (*tuning.families, "none")}
        self.rows = {text: (text, 1) for text in tuning.families}
        self.rows |= {name: ("none", times) for name, times in tuning.controls.items()}
        self.draws = functools.cache(self._draws)
        self.protocol = functools.cache(_replaced)
        self.axes = functools.cache(self._axes)

    def trials(self, restart: Fields, holdout_hash: str) -> Iterator[Fields]:
        """The fields of all trials of one restart, whose own fields are given: of each family the default first."""
        held: Fields = {"holdout": float(self.tuning.holdout), "holdout_hash": holdout_hash}
        for name, (text, times) in self.rows.items():
            place: Fields = {"family": name, "axes": self.axes(text, restart["protocol"]), "times": times}
            whole = Tuned(**place, draw=0, holdout=None, holdout_hash=None)
            yield self._fields(restart, self.draws(text, restart["restart"])[0], whole)
            for draw in self.draws(text, restart["restart"]):
                yield self._fields(restart, draw, Tuned(**place, draw=draw.number, **held))
        for name in self.tuning.floors:
            yield from self._floor(name, restart, holdout_hash)

    def _floor(self, name: str, restart: Fields, holdout_hash: str) -> Iterator[Fields]:
        """The trials of a floor: its strength at the library's default, and drawn as a family's own axis is."""
        shared = self._shared(restart["protocol"])
        place: Fields = {"family": FLOOR + name, "axes": shared | {"c": f"{STRENGTH}; default {STRENGTH.paper:g}"}}
        column = [point[len(self.shared)] for point in points(restart["restart"], self.tuning.budget - 1)]
        strengths = [STRENGTH.paper, *(STRENGTH.at(float(u)) for u in column)]
        base = {**self._base(restart), "floor": {"name": name, "c": STRENGTH.paper}}
        yield base | {"tuning": Tuned(**place, draw=0, holdout=None, holdout_hash=None)}
        for draw, c in enumerate(strengths):
            held: Fields = {"holdout": float(self.tuning.holdout), "holdout_hash": holdout_hash}
            yield base | {"floor": {"name": name, "c": c}, "tuning": Tuned(**place, draw=draw, **held)}

    def _base(self, restart: Fields) -> Fields:
        protocol = self.protocol(restart["protocol"], tuple(self.default.items()))
        return {**restart, **self.about("none"), "protocol": protocol}

    def _draws(self, text: str, restart: int) -> list[Draw]:
        ranges: dict[str, Any] = {"shared": self.shared, "default": self.default, "layers": self.layers}
        first = 0 if self.tuning.same_draws else restart
        return make_draws(self.families[text], self.tuning.budget, restart=first, **ranges)

    def _fields(self, restart: Fields, draw: Draw, place: Tuned) -> Fields:
        protocol = self.protocol(restart["protocol"], tuple(draw.shared.items()), place.times)
        return {**restart, **self.about(draw.strategy), "protocol": protocol, "tuning": place}

    def _axes(self, text: str, protocol: Protocol) -> Mapping[str, str]:
        """What is searched where, and the value of draw 0."""
        family: Family = self.families[text]
        own = {family.label(axis): f"{axis.space}; default {family.first(axis)}" for axis in family.axes(self.layers)}
        return self._shared(protocol) | own

    def _shared(self, protocol: Protocol) -> dict[str, str]:
        base = _replaced(protocol, tuple(self.default.items()))
        return {key: f"{space}; default {getattr(base, key)}" for key, space in self.shared.items()}


def first_strategies(tuning: Tuning | None) -> dict[str, str]:
    """{family: its strategy of draw 0}: what stands for it where its terms are explained."""
    found = {}
    for text in tuning.families if tuning else ():
        family = read_family(text)
        found[text] = family.strategy({axis: family.first(axis) for axis in family.axes(layers=1)})
    return found | dict.fromkeys(tuning.controls if tuning else (), "none")


def _replaced(protocol: Protocol, values: tuple[tuple[str, Any], ...], times: int = 1) -> Protocol:
    """The protocol with the values of a draw, and so many times its steps; its epochs, where they set the length."""
    drawn = dataclasses.replace(protocol, **dict(values))
    length = "steps" if drawn.steps else "epochs"
    return drawn if times == 1 else dataclasses.replace(drawn, **{length: times * getattr(drawn, length)})
