"""`leaderboard.md`: per section the verdict, one table over all tasks, and one table per task.

`brief` is the page of a published board, which has few words: a section of one cell has no table over all tasks, the
tables of tasks have their sizes side by side and of each the means and what they gain, and of the floors the best.
"""

import functools
import math
from collections.abc import Callable, Iterator, Sequence

from fisher.common.text import escape
from leaderboard.render import summary
from leaderboard.render import wording as words
from leaderboard.render.text import bounds, points, quantity
from leaderboard.render.verdict import verdict
from leaderboard.render.wording import Columns, failed, table
from leaderboard.stats.significance import ALPHA
from leaderboard.tables.cells import TASK, Cell
from leaderboard.tables.ensembles import MEMBERS
from leaderboard.tables.rows import Row
from leaderboard.tables.sections import Section
from leaderboard.tables.trials import grouped

EXPLAINED = "index.html, next to this file, explains every column and has the rest."
BRIEFLY = f"Each cell: {{what}} (difference to the baseline, \\* where p (Holm) < {ALPHA}); bold: the best mean."
ARROW = "\N{RIGHTWARDS ARROW}"
FEW = 4  # cells with so many say what the default comes to, too
IN_TITLE = ("tasks", "protocol", "differs in")
NOT_BRIEF = ("selection", "metric", "precision")


def text(sections: Sequence[Section], *, without_cost: bool = False, problems: int = 0) -> str:
    """Return `leaderboard.md`."""
    blocks = ["# Leaderboard", EXPLAINED, *words.general_notes(sections, problems)]
    for section in sections:
        blocks += [*_summary(section, without_cost), *_over_all(section, without_cost)]
        for _, cells in grouped(section.cells, *TASK):
            blocks += _task(section, cells)
    return "\n\n".join(blocks) + "\n"


def brief(sections: Sequence[Section], about: str) -> str:
    """Return the page of a published board; `about` says where the rest is."""
    blocks = ["# Leaderboard", about, *words.general_notes(sections, 0)]
    for section in sections:
        blocks += _summary(section, False, brief=True)
        if len(section.cells) == 1:
            blocks += _task(section, list(section.cells), alone=True)
            continue
        blocks += [*_over_all(section, False, brief=True), BRIEFLY.format(what=_brief_head(section))]
        for _, cells in grouped(section.cells, *TASK):
            blocks += _brief_task(section, cells)
    return "\n\n".join(blocks) + "\n"


def _summary(section: Section, without_cost: bool, *, brief: bool = False) -> Iterator[str]:
    yield f"## {escape(section.heading, 'markdown')}"
    yield f"**{' '.join(verdict(section, 'markdown', without_cost))}**"
    left_out = (*IN_TITLE, *NOT_BRIEF) if brief else IN_TITLE
    facts = [(name, value) for name, value in words.facts(section).items() if name not in left_out]
    yield "; ".join(f"{name} {escape(value, 'markdown')}" for name, value in facts) + "."
    notes = summary.notes(section, "markdown", findings=not brief)
    if notes:
        yield "\n".join(f"- {line}" for line in notes)


def _over_all(section: Section, without_cost: bool, *, brief: bool = False) -> Iterator[str]:
    if len(section.ranking.strategies) > 1:
        yield summary.ranking(section, "markdown", without_cost, brief=brief)


def _task(section: Section, cells: list[Cell], *, alone: bool = False) -> Iterator[str]:
    notes: dict[str, int] = {}  # footnotes: equal texts share a number
    scores = _scores(section, cells, notes, alone)
    amount = f" at {cells[0].amount}" if len(cells) == 1 else ""
    yield f"### {escape(words.task_heading(section, cells[0]), 'markdown')}{amount}"
    reach = [(cell.amount, text) for cell in cells if (text := words.reach(cell, decided=not alone))]
    if reach:
        yield "\n".join(f"- {text}" if len(cells) == 1 else f"- {amount}: {text}" for amount, text in reach)
    yield scores
    if notes:
        yield "\n".join(f"- [{number}] {escape(text, 'markdown')}" for text, number in notes.items())


