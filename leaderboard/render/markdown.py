"""`leaderboard.md`: per section the verdict, one table over all tasks, and one table per task."""

from collections.abc import Iterator, Sequence

from fisher.common.text import escape
from leaderboard.render import summary
from leaderboard.render import wording as words
from leaderboard.render.text import bounds, points
from leaderboard.render.wording import Columns, Table, draw, failed, table
from leaderboard.tables.cells import Cell
from leaderboard.tables.ensembles import MEMBERS
from leaderboard.tables.rows import Row
from leaderboard.tables.sections import Section

EXPLAINED = "index.html, next to this file, explains every column and has the rest."

IN_TITLE = ("tasks", "protocol", "differs in")


def text(sections: Sequence[Section], *, without_cost: bool = False, problems: int = 0) -> str:
    """Return `leaderboard.md`."""
    blocks = ["# Leaderboard", EXPLAINED, *words.general_notes(sections, problems)]
    for section in sections:
        blocks += _summary(section, without_cost)
        for cells in words.by_task(section):
            blocks += _task(section, cells)
    return "\n\n".join(blocks) + "\n"


def _summary(section: Section, without_cost: bool) -> Iterator[str]:
    yield f"## {escape(section.title, 'markdown')}"
    yield f"**{' '.join(summary.verdict(section, 'markdown', without_cost))}**"
    facts = [(name, value) for name, value in words.facts(section) if name not in IN_TITLE]
    yield "; ".join(f"{name} {escape(value, 'markdown')}" for name, value in facts) + "."
    if len(section.ranking.strategies) > 1:
        yield draw(summary.ranking(section, "markdown", without_cost), "markdown")
    notes = list(summary.notes(section, "markdown"))
    if notes:
        yield "\n".join(f"- {line}" for line in notes)


def _task(section: Section, cells: list[Cell]) -> Iterator[str]:
    notes = words.Notes()
    scores = draw(_scores(section, cells, notes), "markdown")
    amount = f" at {cells[0].amount}" if len(cells) == 1 else ""
    yield f"### {escape(words.task_heading(section, cells[0]), 'markdown')}{amount}"
    reach = [(cell.amount, text) for cell in cells if (text := words.reach(cell))]
    if reach:
        yield "\n".join(f"- {text}" if len(cells) == 1 else f"- {amount}: {text}" for amount, text in reach)
    yield scores
    if notes.numbers:
        yield "\n".join(f"- {line}" for line in notes.lines("markdown"))


def _scores(section: Section, cells: list[Cell], notes: words.Notes) -> Table:
    base, tuned = section.baseline is not None, section.budget > 0
    rows = [(cell, row) for cell in cells for row in words.shown(cell)]
    tested = any(row.comparison and not row.comparison.too_few for _, row in rows)
    columns = (
        Columns(["data"], lambda cell, row: [cell.amount], shown=len(cells) > 1),
        Columns(["tier"], lambda cell, row: [str(row.tier or "-")], shown=any(row.tier for _, row in rows)),
        Columns(["strategy"], lambda cell, row: [_name(row) + notes.mark(words.remarks(row, cell))], align="left"),
        Columns(
            ["default"],
            lambda cell, row: [points(section.mean_by("default", cell, row))],
            shown="default" in section.others,
        ),
        Columns([f"tuned ({section.budget}) [95 %]" if tuned else "mean [95 %]"], _mean),
        Columns(["max"], lambda cell, row: [points(row.max) if row.restarts else "-"]),
        Columns(
            [f"ensemble ({min(MEMBERS, section.budget)})"],
            lambda cell, row: [points(section.mean_by("ensemble", cell, row))],
            shown="ensemble" in section.others,
        ),
        Columns(["failed"], lambda cell, row: [failed(row) if row.restarts else "-"]),
        Columns(["vs base [95 %]"], lambda cell, row: words.against(row)[:1], shown=base),
        Columns(["p (Holm)"], lambda cell, row: words.against(row)[1:], shown=base and tested),
    )
    return table(columns, rows)


def _name(row: Row) -> str:
    return escape(row.strategy, "markdown")


def _mean(cell: Cell, row: Row) -> list[str]:
    """Return the mean with its interval, bold where it is the best of the cell."""
    if not row.restarts:
        return ["no result"]
    mean = f"**{points(row.mean)}**" if row in cell.best else points(row.mean)
    return [mean + bounds(row.mean_low, row.mean_high)]
