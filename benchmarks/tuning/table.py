"""The `[tuning]` table of a suite: read, checked, and what it makes of a protocol."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.data.readers import typed
from benchmarks.data.splits import check_share
from benchmarks.planning.suite import Tuning
from benchmarks.trial.protocol import FIELDS, Protocol, check, read
from benchmarks.tuning.draws import MAX_BUDGET, check_dimension
from benchmarks.tuning.families import read_family
from benchmarks.tuning.floors import FLOORS
from fisher.common.errors import named, require, require_known
from regularizers.loop import Recipe
from regularizers.search import Choice, Linear, Log, Search, Value, Whole

TYPES = {field.name: str(field.type) for field in dataclasses.fields(Tuning)}
SEARCHABLE = ("batch_size", *(f.name for f in dataclasses.fields(Recipe) if f.name not in ("micro_batch", "evaluate")))
SCALES = ("linear", "log")
AROUND = 10.0  # without a suite's own axes the rate is searched from a tenth to ten times the protocol's


@dataclass(frozen=True)
class WholeLog(Log):
    """Whole numbers of which every order of magnitude is as likely."""

    def at(self, u: float) -> int:
        """The value at u in [0, 1)."""
        return round(super().at(u))

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}, whole numbers, log"


def read_tuning(table: Mapping[str, Any]) -> Tuning:
    """The table as it stands in a suite, families in their canonical spelling. Raises InputError."""
    require_known("key of tuning", table, TYPES)
    values = {key: typed(f"tuning.{key}", TYPES[key], value) for key, value in table.items()}
    families = tuple(dict.fromkeys(str(read_family(text)) for text in values["families"]))
    return Tuning(**{**values, "families": families})


def check_tuning(tuning: Tuning, protocol: Protocol) -> None:
    """Raise InputError unless every family can be tuned as the table says."""
    must = f"tuning.budget must be a whole number in 1..{MAX_BUDGET}"
    require(1 <= tuning.budget <= MAX_BUDGET, must, tuning.budget)
    check_share(tuning.holdout)
    require(tuning.families, "tuning.families must name at least one", "none")
    require_known("floor", tuning.floors, FLOORS)
    require(protocol.selection == "last", "tuning must go with selection=last: dev never chooses", protocol.selection)
    shared = spaces(tuning)
    default_of(tuning)
    for text in tuning.families:
        family = read_family(text)
        check_dimension(family, shared, len(family.axes()))


def default_of(tuning: Tuning) -> dict[str, Value]:
    """Protocol fields of draw 0, each of its type. Raises InputError for a field that has no place there."""
    require_known("field in tuning.default", tuning.default, SEARCHABLE)
    return {key: _value(key, value) for key, value in tuning.default.items()}


def spaces(tuning: Tuning) -> dict[str, Search]:
    """Protocol field -> range of the shared axes, by name: their order in a file decides nothing.

    Raises InputError for a range that is none.
    """
    require_known("field in tuning.shared", tuning.shared, SEARCHABLE)
    found = {}
    for key, value in sorted(tuning.shared.items()):
        with named(f"tuning.shared.{key}"):
            found[key] = _space(key, value)
    return found


def around(protocol: Protocol) -> dict[str, Any]:
    """The shared axes of a request without axes of its own: the learning rate around the protocol's."""
    low, high = (float(f"{protocol.lr * factor:.3g}") for factor in (1 / AROUND, AROUND))
    return {"lr": {"low": low, "high": high, "scale": "log"}}


def _space(key: str, value: Any) -> Search:
    if isinstance(value, list):
        return Choice(tuple(_value(key, item) for item in value))
    require(
        isinstance(value, dict) and {"low", "high"} <= value.keys() <= {"low", "high", "scale"},
        "an axis must be a list of values or {low, high, scale}",
        repr(value),
    )
    scale = value.get("scale", "linear")
    require(scale in SCALES, f"scale must be one of {', '.join(SCALES)}", repr(scale))
    low, high = _value(key, value["low"]), _value(key, value["high"])
    whole = FIELDS[key].type == "int"
    kinds = {"linear": Whole if whole else Linear, "log": WholeLog if whole else Log}
    return kinds[scale](low, high)


def _value(key: str, value: Any) -> Any:
    return check(key, read(key, value))
