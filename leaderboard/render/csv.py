"""The content of `leaderboard.csv`: one line per model, protocol, task, fraction and strategy."""

import csv as files
import io
import math
from collections.abc import Iterable
from typing import Any

from fisher.common.text import escape
from leaderboard.records.identity import canonical
from leaderboard.stats.rounding import rounded
from leaderboard.tables import ensembles
from leaderboard.tables.cells import Cell
from leaderboard.tables.names import is_synthetic
from leaderboard.tables.rows import Row
from leaderboard.tables.sections import Section
from leaderboard.tables.trials import short

COMPARED = {
    "difference": "difference",
    "difference_low": "low",
    "difference_high": "high",
    **{name: name for name in ("improvement", "smallest_p", "p", "p_holm", "failures_p", "failures_p_holm")},
}
COST_COLUMNS = ("seconds", "relative_seconds", "peak_memory")


def csv(sections: Iterable[Section], *, without_cost: bool = False) -> str:
    """Return `leaderboard.csv`: scores as fractions, shortest floats that read back equal, empty where undefined."""
    made = lines(sections, without_cost=without_cost)
    text = io.StringIO()
    writer = files.DictWriter(text, made[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if value != value else value for key, value in line.items()} for line in made)  # NaN
    return text.getvalue()


def lines(parts: Iterable[Section], *, without_cost: bool = False) -> list[dict[str, Any]]:
    """Return one line per model, protocol, task, fraction and strategy: the content of `leaderboard.csv`.

    Scores are fractions, `seconds` medians over restarts, `peak_memory` bytes. Tuned families have a line per `rule`:
    `default` (they are not tuned), `holdout` (chosen from `budget` configurations), `ensemble` (the best of these
    together; the strategy is called `ensemble(none, 5)` there), `oracle` (chosen by dev, which nobody can do). Where
    restarts share a split there is `seeds`, tuned or not: what they predict together, `ensemble(none, 3 seeds)`, whose
    `restarts` are splits.
    """
    ruled = [one for section in parts for one in (section, *section.others.values())]
    left_out = COST_COLUMNS if without_cost else ()
    made = (_line(section, cell, row) for section in ruled for cell in section.cells for row in cell.rows)
    return [{key: value for key, value in line.items() if key not in left_out} for line in made]


def _line(section: Section, cell: Cell, row: Row) -> dict[str, Any]:
    return {
        "model": escape(section.model),
        "task": escape(cell.task),
        "fraction": cell.fraction,
        "strategy": escape(ensembles.name(section.rule, row)),
        **{key: getattr(row, key) for key in ("restarts", "mean", "std", "max", "failed", "failed_plain")},
        **{key: getattr(row, key) for key in ("failure_rate", "failure_low", "failure_high", "mean_not_failed")},
        **{
            key: getattr(row, key)
            for key in ("expected", "missing", "errors", "skipped", "imputed", "complete", "ranked")
        },
        **{key: rounded(getattr(row, key)) for key in ("mean_low", "mean_high", "iqm")},
        **{name: getattr(row.comparison, field, math.nan) for name, field in COMPARED.items()},
        **{"units": row.units, "tier": row.tier, "same_as": escape(row.same_as or "")},
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
