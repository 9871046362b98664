"""The trials by which families are tuned: every configuration of every restart, and the default on all examples."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from benchmarks.planning.suite import Tuning
from benchmarks.trial.config import Tuned
from benchmarks.trial.protocol import Protocol
from benchmarks.tuning.draws import make_draws, points
from benchmarks.tuning.families import Family, read_family
from benchmarks.tuning.floors import STRENGTH
from benchmarks.tuning.table import default_of, spaces
from regularizers.search import Value

FLOOR = "floor: "
Fields = dict[str, Any]


class Plan:
    """What a `[tuning]` table asks for, on a model of so many layers.

    about: strategy -> the fields of a trial that depend on it. rows: name in the tables -> what is tuned (a family, or
    the name of a floor), and how many times the steps of its draws are trained.
    """

    def __init__(self, tuning: Tuning, layers: int, about: Callable[[str], Fields]) -> None:
        self.tuning, self.layers, self.about = tuning, layers, about
        self.shared, self.default = spaces(tuning), default_of(tuning)
        self.rows: dict[str, tuple[Family | str, int]] = {text: (read_family(text), 1) for text in tuning.families}
        self.rows |= {name: (read_family("none"), times) for name, times in tuning.controls.items()}
        self.rows |= {FLOOR + name: (name, 1) for name in tuning.floors}
        self.draws = functools.cache(self._draws)
        self.protocol = functools.cache(_replaced)
        self.axes = functools.cache(self._axes)

    def trials(self, restart: Fields, holdout_hash: str) -> Iterator[Fields]:
        """The fields of all trials of one restart, whose own fields are given: of each row the default first."""
        base = restart["protocol"]
        whole: Fields = {"holdout": None, "holdout_hash": None}
        held: Fields = {"holdout": float(self.tuning.holdout), "holdout_hash": holdout_hash}
        for name, (_, times) in self.rows.items():
            place: Fields = {"family": name, "axes": self.axes(name, base), "times": times}
            draws = self.draws(name, restart["restart"], base)
            for number, fitted in [(0, whole), *((number, held) for number in range(len(draws)))]:
                yield restart | draws[number] | {"tuning": Tuned(**place, draw=number, **fitted)}

    def _draws(self, row: str, restart: int, base: Protocol) -> list[Fields]:
        """The fields of a trial that each draw sets, from the protocol of all."""
        times = self.rows[row][1]
        return [
            own | {"protocol": self.protocol(base, tuple(values.items()), times)}
            for own, values in self._values(row, restart)
        ]

    def _values(self, row: str, restart: int) -> list[tuple[Fields, Mapping[str, Value]]]:
        """The fields of a trial and of its protocol that each draw sets; of a floor the strength, as an axis of its own
        that begins at the library's default."""
        tuned, _ = self.rows[row]
        if isinstance(tuned, str):
            column = [point[len(self.shared)] for point in points(restart, self.tuning.budget - 1)]
            strengths = [STRENGTH.paper, *(STRENGTH.at(float(u)) for u in column)]
            return [(self.about("none") | {"floor": {"name": tuned, "c": c}}, self.default) for c in strengths]
        first = 0 if self.tuning.same_draws else restart
        ranges: dict[str, Any] = {"shared": self.shared, "default": self.default, "layers": self.layers}
        draws = make_draws(tuned, self.tuning.budget, restart=first, **ranges)
        return [(self.about(draw.strategy), draw.shared) for draw in draws]

    def _axes(self, row: str, protocol: Protocol) -> Mapping[str, str]:
        """What is searched where, and the value of draw 0."""
        tuned, base = self.rows[row][0], _replaced(protocol, tuple(self.default.items()))
        shared = {key: f"{space}; default {getattr(base, key)}" for key, space in self.shared.items()}
        if isinstance(tuned, str):
            return shared | {"c": f"{STRENGTH}; default {STRENGTH.paper:g}"}
        return shared | {axis.label: f"{axis.space}; default {axis.first}" for axis in tuned.axes(self.layers)}


def first_strategies(tuning: Tuning | None) -> dict[str, str]:
    """{family: its strategy of draw 0}: what stands for it where its terms are explained."""
    if tuning is None:
        return {}
    return {text: read_family(text).first_strategy() for text in tuning.families} | dict.fromkeys(
        tuning.controls, "none"
    )


def _replaced(protocol: Protocol, values: tuple[tuple[str, Any], ...], times: int = 1) -> Protocol:
    """The protocol with the values of a draw, and so many times its steps; its epochs, where they set the length."""
    drawn = dataclasses.replace(protocol, **dict(values))
    length = "steps" if drawn.steps else "epochs"
    return drawn if times == 1 else dataclasses.replace(drawn, **{length: times * getattr(drawn, length)})
