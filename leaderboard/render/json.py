"""`leaderboard.json`: everything that the tables and pages show, for programs; docs/leaderboard-json.md has the schema.

Scores are fractions, times seconds, memory bytes; null is undefined. Derived numbers are rounded to `DIGITS` digits, so
that the same records give the same bytes on every machine. Texts of records stand as they are: whoever shows them
escapes them.
"""

import functools
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from leaderboard.render.csv import COST_COLUMNS, DIGITS
from leaderboard.stats.ranking import Ranking
from leaderboard.stats.resampling import CONFIDENCE, RESAMPLES
from leaderboard.stats.significance import ALPHA, MINIMUM
from leaderboard.tables.cells import Cell, Row, is_synthetic
from leaderboard.tables.matches import Direction, Meeting, Pair, meetings
from leaderboard.tables.sections import Section
from leaderboard.tables.trials import Line

SCHEMA = 2

_TRIAL = ("id", "restart", "split_seed", "split", "status", "reason", "score", "floor", "failed", "failed_by")
_MORE = ("failed_plain", "imputed", "collapsed", "deviation", "seconds", "peak_memory")
_NOT_IN_ROW = ("trials", "comparison", "notes")


def document(sections: Sequence[Section], *, without_cost: bool = False, problems: int = 0) -> dict[str, Any]:
    """Return the content of `leaderboard.json` as plain JSON values."""
    content = {
        "schema": SCHEMA,
        "confidence": CONFIDENCE,
        "resamples": RESAMPLES,
        "alpha": ALPHA,
        "minimum_restarts": MINIMUM,
        "problems": problems,
        "sections": [_section(section) for section in sections],
    }
    return _plain(content, COST_COLUMNS if without_cost else ())


def text(content: Mapping[str, Any]) -> str:
    """Return `leaderboard.json` from its content: ASCII, one value a line, as `json.dumps` with `indent=1`."""
    return _indented(content, "\n") + "\n"


def _indented(value: Any, start: str) -> str:
    """Return JSON whose lines begin with `start`; what holds no further object or list is one call of the encoder."""
    if not isinstance(value, (dict, list)) or not value:
        return json.dumps(value, allow_nan=False)
    inner = start + " "
    if not any(isinstance(item, (dict, list)) for item in (value.values() if isinstance(value, dict) else value)):
        flat = _encoder("," + inner)(value)
        return f"{flat[0]}{inner}{flat[1:-1]}{start}{flat[-1]}"
    if isinstance(value, list):
        return f"[{inner}{(',' + inner).join(_indented(item, inner) for item in value)}{start}]"
    items = (f"{json.dumps(key)}: {_indented(item, inner)}" for key, item in value.items())
    return f"{{{inner}{(',' + inner).join(items)}{start}}}"


@functools.cache
def _encoder(separator: str) -> Callable[[Any], str]:
    return json.JSONEncoder(allow_nan=False, separators=(separator, ": ")).encode


def _plain(value: Any, left_out: Sequence[str]) -> Any:
    """Round floats, write NaN as null, and leave out the cost columns where they are not wanted."""
    if isinstance(value, float):
        return round(value, DIGITS) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(item, left_out) for key, item in value.items() if key not in left_out}
    if isinstance(value, (list, tuple)):
        return [_plain(item, left_out) for item in value]
    return value


def _section(section: Section) -> dict[str, Any]:
    return {
        "title": section.title,
        "model": section.model,
        "weights": section.weights,
        "protocol": dict(section.protocol),
        "differs": dict(section.differs),
        "versions": dict(section.versions),
        "baseline": section.baseline,
        "splits": section.splits,
        "strategies": _strategies(section.cells),
        "ranking": _ranking(section.ranking, len(section.cells)),
        "curves": [asdict(curve) for curve in section.curves],
        "cells": [_cell(cell) for cell in section.cells],
        "published": [_meeting(found) for found in meetings(section)],
    }


def _meeting(found: Meeting) -> dict[str, Any]:
    directions = {id(direction.pair): direction for direction in found.directions}
    return {
        "name": found.reference.name,
        "citation": found.reference.citation,
        "about": found.reference.about,
        "differences": list(found.differences),
        "first": found.reference.first,
        "figures": len(found.reference.figures),
        "absent": found.absent,
        "summary": found.summary,
        "pairs": [_pair(pair, directions.get(id(pair))) for pair in found.pairs],
    }


def _pair(pair: Pair, direction: Direction | None) -> dict[str, Any]:
    cell, own = pair.cell, ("strategy", "restarts", "expected", "mean", "max", "failed")
    told = direction and {
        **{key: getattr(direction, key) for key in ("measure", "published", "ours", "low", "high", "restarts")},
        **{key: getattr(direction, key) for key in ("verdict", "clear")},
    }
    return {
        **{key: getattr(cell, key) for key in ("task", "metric", "data", "fraction")},
        **{key: getattr(pair.row, key) for key in own},
        "published_mean": pair.figure.mean,
        "published_max": pair.figure.max,
        **dict(zip(("gap", "gap_low", "gap_high"), pair.gap, strict=True)),
        "direction": told,
    }


def _strategies(cells: Iterable[Cell]) -> list[dict[str, Any]]:
    """Return what the records say of each strategy, from its first trial that touched modules, if any did."""
    found: dict[str, dict[str, Any]] = {}
    for cell in cells:
        for row in cell.rows:
            for text in dict.fromkeys(line["about"] for line in row.trials):
                about = json.loads(text)
                if row.strategy not in found or (about["touched"] and not found[row.strategy]["touched"]):
                    found[row.strategy] = {"label": row.strategy} | about
    return [found[name] for name in sorted(found)]


def _ranking(ranking: Ranking, cells: int) -> dict[str, Any]:
    return {
        "cells": cells,
        "tasks": ranking.tasks,
        "restarts": ranking.restarts,
        "critical_difference": ranking.critical_difference,
        "groups": ranking.groups,
        "groups_test": ranking.groups_test,
        "places": [asdict(place) for place in ranking.places],
        "beside": [asdict(place) for place in ranking.beside],
        "unranked": [{"strategy": strategy, "reason": reason} for strategy, reason in ranking.unranked],
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "task": cell.task,
        "metric": cell.metric,
        "data": cell.data,
        "fraction": cell.fraction,
        "synthetic": is_synthetic(cell.task),
        "rows": [_row(row) for row in cell.rows],
    }


def _row(row: Row) -> dict[str, Any]:
    own = {field.name: getattr(row, field.name) for field in fields(row) if field.name not in _NOT_IN_ROW}
    made = row.comparison
    own |= {
        "complete": row.complete,
        "short": row.short,
        "ranked": row.ranked,
        "failure_rate": row.failure_rate,
        "notes": list(row.notes),
    }
    own["comparison"] = None if made is None else asdict(made) | {"too_few": made.too_few}
    return own | {"trials": [_trial(line) for line in row.trials]}


def _trial(line: Line) -> dict[str, Any]:
    kept = {key: line[key] for key in (*_TRIAL, *_MORE)} | {"failed_by": line["failed_by"] or None}
    return kept if math.isfinite(line["score"]) else kept | {"failed": None, "failed_plain": None}
