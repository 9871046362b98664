"""Published figures to compare with: what the papers print, and the protocol behind it as far as they state it.

`published_results.csv` holds the figures (x 100, one line per strategy and task), `published.toml` their sources.
"""

import csv
import functools
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fisher.common.errors import require_known

FIGURES = Path(__file__).with_name("published_results.csv")
SOURCES = Path(__file__).with_name("published.toml")


@dataclass(frozen=True)
class Figure:
    """One published cell of a table; mean and max are fractions, NaN where they are not printed.

    restarts: None where not stated; split: what the figure was scored on; failed: runs, as printed; note: what else
    must be known.
    """

    model: str
    strategy: str
    task: str
    fraction: float
    split: str
    metric: str
    restarts: int | None
    mean: float
    max: float
    failed: str
    note: str


@dataclass(frozen=True)
class Reference:
    """The figures of one published table, in its order, and where they come from."""

    name: str
    citation: str
    about: str
    protocol: Mapping[str, Any]
    unstated: tuple[str, ...]
    figures: tuple[Figure, ...]

    @property
    def first(self) -> str:
        """Return the strategy of the first line, which the others are compared with."""
        return self.figures[0].strategy

    @property
    def fractions(self) -> tuple[float, ...]:
        """Return the shares of the training data that the table has, the largest first."""
        return tuple(sorted({figure.fraction for figure in self.figures}, reverse=True))


def references() -> list[Reference]:
    """Return every published table, in the order of the file."""
    sources, tables = _shipped()
    return [_reference(name, tables[name], sources) for name in tables]


def load_reference(name: str) -> Reference:
    """Return the figures that a suite reproduces, by the suite's name. Raises InputError where none are published."""
    sources, tables = _shipped()
    require_known("published table", [name], sorted([*tables, *sources["same"]]))
    return _reference(name, tables[sources["same"].get(name, name)], sources)


@functools.cache
def _shipped() -> tuple[dict[str, Any], dict[str, list[dict[str, str]]]]:
    """Return the sources, and the lines of every table by its name."""
    tables: dict[str, list[dict[str, str]]] = {}
    with FIGURES.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            tables.setdefault(f"{line['source']}-{line['table']}".lower(), []).append(line)
    return tomllib.loads(SOURCES.read_text("utf-8")), tables


def _reference(name: str, lines: list[dict[str, str]], sources: Mapping[str, Any]) -> Reference:
    source = sources[lines[0]["source"]]
    about = (source["citation"], source["figures"], source["protocol"], tuple(source["unstated"]))
    return Reference(name, *about, tuple(map(_figure, lines)))


def _figure(line: dict[str, str]) -> Figure:
    return Figure(
        model=line["model"],
        strategy=line["strategy"],
        task=line["task"],
        fraction=float(line["fraction"]),
        split=line["split"],
        metric=line["metric"],
        restarts=int(line["restarts"]) if line["restarts"] else None,
        mean=_score(line["mean"]),
        max=_score(line["max"]),
        failed=line["failed"],
        note=line["note"],
    )


def _score(text: str) -> float:
    return float(text) / 100 if text else math.nan


def task_key(task: str) -> str:
    """Return what is left of a task's name when case, hyphens and the prefix of embedded stand-ins do not matter."""
    return re.sub(r"[-_\s]", "", task.lower().removeprefix("pocket-"))
