"""What must be known of a section besides the verdict: single findings, gaps, and the tables over all cells."""

import math
from collections.abc import Iterator, Sequence

from fisher.common.text import Style, escape
from leaderboard.render.text import fixed, points, quantity
from leaderboard.render.wording import (
    Columns,
    against,
    better,
    failed,
    nothing_learned,
    reach,
    short_name,
    table,
    task_name,
    winner,
    with_name,
)
from leaderboard.stats.comparison import Comparison
from leaderboard.tables.cells import Cell
from leaderboard.tables.ranking import RankedStrategy, Ranking
from leaderboard.tables.rows import Row
from leaderboard.tables.sections import Section

NO_BASELINE = "The baseline is not complete, so no strategy is compared with it over all cells."
SHOWN = 4  # names or findings in one sentence before it says how many more there are


def listed(names: Sequence[str]) -> str:
    """Return names separated by semicolons, the first few if there are many."""
    more = f"; and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return "; ".join(names[:SHOWN]) + more


def rank_bounds(entry: RankedStrategy) -> str:
    """Return the interval of a mean rank, where there is one."""
    return "" if math.isnan(entry.rank_low) else f" [{fixed(entry.rank_low, 2)}, {fixed(entry.rank_high, 2)}]"


# --- what else must be known ------------------------------------------------------------------------------------------


def notes(section: Section, style: Style, *, findings: bool = True) -> list[str]:
    """Return what must be known beyond the verdict: where it does not hold, what is one method, single findings.

    findings: whether single differences are named, which a table may mark.
    """
    entries = (*section.ranking.strategies, *section.ranking.short)
    outside = section.baseline not in [None, *(entry.strategy for entry in entries)]
    unlearned = [cell for cell in section.cells if not cell.learned]
    weak = [cell for cell in section.cells if cell.undertrained]
    at_unlearned, at_weak = (_places(section, cells, style) for cells in (unlearned, weak))
    said = [
        (0 < len(unlearned) < len(section.cells), f"{nothing_learned(unlearned)} At: {at_unlearned}."),
        (weak, f"Undertrained, so that means rank speed and are left out above: {at_weak}."),
        (outside and len(entries) > 1, NO_BASELINE),
        *((entry.same, _same(entry, style)) for entry in entries),
    ]
    told = [sentence for holds, sentence in said if holds]
    return [*told, *(_findings(section, style) if findings else ()), *unranked(section, style)]


def _same(entry: RankedStrategy, style: Style) -> str:
    """Say which strategies have the predictions of another in every cell."""
    names = "; ".join(escape(name, style) for name in entry.same)
    return f"Same predictions as {escape(entry.strategy, style)}, and ranked as it: {names}."


def _places(section: Section, cells: Sequence[Cell], style: Style) -> str:
    return "; ".join(f"{escape(task_name(section, cell), style)} {cell.amount}" for cell in cells)


def _findings(section: Section, style: Style) -> Iterator[str]:
    """Say which differences to the baseline are significant, and where none could be."""
    made = comparisons(section.cells)
    tested = [item for item in made if not item[2].too_few]
    significant = [item for item in tested if item[2].significant]
    significant.sort(key=lambda item: (item[2].difference < 0, item[2].p_holm))  # gains first: the list may be cut
    told = [finding(section, *item, style) for item in significant]
    if tested:
        few = f" ({len(made) - len(tested)} more had too few restarts)" if len(made) > len(tested) else ""
        count = f"{len(told)} of {len(tested)} comparisons tested{few}"
        yield f"Significantly different from the baseline: {count}" + (f": {listed(told)}." if told else ".")
    powerless = [cell for cell in section.cells if cell.tested and math.isnan(cell.detectable)]
    if powerless:
        yield reach(max(powerless, key=lambda cell: len(cell.tested)))


def comparisons(cells: Sequence[Cell]) -> list[tuple[Cell, Row, Comparison]]:
    """Return every row of these cells that is compared with the baseline."""
    return [(cell, row, row.comparison) for cell in cells for row in cell.rows if row.comparison is not None]


def finding(section: Section, cell: Cell, row: Row, found: Comparison, style: Style) -> str:
    """Name a strategy, the cell and its difference to the baseline."""
    return f"{escape(row.strategy, style)} at {_places(section, [cell], style)} ({points(found.difference, sign=True)})"


