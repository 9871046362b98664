"""Sections as Markdown for a repository, as CSV for programs and as text for a terminal of 120 columns."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tabulate import tabulate

from leaderboard import tables
from leaderboard.cells import Cell, Row, is_synthetic
from leaderboard.frame import to_frame
from leaderboard.ranking import Ranking
from leaderboard.tables import Section
from leaderboard.text import Style, escape, percent, points, quantity

COLUMNS = 120
STRATEGY_WIDTH = 44
TASK_WIDTH = 12

ABOUT_SCORES = (
    "Scores are x 100 (correlations too). mean, std (n - 1) and max are over the n restarts, failed runs included; "
    "failed = runs that ended no better than a constant prediction or than chance, or diverged; "
    "its 95 % interval is Wilson's, for the failure rate."
)
ABOUT_MORE = "rule = runs not above the best constant prediction, by that rule alone; mean* = mean without failed runs."
ABOUT_COST = (
    "s = mean seconds per trial; x = ratio to the baseline's; MB = largest peak memory of a trial (1 MB = 10^6 bytes)."
)
ABOUT_GAPS = "n = 2/3: only 2 of 3 expected restarts have a result; such rows are shown, but not ranked."
ABOUT_TESTS = "No test of significance is made here: differences within the spread of the restarts are not findings."
BEST = "Best mean per task and share of the training data (base failed = failed runs of the baseline):"
SYNTHETIC = "Tasks named pocket-* are synthetic and embedded in this project; they are not GLUE."


class Table(NamedTuple):
    """A heading per column, an alignment ("left" or "right") per column and rows of escaped texts."""

    head: Sequence[str]
    align: Sequence[str]
    rows: Sequence[Sequence[str]]


def _draw(table: Table, style: Style) -> str:
    return tabulate(
        table.rows,
        headers=table.head,
        tablefmt="pipe" if style == "markdown" else "simple",
        colalign=table.align if table.rows else None,
        disable_numparse=True,
        maxcolwidths=None if style == "markdown" else [_width(name) for name in table.head],
    )


def _width(head: str) -> int | None:
    return STRATEGY_WIDTH if head.startswith("strategy") else TASK_WIDTH if head == "task" else None


def csv(sections: Sequence[Section], *, without_cost: bool = False) -> str:
    """Return `leaderboard.csv`: scores as fractions, shortest floats that read back equal, empty where undefined."""
    return to_frame(sections, without_cost=without_cost).to_csv(index=False, lineterminator="\n")


# --- parts that both texts share --------------------------------------------------------------------------------------


def _failed(row: Row) -> str:
    return f"{row.failed}/{row.restarts}"


def _interval(row: Row) -> str:
    return f"[{100 * row.failure_low:.0f}, {100 * row.failure_high:.0f}]"


def _has_cost(section: Section, without_cost: bool) -> bool:
    return not without_cost and any(row.restarts for cell in section.cells for row in cell.rows)


def _winner(cell: Cell, style: Style) -> str:
    best = [row for row in cell.ranked if row.mean == cell.ranked[0].mean]
    others = f" (tied with {len(best) - 1})" if len(best) > 1 else ""
    return escape(best[0].strategy, style) + others


def _task_name(section: Section, cell: Cell) -> str:
    """Name a task, with the metric or dev set where the section holds several of one name."""
    metrics = {other.metric for other in section.cells if other.task == cell.task}
    data = {other.data for other in section.cells if other.task == cell.task}
    extra = ([cell.metric] if len(metrics) > 1 else []) + ([f"dev set {cell.data[:8]}"] if len(data) > 1 else [])
    return cell.task + (f" ({', '.join(extra)})" if extra else "")


def _against(best: Row, base: Row | None) -> list[str]:
    """Return the difference to the baseline's mean and the baseline's failed runs."""
    return [points(best.mean - base.mean, sign=True), _failed(base)] if base and base.complete else ["-", "-"]


def _summary(section: Section, style: Style, without_cost: bool) -> Table:
    """One line per cell: who is best, by how much, how often it failed, what it costs, against the baseline."""
    cost = _has_cost(section, without_cost) and section.baseline is not None
    head = ["task", "data", "strategy with best mean", "mean", "failed"]
    head += ["vs base", "base failed"] if section.baseline else []
    head += ["time"] if cost else []
    rows = []
    for cell in section.cells:
        line = [escape(_task_name(section, cell), style), percent(cell.fraction)]
        if cell.ranked:
            best = cell.ranked[0]
            line += [_winner(cell, style), points(best.mean), _failed(best)]
            line += _against(best, cell.row(section.baseline)) if section.baseline else []
            line += [quantity(best.relative_seconds, "x")] if cost else []
        else:
            line += ["no strategy is complete"]
        rows.append(line + ["-"] * (len(head) - len(line)))
    return Table(head, ["left", "right", "left", *["right"] * (len(head) - 3)], rows)


def _ranking(ranking: Ranking, section: Section, style: Style, without_cost: bool) -> Table:
    """One line per ranked strategy over all cells."""
    head = ["place", "strategy", "mean rank", "best in", "failed"]
    head += ["vs base"] if section.baseline else []
    cost = _has_cost(section, without_cost) and section.baseline is not None
    head += ["time"] if cost else []
    rows = []
    for entry in ranking.places:
        line = [str(entry.place), escape(entry.strategy, style), f"{entry.mean_rank:.2f}"]
        line += [f"{entry.wins}/{len(section.cells)}", f"{entry.failed}/{entry.restarts}"]
        line += [points(entry.difference, sign=True)] if section.baseline else []
        rows.append(line + ([quantity(entry.relative_seconds, "x")] if cost else []))
    return Table(head, ["right", "left", *["right"] * (len(head) - 2)], rows)


def _ranking_words(section: Section) -> str:
    if len(section.ranking.places) < 2:
        return "No ranking: fewer than two strategies have every expected restart in every cell."
    count = len(section.cells)
    text = f"Ranking by mean rank over {count} cell{'s' if count > 1 else ''} of task and share of the training data: "
    text += (
        "in each the best mean is 1 and ties share the average rank; only strategies with every expected restart in "
    )
    text += "every cell are ranked."
    return text + (" vs base = mean over cells of the difference to the baseline." if section.baseline else "")


class _Notes:
    """Footnotes of one table: equal texts share a number."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def mark(self, notes: Sequence[str]) -> str:
        numbers = [self.numbers.setdefault(note, len(self.numbers) + 1) for note in notes]
        return "".join(f" [{number}]" for number in numbers)

    def lines(self, style: Style) -> Iterator[str]:
        for text, number in self.numbers.items():
            yield f"[{number}] {escape(text, style)}"