def _scores(section: Section, cells: list[Cell], notes: dict[str, int], alone: bool) -> str:
    def name(cell: Cell, row: Row) -> list[str]:
        marks = [f" [{notes.setdefault(note, len(notes) + 1)}]" for note in words.remarks(row, cell)]
        return ["".join([escape(words.with_name(row.strategy) if alone else row.strategy, "markdown"), *marks])]

    base, tuned = section.baseline is not None, section.budget > 0
    rows = [(cell, row) for cell in cells for row in words.shown(cell)]
    if alone:
        rows = [item for item in rows if not item[1].is_floor] + [item for item in rows if item[1].is_floor][:1]
    tested = any(row.comparison and not row.comparison.too_few for _, row in rows)
    columns = (
        Columns(["data"], lambda cell, row: [cell.amount], shown=len(cells) > 1),
        Columns(["tier"], lambda cell, row: [str(row.tier or "-")], shown=any(row.tier for _, row in rows)),
        Columns(["strategy"], name, align="left"),
        Columns(
            ["default"],
            lambda cell, row: [points(section.mean_by("default", cell, row))],
            shown="default" in section.others,
        ),
        Columns(
            [f"tuned ({section.budget}) [95 %]" if tuned else "mean [95 %]"],
            lambda cell, row: [_score(cell, row) + bounds(row.mean_low, row.mean_high)],
        ),
        Columns(["max"], lambda cell, row: [points(row.max) if row.restarts else "-"], shown=not alone),
        Columns(
            [f"ensemble ({min(MEMBERS, section.budget)})"],
            lambda cell, row: [points(section.mean_by("ensemble", cell, row))],
            shown="ensemble" in section.others,
        ),
        Columns(
            ["ensemble (seeds)"],
            lambda cell, row: [points(section.mean_by("seeds", cell, row))],
            shown="seeds" in section.others,
        ),
        Columns(["failed"], lambda cell, row: [failed(row) if row.restarts else "-"]),
        Columns(["vs base [95 %]"], lambda cell, row: words.against(row)[:1], shown=base),
        Columns(["p (Holm)"], lambda cell, row: words.against(row)[1:], shown=base and tested),
        *(_alone(section) if alone else ()),
    )
    return table(columns, rows, "markdown")


def _alone(section: Section) -> Iterator[Columns]:
    """Yield what the table over all tasks has besides, for the table of the only cell there is."""
    made = section.ranking
    entries = {entry.strategy: entry for entry in (*made.strategies, *made.short)}

    def of(show: Callable[..., Sequence[str]]) -> Callable[..., Sequence[str]]:
        return lambda cell, row: show(entries[row.strategy]) if row.strategy in entries else ["-"]

    time = Columns(["time"], lambda entry: [quantity(entry.relative_seconds, "x")], shown=section.baseline is not None)
    for column in (*summary.beaten(made.reference, "reference", made, brief=True), time):
        yield Columns(column.heads, of(column.cells), column.shown)


def _brief_task(section: Section, cells: list[Cell]) -> Iterator[str]:
    yield f"### {escape(words.task_heading(section, cells[0]), 'markdown')}"
    said = [(cell, words.undertrained(cell) if cell.learned else words.nothing_learned([cell])) for cell in cells]
    found = [f"{points(cell.detectable)} ({cell.amount})" for cell in cells if not math.isnan(cell.detectable)]
    lines = [f"{cell.amount}: {text}" for cell, text in said if text]
    lines += [f"Differences found with a power of 80 %: {', '.join(found)}."] if found else []
    if lines:
        yield "\n".join(f"- {line}" for line in lines)
    rows = [row for cell in cells for row in words.shown(cell)]
    floors = dict.fromkeys(row.strategy for row in rows if row.is_floor)
    order = [entry.strategy for entry in section.ranking.strategies]
    names = dict.fromkeys(name for name in (*order, *(row.strategy for row in rows)) if name not in floors)
    columns = [Columns(["strategy"], lambda name: [escape(name, "markdown")], align="left")]
    columns += [Columns([cell.amount], functools.partial(_brief_cell, section, cell)) for cell in cells]
    yield table(columns, [(name,) for name in (*names, *list(floors)[:1])], "markdown")


def _brief_cell(section: Section, cell: Cell, name: str) -> list[str]:
    """Return mean and difference to the baseline: nothing of a row with the predictions of another."""
    row = cell.row(name)
    if row is None or row.same_as is not None:
        return ["-"]
    mark = "" if row.complete else f", {words.count(row)} restarts"
    found = row.comparison
    star = "\\*" if found and found.significant else ""
    gain = f" ({points(found.difference, sign=True)}{star})" if found else ""
    default = section.mean_by("default", cell, row) if _has_default(section) else math.nan
    before = "" if math.isnan(default) else f"{points(default)} {ARROW} "
    return [before + _score(cell, row) + gain + mark]


def _brief_head(section: Section) -> str:
    """Say which means these tables show."""
    default = f"default {ARROW} " if _has_default(section) else ""
    return f"{default}tuned ({section.budget})" if section.budget else "mean"


def _has_default(section: Section) -> bool:
    return len(section.cells) <= FEW and "default" in section.others


def _score(cell: Cell, row: Row) -> str:
    """Return the mean, bold where it is the best of the cell."""
    if not row.restarts:
        return "no result"
    return f"**{points(row.mean)}**" if row in cell.best else points(row.mean)
