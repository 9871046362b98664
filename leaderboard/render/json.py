"""`leaderboard.json`: everything that the tables and pages show, for programs; docs/leaderboard-json.md has the schema.

Scores are fractions, times seconds, memory bytes; null is undefined. Derived numbers are rounded once, as every table
shows them, so that the same records give the same bytes on every machine. Texts of records stand as they are: whoever
shows them escapes them.
"""

import functools
import json
import math
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from leaderboard.records.identity import dump
from leaderboard.render import summary
from leaderboard.render import wording as words
from leaderboard.render.csv import COMPARED, COST_COLUMNS
from leaderboard.render.glossary import glossary
from leaderboard.render.verdict import verdict
from leaderboard.stats.intervals import CONFIDENCE, RESAMPLES
from leaderboard.stats.rounding import rounded
from leaderboard.stats.significance import ALPHA, MINIMUM, POWER
from leaderboard.tables import ensembles
from leaderboard.tables.cells import PLACE, Cell
from leaderboard.tables.choices import Choice
from leaderboard.tables.curves import curves
from leaderboard.tables.matches import Match, PublishedTable, published_tables
from leaderboard.tables.names import is_synthetic, measure
from leaderboard.tables.ranking import RankedStrategy
from leaderboard.tables.rows import Row
from leaderboard.tables.sections import Section
from leaderboard.tables.trials import TrialRow

SCHEMA = 4

_TRIAL = (
    *("id", "restart", "split_seed", "split", "status", "reason", "score", "floor", "failed", "failed_by"),
    *("failed_plain", "imputed", "collapsed", "deviation", "seconds", "peak_memory"),
)
_NOT_IN_ROW = ("trials", "comparison", "notes")
_COMPARISON = ("restarts", "units", "wins", "losses", "low", "high", *COMPARED.values(), "too_few", "significant")
_PAIRS = ("restarts", "units", "difference", "low", "high", "wins", "losses", "p", "p_holm")


def document(sections: Sequence[Section], *, without_cost: bool = False, problems: int = 0) -> dict[str, Any]:
    """Return the content of `leaderboard.json` as plain JSON values."""
    content = {
        "schema": SCHEMA,
        "confidence": CONFIDENCE,
        "resamples": RESAMPLES,
        "alpha": ALPHA,
        "power": POWER,
        "minimum_units": MINIMUM,
        "wording": glossary(
            without_cost=without_cost,
            tuned=any(section.budget for section in sections),
            seeds=any("seeds" in section.others for section in sections),
        ),
        "problems": problems,
        "notes": list(words.general_notes(sections, problems)),
        "sections": [_section(section, without_cost) for section in sections],
    }
    return plain(content, (*COST_COLUMNS, "commit") if without_cost else ())


def text(content: Mapping[str, Any]) -> str:
    """Return `leaderboard.json` from its content: ASCII, a line per value, but one for a list of plain values."""
    return _indented(content, "\n") + "\n"


def _indented(value: Any, start: str) -> str:
    """Return JSON whose lines begin with `start`; what holds no further object or list is one call of the encoder."""
    inner = start + " "
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    deep = any(isinstance(item, (dict, list)) for item in items)
    if not items or (not deep and isinstance(value, list)):
        return _encoder(",")(value)
    if not deep:
        flat = _encoder("," + inner)(value)
        return f"{{{inner}{flat[1:-1]}{start}}}"
    if isinstance(value, list):
        return f"[{inner}{(',' + inner).join(_indented(item, inner) for item in value)}{start}]"
    entries = (f"{json.dumps(key)}: {_indented(item, inner)}" for key, item in value.items())
    return f"{{{inner}{(',' + inner).join(entries)}{start}}}"


@functools.cache
def _encoder(separator: str) -> Callable[[Any], str]:
    return json.JSONEncoder(allow_nan=False, separators=(separator, ": ")).encode


def plain(value: Any, left_out: Container[str]) -> Any:
    """Round floats, write NaN as null, and leave out the keys that are not wanted."""
    if isinstance(value, float):
        return rounded(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: plain(item, left_out) for key, item in value.items() if key not in left_out}
    if isinstance(value, (list, tuple)):
        return [plain(item, left_out) for item in value]
    return value


def _section(section: Section, without_cost: bool) -> dict[str, Any]:
    return {
        "title": section.title,
        "heading": section.heading,
        "model": section.model,
        "weights": section.weights,
        "protocol": dict(section.protocol),
        "differs": dict(section.differs),
        "versions": dict(section.versions),
        "environment": dict(section.environment),
        "baseline": section.baseline,
        "splits": section.splits,
        "facts": words.facts(section),
        "verdict": verdict(section, "plain", without_cost),
        "notes": summary.notes(section, "plain"),
        "learned": any(cell.learned for cell in section.cells),
        "strategies": _strategies(section.cells),
        "ranking": _ranking(section),
        "curves": curves(section.cells, section.baseline),
        "cells": [_cell(section, cell) for cell in section.cells],
        "rule": section.rule,
        "budget": section.budget,
        "tuning": [_choice(cell, choice) for cell, choice in section.choices],
        "published": [_published(found) for found in published_tables(section)],
        **({"seeds": _seeds(section.others["seeds"])} if "seeds" in section.others else {}),
    }