def _scores(row: Row, best: tuple[float, float] | None) -> list[str]:
    """Return n, mean, std, max; the best mean and max of the cell are bold where `best` is given."""
    count = str(row.restarts) if row.complete else f"{row.restarts}/{row.expected}"
    if not row.restarts:
        return [count, "no result", "-", "-"]
    mean, top = points(row.mean), points(row.max)
    if best and row.complete:
        mean = f"**{mean}**" if row.mean == best[0] else mean
        top = f"**{top}**" if row.max == best[1] else top
    return [count, mean, points(row.std), top]


def _costs(row: Row, relative: bool) -> list[str]:
    memory = quantity(row.peak_memory / 1e6)
    return [quantity(row.seconds), *([quantity(row.relative_seconds)] if relative else []), memory]


def _cost_head(relative: bool) -> list[str]:
    return ["s", "x", "MB"] if relative else ["s", "MB"]


def _facts(section: Section) -> Iterator[tuple[str, str]]:
    """Yield (name, value) of everything that a section's rows have in common."""
    protocol = section.protocol
    yield "model", f"{section.model} (weights {section.weights[:12]})"
    yield "protocol", str(protocol["name"])
    yield "selection", f"{protocol['selection']} epoch" if protocol["selection"] == "last" else protocol["selection"]
    yield "metric", f"{protocol['metric']}, on {protocol['data']} data"
    yield "precision", protocol["precision"]
    yield "baseline", section.baseline or "not among these strategies"
    if section.versions:
        yield "versions", "; ".join(f"{name} {value}" for name, value in section.versions.items())
    if section.differs:
        yield "differs in", "; ".join(f"{name} {value}" for name, value in section.differs.items())


def _protocol_fields(section: Section) -> str:
    named = ("name", "selection", "metric", "data", "precision")
    return ", ".join(f"{k} {tables.field_text(v)}" for k, v in sorted(section.protocol.items()) if k not in named)


def _task_heading(section: Section, cell: Cell) -> str:
    kind = ", synthetic, not GLUE" if is_synthetic(cell.task) else ""
    return f"{_task_name(section, cell)} ({cell.metric}{kind})"


def _by_task(section: Section) -> list[list[Cell]]:
    groups: dict[str, list[Cell]] = {}
    for cell in section.cells:
        groups.setdefault(_task_heading(section, cell), []).append(cell)
    return list(groups.values())


def _general_notes(sections: Sequence[Section], problems: int) -> Iterator[str]:
    if any(is_synthetic(cell.task) for section in sections for cell in section.cells):
        yield SYNTHETIC
    if problems:
        yield f"Left out, because they could not be used as records: {problems} file{'s' if problems > 1 else ''}."


def _unranked(section: Section, style: Style) -> Iterator[str]:
    for strategy, reason in section.ranking.unranked:
        yield f"Not ranked: {escape(strategy, style)} ({escape(reason, style)})"


# --- Markdown ---------------------------------------------------------------------------------------------------------


