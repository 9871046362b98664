"""The text for a terminal of 120 columns: what the results come to; the tables are in the files."""

import textwrap
from collections.abc import Iterator, Sequence

from fisher.common.text import escape
from leaderboard.render import summary
from leaderboard.render import wording as words
from leaderboard.render.glossary import glossary as explained
from leaderboard.render.verdict import verdict
from leaderboard.tables.sections import Section

COLUMNS = 120
BEST = "Best mean per task and share of the training data (in brackets the failed runs of the baseline):"
EXPLAIN = "What the columns mean: --explain. Tables per task: leaderboard.md, index.html."


def text(sections: Sequence[Section], *, without_cost: bool = False, problems: int = 0) -> str:
    """Return the summary of every section."""
    blocks = [block for section in sections for block in _summary(section, without_cost)]
    blocks += [_prose(line) for line in (*words.general_notes(sections, problems), EXPLAIN)]
    return "\n\n".join(blocks) + "\n"


def glossary(*, without_cost: bool = False) -> str:
    """Return what the columns of the tables mean."""
    return "\n\n".join(map(_prose, explained(without_cost=without_cost).values())) + "\n"


def _prose(line: str) -> str:
    return "\n".join(textwrap.wrap(line, COLUMNS))


def _summary(section: Section, without_cost: bool) -> Iterator[str]:
    yield _prose(f"=== {escape(section.heading)} ===")
    if not any(cell.learned for cell in section.cells):
        yield _prose(words.nothing_learned(section.cells))
    yield "\n".join(_prose(f"{name}: {escape(value)}") for name, value in words.facts(section).items())
    if not any(cell.learned for cell in section.cells):
        return
    yield BEST + "\n" + summary.best_per_cell(section, without_cost)
    if len(section.ranking.strategies) > 1:
        yield summary.ranking(section, "plain", without_cost)
    told = [*summary.gaps(section), *summary.notes(section, "plain")]
    if told:
        yield "\n".join(map(_prose, told))
    yield "\n".join(_prose(line) for line in verdict(section, "plain", without_cost))
