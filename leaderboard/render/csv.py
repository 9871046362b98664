"""The content of `leaderboard.csv`: one line per model, protocol, task, fraction and strategy."""

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from fisher.common.text import escape
from leaderboard.records.identity import canonical
from leaderboard.stats.rounding import rounded
from leaderboard.tables import ensembles
from leaderboard.tables.cells import Cell
from leaderboard.tables.names import is_synthetic
from leaderboard.tables.rows import Row
from leaderboard.tables.sections import Section
from leaderboard.tables.trials import short

COMPARED = {"difference": "difference", "difference_low": "low", "difference_high": "high"}
COMPARED |= {name: name for name in ("improvement", "smallest_p", "p", "p_holm", "failures_p", "failures_p_holm")}
COST_COLUMNS = ("seconds", "relative_seconds", "peak_memory")


def csv(sections: Iterable[Section], *, without_cost: bool = False) -> str:
    """Return `leaderboard.csv`: scores as fractions, shortest floats that read back equal, empty where undefined."""
    return to_frame(sections, without_cost=without_cost).to_csv(index=False, lineterminator="\n")


def to_frame(parts: Iterable[Section], *, without_cost: bool = False) -> pd.DataFrame:
    """Return one line per model, protocol, task, fraction and strategy: the content of `leaderboard.csv`.

    Scores are fractions, `seconds` medians over restarts, `peak_memory` bytes. Tuned families have a line per `rule`:
    `default` (they are not tuned), `holdout` (chosen from `budget` configurations), `ensemble` (the best of these
    together; the strategy is called `ensemble(none, 5)` there), `oracle` (chosen by dev, which nobody can do).
    """
    ruled = [one for section in parts for one in (section, *section.others.values())]
    lines = [_csv_line(section, cell, row) for section in ruled for cell in section.cells for row in cell.rows]
    frame = pd.DataFrame(lines).astype({"tier": "Int64", "budget": "Int64"})
    return frame.drop(columns=list(COST_COLUMNS)) if without_cost else frame


def _csv_line(section: Section, cell: Cell, row: Row) -> dict[str, Any]:
    return {
        "model": escape(section.model),
        "task": escape(cell.task),
        "fraction": cell.fraction,
        "strategy": escape(_strategy(section, row)),
        **{key: getattr(row, key) for key in ("restarts", "mean", "std", "max", "failed", "failed_plain")},
        **{key: getattr(row, key) for key in ("failure_rate", "failure_low", "failure_high", "mean_not_failed")},
        **{
            key: getattr(row, key)
            for key in ("expected", "missing", "errors", "skipped", "imputed", "complete", "ranked")
        },
        **_uncertainty(row),
        "metric": escape(cell.metric),
        "synthetic": is_synthetic(cell.task),
        "protocol": escape(str(section.protocol["name"])),
        "protocol_hash": short(canonical(section.protocol)),
        "selection": escape(section.protocol["selection"]),
        "precision": escape(section.protocol["precision"]),
        "weights": escape(section.weights[:12]),
        "data": escape(cell.data[:12]),
        "baseline": escape(section.baseline or ""),
        "rule": section.rule,
        "budget": section.budget or None,
        "size": cell.size,
        **{key: getattr(row, key) for key in ("fit", "fitted", "gap", "ece", "brier", "nll", "passes", "forgetting")},
        **{key: getattr(row, key) for key in COST_COLUMNS},
    }


def _strategy(section: Section, row: Row) -> str:
    return ensembles.name(row.strategy, section.budget) if section.rule == "ensemble" else row.strategy


def _uncertainty(row: Row) -> dict[str, Any]:
    """Return intervals and tests, undefined where nothing was compared."""
    numbers = {key: rounded(getattr(row, key)) for key in ("mean_low", "mean_high", "iqm")}
    for name, field in COMPARED.items():
        numbers[name] = getattr(row.comparison, field, math.nan)
    return {**numbers, "units": row.units, "tier": row.tier, "same_as": escape(row.same_as or "")}