def markdown(sections: Sequence[Section], *, without_cost: bool = False, problems: int = 0) -> str:
    """Return `leaderboard.md`: a summary per section first, then the tables per task, then how to read them."""
    blocks = ["# Leaderboard", *_general_notes(sections, problems)]
    for section in sections:
        blocks += _markdown_summary(section, without_cost)
    for section in sections:
        blocks.append(f"## Tables: {escape(section.title, 'markdown')}")
        for cells in _by_task(section):
            blocks += _markdown_task(section, cells, without_cost)
        blocks.append(f"Protocol in full: {escape(_protocol_fields(section), 'markdown')}.")
    about = [
        ABOUT_SCORES,
        ABOUT_MORE.replace("*", "\\*"),
        *([] if without_cost else [ABOUT_COST]),
        ABOUT_GAPS,
        ABOUT_TESTS,
    ]
    blocks += ["## How to read this", "\n".join(f"- {line}" for line in about)]
    return "\n\n".join(blocks) + "\n"


def _markdown_summary(section: Section, without_cost: bool) -> Iterator[str]:
    yield f"## {escape(section.title, 'markdown')}"
    yield "\n".join(f"- {name}: {escape(value, 'markdown')}" for name, value in _facts(section))
    yield _ranking_words(section)
    if len(section.ranking.places) > 1:
        yield _draw(_ranking(section.ranking, section, "markdown", without_cost), "markdown")
    unranked = list(_unranked(section, "markdown"))
    if unranked:
        yield "\n".join(f"- {line}" for line in unranked)
    yield BEST
    yield _draw(_summary(section, "markdown", without_cost), "markdown")


def _markdown_task(section: Section, cells: list[Cell], without_cost: bool) -> Iterator[str]:
    relative, cost = section.baseline is not None, _has_cost(section, without_cost)
    head = ["data", "strategy", "n", "mean", "std", "max", "failed", "95 % interval", "rule", "mean\\*"]
    head += _cost_head(relative) if cost else []
    notes, rows = _Notes(), []
    for cell in cells:
        best = (max(row.mean for row in cell.ranked), max(row.max for row in cell.ranked)) if cell.ranked else None
        for row in cell.rows:
            line = [percent(cell.fraction), escape(row.strategy, "markdown") + notes.mark(row.notes)]
            line += [*_scores(row, best), *_failures(row)]
            rows.append(line + (_costs(row, relative) if cost else []))
    yield f"### {escape(_task_heading(section, cells[0]), 'markdown')}"
    yield _draw(Table(head, ["right", "left", *["right"] * (len(head) - 2)], rows), "markdown")
    if notes.numbers:
        yield "\n".join(f"- {line}" for line in notes.lines("markdown"))


def _failures(row: Row) -> list[str]:
    if not row.restarts:
        return ["-"] * 4
    return [_failed(row), _interval(row), str(row.failed_plain), points(row.mean_not_failed)]


# --- terminal ---------------------------------------------------------------------------------------------------------


def terminal(sections: Sequence[Section], *, without_cost: bool = False, problems: int = 0) -> str:
    """Return the text for a terminal: per section the tables first and what they come to last, where the eye is."""
    blocks = []
    for section in sections:
        blocks.append(_prose(f"=== {escape(section.title)} ==="))
        blocks += [_terminal_cell(section, cell, without_cost) for cell in section.cells]
    about = [ABOUT_SCORES, "mean* = mean without failed runs.", *([] if without_cost else [ABOUT_COST]), ABOUT_GAPS]
    blocks.append("\n".join(_prose(line) for line in about))
    for section in sections:
        blocks += _terminal_summary(section, without_cost)
    blocks += [_prose(line) for line in (*_general_notes(sections, problems), ABOUT_TESTS)]
    return "\n\n".join(blocks) + "\n"


def _prose(line: str) -> str:
    return "\n".join(textwrap.wrap(line, COLUMNS))


def _terminal_cell(section: Section, cell: Cell, without_cost: bool) -> str:
    relative, cost = section.baseline is not None, _has_cost(section, without_cost)
    head = ["strategy", "n", "mean", "std", "max", "failed [95 %]", "mean*", *(_cost_head(relative) if cost else [])]
    notes, rows = _Notes(), []
    for row in cell.rows:
        failed, interval, _, others = _failures(row)
        line = [escape(row.strategy) + notes.mark(row.notes), *_scores(row, None)]
        line += [f"{failed} {interval}" if row.restarts else "-", others]
        rows.append(line + (_costs(row, relative) if cost else []))
    heading = _prose(f"{escape(_task_heading(section, cell))} at {percent(cell.fraction)}")
    drawn = _draw(Table(head, ["left", *["right"] * (len(head) - 1)], rows), "plain")
    return "\n".join([heading, drawn, *map(_prose, notes.lines("plain"))])


def _terminal_summary(section: Section, without_cost: bool) -> Iterator[str]:
    yield _prose(f"=== Summary: {escape(section.title)} ===")
    yield "\n".join(_prose(f"{name}: {escape(value)}") for name, value in _facts(section))
    yield BEST + "\n" + _draw(_summary(section, "plain", without_cost), "plain")
    yield _prose(_ranking_words(section))
    if len(section.ranking.places) > 1:
        yield _draw(_ranking(section.ranking, section, "plain", without_cost), "plain")
    unranked = list(_unranked(section, "plain"))
    if unranked:
        yield "\n".join(map(_prose, unranked))
