"""Where a tuner looks for a technique's hyperparameters: a range with its scale, declared by the technique itself.

    search = {"p": Linear(0.1, 0.9, paper=0.7)}

Every range maps a number u in [0, 1) to a value, so that one low-discrepancy sequence of fixed dimension can draw
configurations of all techniques. What is not declared is not searched and keeps the value that the strategy gives it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from fisher.common.errors import require

Value = float | int | str | bool


@dataclass(frozen=True)
class Search:
    """One searched hyperparameter.

    Args:
        paper: the value of the technique's paper; without one the class's own default is meant.
        replaces: the shared axis that has no effect next to this one, such as `lr` for a learning rate of its own.
    """

    paper: Value | None = field(default=None, kw_only=True)
    replaces: str = field(default="", kw_only=True)

    def at(self, u: float) -> Value:
        """The value at u in [0, 1)."""
        raise NotImplementedError

    def ends(self) -> tuple[Value, Value]:
        """The first and the last value."""
        raise NotImplementedError

    def within(self, layers: int) -> Search:
        """The range for a model of so many layers."""
        return self

    def contains(self, value: Value) -> bool:
        """Whether a value lies in the range."""
        low, high = self.ends()
        return low <= value <= high  # type: ignore[operator]


@dataclass(frozen=True)
class Linear(Search):
    """Every value from `low` to `high` is as likely."""

    low: float
    high: float

    def __post_init__(self) -> None:
        rises = self.low <= self.high and math.isfinite(self.high - self.low)
        require(rises, "a range must rise from a finite low to a finite high", f"{self.low} to {self.high}")

    def at(self, u: float) -> float:
        """The value at u in [0, 1), to three digits."""
        return _rounded(self.low + u * (self.high - self.low))

    def ends(self) -> tuple[float, float]:
        """Low and high."""
        return self.low, self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}, linear"


@dataclass(frozen=True)
class Log(Linear):
    """Every order of magnitude from `low` > 0 to `high` is as likely."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.low > 0, "a logarithmic range must begin above 0", f"{self.low:g}", "take Linear")

    def at(self, u: float) -> float:
        """The value at u in [0, 1), to three digits."""
        return _rounded(self.low * (self.high / self.low) ** u)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}, log"


@dataclass(frozen=True)
class Whole(Linear):
    """Every whole number from `low` to `high`, both included, is as likely."""

    low: int
    high: int

    def at(self, u: float) -> int:
        """The value at u in [0, 1)."""
        return self.low + int(u * (self.high - self.low + 1))

    def __str__(self) -> str:
        return f"{self.low} to {self.high}, whole numbers"


@dataclass(frozen=True)
class Layers(Whole):
    """A number of layers: whole numbers from `low` to `high`, and never more layers than the model has."""

    def within(self, layers: int) -> Layers:
        """The range for a model of so many layers."""
        high = max(self.low, min(self.high, layers))
        return dataclasses.replace(self, high=high)

    def __str__(self) -> str:
        return f"{self.low} to {self.high} layers, at most the model's"


@dataclass(frozen=True)
class Choice(Search):
    """Every one of the `values` is as likely."""

    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        require(len(self.values) >= 2, "a choice must have at least two values", self.values)

    def at(self, u: float) -> Value:
        """The value at u in [0, 1)."""
        return self.values[int(u * len(self.values))]

    def ends(self) -> tuple[Value, Value]:
        """The first and the last value."""
        return self.values[0], self.values[-1]

    def contains(self, value: Value) -> bool:
        """Whether a value is one of the choices."""
        return value in self.values

    def __str__(self) -> str:
        return "one of " + ", ".join(str(value) for value in self.values)


def require_search(name: str, search: Mapping[str, Any], fields: Set[str]) -> None:
    """Raise InputError unless the `search` of the technique `name` maps hyperparameters to ranges."""
    for key, space in search.items():
        require(
            key in fields, f"search of {name} must name its hyperparameters ({', '.join(sorted(fields))})", f"{key!r}"
        )
        kinds = f"search of {name} must give Linear, Log, Whole, Layers or Choice for {key}"
        require(isinstance(space, Search), kinds, f"{space!r}")
        within = f"the paper's value of {key} of {name} must lie in its range ({space})"
        require(space.paper is None or space.contains(space.paper), within, space.paper)


def _rounded(value: float) -> float:
    """Three significant digits: what a strategy's text can carry without noise."""
    return float(f"{value:.3g}")
