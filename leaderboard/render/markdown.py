"""`leaderboard.md`: per section a summary first, then a table per task, at the end how to read them."""

import math
from collections.abc import Iterator, Sequence

from fisher.common.text import escape
from leaderboard.render import summary
from leaderboard.render import wording as words
from leaderboard.render.glossary import glossary
from leaderboard.render.text import points, quantity
from leaderboard.render.wording import Columns, Table, bounds, count, draw, failed, has_cost, p_value, share, table
from leaderboard.tables.cells import Cell
from leaderboard.tables.rows import Row
from leaderboard.tables.sections import Section

DETAILS = (
    "Under Details: std has n - 1; IQM = interquartile mean; E[max of 5] = expected maximum of 5 runs; mean\\* = mean "
    "without failed runs; rule = runs not above the best constant prediction, by that rule alone; failure rate = 95 % "
    "Wilson interval; p (failures) = McNemar's exact test against the baseline, corrected by Holm over the strategies; "
    "P(better) = share of the restarts on which it beats the baseline, ties counting half."
)
MEASURED = {"fit": "fit", "gap": "gap", "ece": "ECE", "brier": "Brier", "nll": "NLL", "passes": "passes"}
COST = " s = mean seconds per trial; MB = largest peak memory of a trial (1 MB = 10^6 bytes)."
CURVES = "Area under the paucity curve (mean score over the log of the share of the training data, an average score):"


def text(sections: Sequence[Section], *, without_cost: bool = False, problems: int = 0) -> str:
    """Return `leaderboard.md`."""
    blocks = ["# Leaderboard", *words.general_notes(sections, problems)]
    for section in sections:
        blocks += _summary(section, without_cost)
    for section in sections:
        blocks.append(f"## Tables: {escape(section.title, 'markdown')}")
        for cells in words.by_task(section):
            blocks += _task(section, cells, without_cost)
        blocks.append(f"Protocol in full: {escape(words.protocol_fields(section), 'markdown')}.")
    about = [
        *glossary(without_cost=without_cost, tuned=words.tuned(sections)).values(),
        f"{DETAILS}{'' if without_cost else COST}",
    ]
    blocks += ["## How to read this", "\n".join(f"- {line}" for line in about)]
    return "\n\n".join(blocks) + "\n"


def _summary(section: Section, without_cost: bool) -> Iterator[str]:
    yield f"## {escape(section.title, 'markdown')}"
    yield "; ".join(f"{name} {escape(value, 'markdown')}" for name, value in words.facts(section)) + "."
    yield "\n".join(f"- {line}" for line in summary.verdict(section, "markdown", without_cost))
    if len(section.ranking.strategies) > 1:
        yield draw(summary.ranking(section, "markdown", without_cost), "markdown")
    unranked = list(summary.unranked(section, "markdown"))
    if unranked:
        yield "\n".join(f"- {line}" for line in unranked)
    yield words.BEST
    yield draw(summary.best_per_cell(section, "markdown", without_cost), "markdown")
    areas = summary.areas(section, "markdown")
    if areas is not None:
        yield CURVES
        yield draw(areas, "markdown")


def _task(section: Section, cells: list[Cell], without_cost: bool) -> Iterator[str]:
    base, cost = section.baseline is not None, has_cost(section, without_cost)
    notes = words.Notes()
    scores = _scores(section, cells, notes, cost)
    yield f"### {escape(words.task_heading(section, cells[0]), 'markdown')}"
    reach = [f"- {cell.amount}: {text}" for cell in cells if (text := words.reach(cell))]
    if reach:
        yield "\n".join(reach)
    yield draw(scores, "markdown")
    if notes.numbers:
        yield "\n".join(f"- {line}" for line in notes.lines("markdown"))
    if section.budget:
        yield "Score against the budget, chosen by holdout, and what would have been chosen by dev (oracle):"
        yield draw(summary.budgets(section, cells, "markdown"), "markdown")
    yield "<details><summary>Details</summary>"
    yield draw(_details(cells, base, cost), "markdown")
    yield "</details>"


def _scores(section: Section, cells: list[Cell], notes: words.Notes, cost: bool) -> Table:
    base, tuned = section.baseline is not None, section.budget > 0
    mean = f"tuned ({section.budget}) [95 %]" if tuned else "mean [95 %]"
    tested = any(row.tier for cell in cells for row in cell.rows)
    columns = (
        Columns(["data"], lambda cell, row: [cell.amount]),
        Columns(["tier"], lambda cell, row: [str(row.tier or "-")], shown=tested),
        Columns(["strategy"], lambda cell, row: [_name(row) + notes.mark(words.remarks(row, cell))], align="left"),
        Columns(["n"], lambda cell, row: [count(row)]),
        Columns(["default"], lambda cell, row: [points(section.default_of(cell, row))], shown=tuned),
        Columns([mean, "max", "failed"], _result),
        Columns(["vs base [95 %]", "p (Holm)"], lambda cell, row: words.against(row), shown=base),
        Columns(["time"], lambda cell, row: [quantity(row.relative_seconds, "x")], shown=base and cost),
    )
    return table(columns, [(cell, row) for cell in cells for row in words.shown(cell)])


def _name(row: Row) -> str:
    return escape(row.strategy, "markdown")


def _result(cell: Cell, row: Row) -> list[str]:
    """Return mean, max and failed; the best mean and max of the cell are bold."""
    if not row.restarts:
        return ["no result", "-", "-"]
    mean, top = points(row.mean), points(row.max)
    if row.ranked and cell.learned:
        mean = f"**{mean}**" if row in cell.best else mean
        top = f"**{top}**" if row.max == max(other.max for other in cell.ranked) else top
    return [mean + bounds(row.mean_low, row.mean_high), top, failed(row)]


def _details(cells: list[Cell], base: bool, cost: bool) -> Table:
    known = [name for name in MEASURED if any(not math.isnan(getattr(row, name)) for c in cells for row in c.rows)]
    columns = (
        Columns(["data"], lambda cell, row: [cell.amount]),
        Columns(["strategy"], lambda cell, row: [_name(row)], align="left"),
        Columns(["std", "IQM"], lambda cell, row: [points(row.std), points(row.iqm)]),
        Columns(["E[max of 5]"], lambda cell, row: [points(row.expected_max[4]) if row.restarts >= 5 else "-"]),
        Columns(["mean\\*", "rule"], lambda cell, row: [points(row.mean_not_failed), str(row.failed_plain)]),
        Columns(["failure rate"], lambda cell, row: [f"[{share(row.failure_low)}, {share(row.failure_high)}] %"]),
        Columns([MEASURED[name] for name in known], lambda cell, row: [_measured(row, name) for name in known]),
        Columns(["p (failures)", "P(better)"], lambda cell, row: _failures_and_improvement(row), shown=base),
        Columns(["s", "MB"], lambda cell, row: [quantity(row.seconds), quantity(row.peak_memory / 1e6)], shown=cost),
    )
    return table(columns, [(cell, row) for cell in cells for row in words.shown(cell) if row.restarts])


def _measured(row: Row, name: str) -> str:
    return quantity(row.passes) if name == "passes" else points(getattr(row, name))


def _failures_and_improvement(row: Row) -> list[str]:
    found = row.comparison
    return ["-", "-"] if found is None else [p_value(found.failures_p_holm), f"{share(found.improvement)} %"]
