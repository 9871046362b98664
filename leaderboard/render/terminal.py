"""The text for a terminal of 120 columns: the tables first, and what they come to last, where the eye is."""

import textwrap
from collections.abc import Iterator, Sequence

from leaderboard.render import summary
from leaderboard.render import wording as words
from leaderboard.render.text import escape, percent, points, quantity
from leaderboard.render.wording import Table, count, draw, failed, has_cost
from leaderboard.tables.cells import Cell, Row
from leaderboard.tables.sections import Section

COLUMNS = 120
STRATEGY_WIDTH = 42
BEST_WIDTH = 32
TASK_WIDTH = 12


def text(sections: Sequence[Section], *, without_cost: bool = False, problems: int = 0) -> str:
    """Return the whole text."""
    blocks = []
    for section in sections:
        blocks.append(_prose(f"=== {escape(section.title)} ==="))
        blocks += [_cell(section, cell, without_cost) for cell in section.cells]
    about = [words.ABOUT_SCORES, words.ABOUT_INTERVALS, words.ABOUT_TESTS, words.ABOUT_TIERS]
    about += [*([] if without_cost else [f"s = mean seconds per trial; {words.ABOUT_COST}"]), words.ABOUT_GAPS]
    blocks.append("\n".join(_prose(line) for line in about))
    for section in sections:
        blocks += _summary(section, without_cost)
    blocks += [_prose(line) for line in words.general_notes(sections, problems)]
    return "\n\n".join(blocks) + "\n"


def _prose(line: str) -> str:
    return "\n".join(textwrap.wrap(line, COLUMNS))


def _draw(table: Table) -> str:
    widths = {"task": TASK_WIDTH, "strategy": STRATEGY_WIDTH, "strategy with best mean": BEST_WIDTH}
    return draw(table, "plain", [widths.get(name) for name in table.head])


def _cell(section: Section, cell: Cell, without_cost: bool) -> str:
    base, cost = section.baseline is not None, has_cost(section, without_cost)
    head = ["strategy", "n", "mean", "std", "max", "failed", *(["vs base [95 %]", "p"] if base else [])]
    head += ["s"] if cost else []
    notes, rows = words.Notes(), []
    for row in cell.rows:
        line = [
            escape(row.strategy) + notes.mark(words.remarks(row)),
            *_scores(row),
            *(words.against(row) if base else []),
        ]
        rows.append(line + ([quantity(row.seconds)] if cost else []))
    heading = _prose(f"{escape(words.task_heading(section, cell))} at {percent(cell.fraction)}")
    drawn = _draw(Table(head, ["left", *["right"] * (len(head) - 1)], rows))
    return "\n".join([heading, drawn, *map(_prose, notes.lines("plain"))])


def _scores(row: Row) -> list[str]:
    numbers = [points(row.mean), points(row.std), points(row.max)]
    return [count(row), *numbers, failed(row) if row.restarts else "-"]


def _summary(section: Section, without_cost: bool) -> Iterator[str]:
    yield _prose(f"=== Summary: {escape(section.title)} ===")
    yield "\n".join(_prose(f"{name}: {escape(value)}") for name, value in words.facts(section))
    yield words.BEST + "\n" + _draw(summary.best_per_cell(section, "plain", without_cost))
    if len(section.ranking.places) > 1:
        yield _draw(summary.ranking(section, "plain", without_cost))
    yield "\n".join(_prose(line) for line in summary.verdict(section, "plain", without_cost))
    unranked = list(summary.unranked(section, "plain"))
    if unranked:
        yield "\n".join(map(_prose, unranked))