def unranked(section: Section, style: Style) -> Iterator[str]:
    """Say which strategies are not ranked, and why."""
    reasons: dict[str, list[str]] = {}
    for strategy, reason in section.ranking.unranked:
        reasons.setdefault(reason, []).append(escape(strategy, style))
    for reason, strategies in reasons.items():
        yield f"Not ranked: {'; '.join(strategies)} ({escape(reason, style)})"


def gaps(section: Section) -> Iterator[str]:
    """Say what is missing, ended in an error or was imputed, the first few places of many."""
    found = [
        f"{task_name(section, cell)} {cell.amount}, {row.strategy}: {note}"
        for cell in section.cells
        for row in cell.rows
        for note in row.notes
    ]
    yield from map(escape, found[:SHOWN])
    if len(found) > SHOWN:
        yield f"and {len(found) - SHOWN} more such lines, in leaderboard.md"


# --- tables over all cells --------------------------------------------------------------------------------------------


def best_per_cell(section: Section, without_cost: bool) -> str:
    """One line per cell, for a terminal: who is best, by how much, how often it failed, what it costs."""
    base = section.baseline is not None
    cost = base and not without_cost
    columns = (
        Columns(["task"], lambda cell, best: [escape(task_name(section, cell))], align="left"),
        Columns(["data"], lambda cell, best: [cell.amount]),
        Columns(["strategy with best mean"], lambda cell, best: [winner(cell)], align="left"),
        Columns(["mean"], lambda cell, best: [points(best.mean) if best else "-"]),
        Columns(
            ["failed (base)" if base else "failed"], lambda cell, best: [_failed(best, cell.row(section.baseline))]
        ),
        Columns(["vs base [95 %]", "p (Holm)"], lambda cell, best: against(best), shown=base),
        Columns(["time"], lambda cell, best: [quantity(best.relative_seconds, "x") if best else "-"], shown=cost),
    )
    return table(columns, [(cell, cell.best[0] if cell.best else None) for cell in section.cells], "plain")


def _failed(best: Row | None, base: Row | None) -> str:
    """Return the failed runs of a row, in brackets those of the baseline."""
    of_base = f" ({failed(base)})" if base and base.complete else ""
    return failed(best) + of_base if best else "-"


def ranking(section: Section, style: Style, without_cost: bool, *, brief: bool = False) -> str:
    """One line per strategy over all cells, ties as ties; those planned with fewer restarts come last, without a rank.

    A terminal is too narrow for the second reference and for the ranks without tuning; brief: shares have no intervals.
    """
    made, untuned, wide = section.ranking, section.untuned, style == "markdown"
    cost = section.baseline is not None and not without_cost
    columns = (
        Columns(["rank"], lambda entry: [made.place(entry)]),
        Columns(
            ["strategy"],
            lambda entry: [escape(with_name(entry.strategy) if wide else entry.strategy, style)],
            align="left",
        ),
        Columns(["mean rank"], lambda entry: [fixed(entry.mean_rank, 2) + rank_bounds(entry) if entry.rank else "-"]),
        Columns(
            ["untuned"],
            lambda entry: [fixed(untuned[entry.strategy].mean_rank, 2) if entry.strategy in untuned else "-"],
            shown=wide and section.budget > 0,
        ),
        Columns(["failed"], lambda entry: [failed(entry)]),
        *beaten(section.baseline, "pooled", made, brief=brief),
        *(beaten(made.reference, "reference", made, brief=brief) if wide else ()),
        Columns(["time"], lambda entry: [quantity(entry.relative_seconds, "x")], shown=cost),
    )
    return table(columns, [(entry,) for entry in (*made.strategies, *made.short)], style)


def beaten(name: str | None, field: str, made: Ranking, *, brief: bool = False) -> tuple[Columns, Columns]:
    """Return how often a strategy is beaten, and the p-values of that where there are any; brief: without intervals."""
    found = [getattr(entry, field) for entry in (*made.strategies, *made.short)]
    tested = any(not math.isnan(one.p_holm) for one in found)

    def often(entry: RankedStrategy) -> list[str]:
        text = better(getattr(entry, field))[0]
        return [text.partition(" [")[0] if brief else text]

    return (
        Columns([f"beats {short_name(name)}"], often, shown=name is not None),
        Columns(["p (Holm)"], lambda entry: better(getattr(entry, field))[1:], shown=tested),
    )