def _choice(cell: Cell, choice: Choice) -> dict[str, Any]:
    """Return how a family of a cell was tuned: the budget curve, and what was chosen in each restart."""
    row = cell.row(choice.strategy)
    chosen = [trial for trial in (row.trials if row else ()) if trial.configurations]
    keys = ("id", "restart", "draw", "held_out", "score")
    return {
        **{key: getattr(cell, key) for key in PLACE},
        **asdict(choice),
        "chosen": [{**{key: getattr(trial, key) for key in keys}, **trial.config} for trial in chosen],
        "configurations": [[[one.held_out, one.score] for one in trial.configurations] for trial in chosen],
    }


def _seeds(section: Section) -> list[dict[str, Any]]:
    """Return what the restarts of a split predict together, per cell and strategy."""
    return [
        {
            **{key: getattr(cell, key) for key in PLACE},
            "strategy": row.strategy,
            "name": ensembles.name(section.rule, row),
            "splits": row.restarts,
            "mean": row.mean,
        }
        for cell in section.cells
        for row in cell.rows
    ]


def _published(found: PublishedTable) -> dict[str, Any]:
    return {
        "name": found.reference.name,
        "citation": found.reference.citation,
        "about": found.reference.about,
        "differences": list(found.differences),
        "first": found.reference.first,
        "figures": len(found.reference.figures),
        "absent": found.absent,
        "summary": found.summary,
        "matches": [_match(match) for match in found.matches],
    }


def _match(match: Match) -> dict[str, Any]:
    cell, own = match.cell, ("strategy", "restarts", "expected", "mean", "max", "failed")
    told = ("measure", "published", "ours", "low", "high", "restarts", "units", "verdict", "significant")
    return {
        **{key: getattr(cell, key) for key in ("task", "metric", "data", "fraction")},
        **{key: getattr(match.row, key) for key in own},
        "published_mean": match.figure.mean,
        "published_max": match.figure.max,
        **dict(zip(("gap", "gap_low", "gap_high"), match.gap, strict=True)),
        "direction": match.direction and {key: getattr(match.direction, key) for key in told},
    }


def _strategies(cells: Iterable[Cell]) -> list[dict[str, Any]]:
    """Return what the records say of each strategy, from its first trial that touched modules, if any did."""
    rows = [row for cell in cells for row in cell.rows]
    told = dict.fromkeys((row.strategy, dump(trial.about)) for row in rows for trial in row.trials)
    abouts = [{"label": name} | json.loads(text) for name, text in told]
    touched_last = sorted(reversed(abouts), key=lambda about: bool(about["touched"]))
    found = {about["label"]: about for about in touched_last}  # the last one stays
    return [found[name] for name in sorted(found)]


def _ranked(entry: RankedStrategy, section: Section) -> dict[str, Any]:
    without = section.untuned.get(entry.strategy)
    kept = without and {"mean_rank": without.mean_rank, "pooled": asdict(without.pooled)}
    return asdict(entry) | {"place": section.ranking.place(entry), "untuned": kept}


def _ranking(section: Section) -> dict[str, Any]:
    ranking = section.ranking
    own = ("cells", "tasks", "units", "critical_difference", "groups", "groups_test", "reference")
    return {
        **{key: getattr(ranking, key) for key in own},
        "reading": words.reading(ranking),
        "names": [words.short_name(section.baseline), words.short_name(ranking.reference)],
        "strategies": [_ranked(entry, section) for entry in ranking.strategies],
        "short": [_ranked(entry, section) for entry in ranking.short],
        "unranked": [{"strategy": strategy, "reason": reason} for strategy, reason in ranking.unranked],
    }


def _cell(section: Section, cell: Cell) -> dict[str, Any]:
    return {
        "task": cell.task,
        "title": words.task_name(section, cell),
        "metric": cell.metric,
        "measure": measure(cell.metric),
        "data": cell.data,
        "fraction": cell.fraction,
        "size": cell.size,
        "amount": cell.amount,
        "synthetic": is_synthetic(cell.task),
        "learned": cell.learned,
        "undertrained": cell.undertrained,
        "runs": cell.runs,
        "tests": len(cell.tested),
        "detectable": cell.detectable,
        "reach": words.reach(cell),
        "rows": [_row(row) for row in cell.rows],
        "pairs": {  # columns, which hold a number per pair
            "a": [a for a, _ in cell.pairs],
            "b": [b for _, b in cell.pairs],
            **{key: [getattr(found, key) for found in cell.pairs.values()] for key in _PAIRS},
        },
    }


def _row(row: Row) -> dict[str, Any]:
    own = {field.name: getattr(row, field.name) for field in fields(row) if field.name not in _NOT_IN_ROW}
    derived = {key: getattr(row, key) for key in ("complete", "short", "full", "ranked", "failure_rate")}
    return {
        **own,
        **derived,
        "notes": list(row.notes),
        "comparison": row.comparison and {key: getattr(row.comparison, key) for key in _COMPARISON},
        "trials": [_trial(trial) for trial in row.trials],
    }


def _trial(trial: TrialRow) -> dict[str, Any]:
    kept = {key: getattr(trial, key) for key in _TRIAL} | {"failed_by": trial.failed_by or None}
    return kept if trial.has_result else kept | {"failed": None, "failed_plain": None}
