"""The content of `leaderboard.csv`: one line per model, protocol, task, fraction and strategy."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from leaderboard.cells import Cell, Row, is_synthetic
from leaderboard.records import canonical
from leaderboard.tables import Section
from leaderboard.text import escape
from leaderboard.trials import short

COST_COLUMNS = ("seconds", "relative_seconds", "peak_memory")


def to_frame(parts: Iterable[Section], *, without_cost: bool = False) -> pd.DataFrame:
    """Return one line per model, protocol, task, fraction and strategy: the content of `leaderboard.csv`.

    Scores are fractions, times seconds, `peak_memory` bytes.
    """
    lines = [_csv_line(section, cell, row) for section in parts for cell in section.cells for row in cell.rows]
    frame = pd.DataFrame(lines)
    return frame.drop(columns=list(COST_COLUMNS)) if without_cost else frame


def _csv_line(section: Section, cell: Cell, row: Row) -> dict[str, Any]:
    return {
        "model": escape(section.model),
        "task": escape(cell.task),
        "fraction": cell.fraction,
        "strategy": escape(row.strategy),
        **{key: getattr(row, key) for key in ("restarts", "mean", "std", "max", "failed", "failed_plain")},
        **{key: getattr(row, key) for key in ("failure_rate", "failure_low", "failure_high", "mean_not_failed")},
        **{key: getattr(row, key) for key in ("expected", "missing", "errors", "skipped", "imputed", "complete")},
        "metric": escape(cell.metric),
        "synthetic": is_synthetic(cell.task),
        "protocol": escape(str(section.protocol["name"])),
        "protocol_hash": short(canonical(section.protocol)),
        "selection": escape(section.protocol["selection"]),
        "precision": escape(section.protocol["precision"]),
        "weights": escape(section.weights[:12]),
        "data": escape(cell.data[:12]),
        "baseline": escape(section.baseline or ""),
        **{key: getattr(row, key) for key in COST_COLUMNS},
    }
