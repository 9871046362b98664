"""`leaderboard.md`: per section a summary first, then a table per task, at the end how to read them."""

import math
from collections.abc import Iterator, Sequence

from fisher.common.text import escape
from leaderboard.render import summary
from leaderboard.render import wording as words
from leaderboard.render.glossary import glossary
from leaderboard.render.text import points, quantity
from leaderboard.render.wording import Table, bounds, count, draw, failed, has_cost, p_value
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
    tested = any(row.tier for cell in cells for row in cell.rows)
    mean = ["default", f"tuned ({section.budget}) [95 %]"] if section.budget else ["mean [95 %]"]
    head = ["data", *(["tier"] if tested else []), "strategy", "n", *mean, "max", "failed"]
    head += ["vs base [95 %]", "p (Holm)"] if base else []
    head += ["time"] if base and cost else []
    notes, rows = words.Notes(), []
    for cell in cells:
        for row in words.shown(cell):
            line = [cell.amount, *([str(row.tier or "-")] if tested else [])]
            count, *scores = _scores(row, cell)
            default = [points(section.default_of(cell, row))] if section.budget else []
            line += [escape(row.strategy, "markdown") + notes.mark(words.remarks(row, cell)), count, *default, *scores]
            line += words.against(row) if base else []
            rows.append(line + ([quantity(row.relative_seconds, "x")] if base and cost else []))
    left = head.index("strategy")
    yield f"### {escape(words.task_heading(section, cells[0]), 'markdown')}"
    reach = [f"- {cell.amount}: {text}" for cell in cells if (text := words.reach(cell))]
    if reach:
        yield "\n".join(reach)
    yield draw(Table(head, ["left" if at == left else "right" for at in range(len(head))], rows), "markdown")
    if notes.numbers:
        yield "\n".join(f"- {line}" for line in notes.lines("markdown"))
    if section.budget:
        yield "Score against the budget, chosen by holdout, and what would have been chosen by dev (oracle):"
        yield draw(summary.budgets(section, cells, "markdown"), "markdown")
    yield "<details><summary>Details</summary>"
    yield draw(_details(cells, base, cost), "markdown")
    yield "</details>"


def _scores(row: Row, cell: Cell) -> list[str]:
    """Return n, mean, max and failed; the best mean and max of the cell are bold."""
    if not row.restarts:
        return [count(row), "no result", "-", "-"]
    mean, top = points(row.mean), points(row.max)
    if row.ranked and cell.learned:
        mean = f"**{mean}**" if row in cell.best else mean
        top = f"**{top}**" if row.max == max(other.max for other in cell.ranked) else top
    return [count(row), mean + bounds(row.mean_low, row.mean_high), top, failed(row)]


def _details(cells: list[Cell], base: bool, cost: bool) -> Table:
    head = ["data", "strategy", "std", "IQM", "E[max of 5]", "mean\\*", "rule", "failure rate"]
    known = [name for name in MEASURED if any(not math.isnan(getattr(row, name)) for c in cells for row in c.rows)]
    head += [MEASURED[name] for name in known]
    head += ["p (failures)", "P(better)"] if base else []
    head += ["s", "MB"] if cost else []
    rows = []
    for cell in cells:
        for row in (row for row in words.shown(cell) if row.restarts):
            line = [cell.amount, escape(row.strategy, "markdown"), points(row.std), points(row.iqm)]
            line += [points(row.expected_max[4]) if row.restarts >= 5 else "-", points(row.mean_not_failed)]
            line += [str(row.failed_plain), f"[{words.share(row.failure_low)}, {words.share(row.failure_high)}] %"]
            line += [quantity(row.passes) if name == "passes" else points(getattr(row, name)) for name in known]
            line += _failures_and_improvement(row) if base else []
            rows.append(line + ([quantity(row.seconds), quantity(row.peak_memory / 1e6)] if cost else []))
    return Table(head, ["right", "left", *["right"] * (len(head) - 2)], rows)


def _failures_and_improvement(row: Row) -> list[str]:
    found = row.comparison
    return ["-", "-"] if found is None else [p_value(found.failures_p_holm), f"{words.share(found.improvement)} %"]
