"""What terminal, Markdown and page say alike: headers, numbers with their uncertainty, footnotes, how to read them."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from tabulate import tabulate

from fisher.common.text import Style, escape
from leaderboard.render.text import fixed, gap, p_value, points, share
from leaderboard.stats.comparison import Pooled
from leaderboard.stats.significance import ALPHA, MINIMUM, restarts_needed
from leaderboard.tables.cells import Cell, lengths
from leaderboard.tables.names import is_synthetic, measure, task_title
from leaderboard.tables.ranking import RankedStrategy, Ranking
from leaderboard.tables.rows import Row
from leaderboard.tables.sections import DEVLIN, Section

LOOKED_FOR = 0.02  # a difference that practitioners care about: a cell whose tests would miss it says so
WIDTHS = {"task": 12, "strategy": 33, "strategy with best mean": 32}  # of columns on a terminal
GROUPED_BY = {
    "sign flip": f"paired sign flips over all cells, all pairs Holm-corrected, p < {ALPHA}",
    "nemenyi": f"Nemenyi's test of mean ranks, p < {ALPHA}; fewer than {MINIMUM} units are too few for a paired one",
}
SYNTHETIC = "Tasks named pocket-* are synthetic and embedded in this project; they are not GLUE."


class Columns(NamedTuple):
    """Headings that stand side by side, and the escaped texts below them for one item of a table."""

    heads: Sequence[str]
    cells: Callable[..., Sequence[str]]
    shown: bool = True
    align: str = "right"


def table(groups: Iterable[Columns], items: Iterable[tuple[Any, ...]], style: Style) -> str:
    """Return the table of those columns that are shown, with one row per item; a terminal wraps the wide ones."""
    columns = [group for group in groups if group.shown]
    heads = [head for group in columns for head in group.heads]
    rows = [[text for group in columns for text in group.cells(*item)] for item in items]
    return tabulate(
        rows,
        headers=heads,
        tablefmt="pipe" if style == "markdown" else "simple",
        colalign=[group.align for group in columns for _ in group.heads] if rows else None,
        disable_numparse=True,
        maxcolwidths=None if style == "markdown" else [WIDTHS.get(head) for head in heads],
    )


# --- numbers ----------------------------------------------------------------------------------------------------------


def failed(row: Row | RankedStrategy) -> str:
    """Return failed runs of all runs."""
    return f"{row.failed}/{row.restarts}"


def better(found: Pooled) -> list[str]:
    """Return the probability of improvement over all cells with its interval, and the corrected p-value."""
    if math.isnan(found.improvement):
        return ["-", "-"]
    interval = "" if math.isnan(found.low) else f" [{share(found.low)}, {share(found.high)}]"
    return [f"{share(found.improvement)} %{interval}", "too few" if math.isnan(found.p_holm) else p_value(found.p_holm)]


def against(row: Row | None) -> list[str]:
    """Return a row's difference to the baseline with its interval, and the corrected p-value."""
    found = row.comparison if row else None
    if found is None:
        return ["-", "-"]
    return [gap(found.difference, found.low, found.high), "too few" if found.too_few else p_value(found.p_holm)]


def count(row: Row) -> str:
    """Return the number of restarts, with what was expected where some are missing."""
    return str(row.restarts) if row.complete else f"{row.restarts}/{row.expected}"


def remarks(row: Row, cell: Cell) -> tuple[str, ...]:
    """Return everything that must be known of a row beyond its numbers."""
    same = [other.strategy for other in cell.rows if other.same_as == row.strategy]
    notes = (*row.notes, *([f"the same predictions: {'; '.join(same)}"] if same else []))
    plan = f"{row.expected} restarts by plan, others {row.cell_restarts}: not ranked"
    return (*notes, plan) if row.short else notes


def shown(cell: Cell) -> tuple[Row, ...]:
    """Return the rows of a cell that stand for themselves: one of several with the same predictions."""
    return tuple(row for row in cell.rows if row.same_as is None)


def winner(cell: Cell) -> str:
    """Return the strategy with the best mean and how many tie with it, or why there is none."""
    if not cell.best:
        return "no strategy is complete" if cell.learned else "none learned it"
    tied = f" (tied with {len(cell.best) - 1})" if len(cell.best) > 1 else ""
    return escape(cell.best[0].strategy) + tied


def nothing_learned(cells: Sequence[Cell]) -> str:
    """Say that every run of these cells failed, and what to try."""
    rows = [row for cell in cells for row in cell.rows]
    count = f"{sum(row.failed for row in rows)} of {sum(row.restarts for row in rows)} runs failed"
    tasks = len({cell.task for cell in cells})
    what = "this task" if tasks == 1 else f"any of the {tasks} tasks"
    return f"No strategy learned {what} ({count}): more epochs, another rate, more data."


def reach(cell: Cell, *, decided: bool = True) -> str:
    """Say whether the best of a cell differs significantly from the others, and what its tests could have found.

    decided: whether the first is said, which of a single cell the verdict says.
    """
    if not cell.learned:
        return nothing_learned([cell])
    return " ".join(filter(None, (undertrained(cell), _decided(cell) if decided else "", _power(cell))))


def _decided(cell: Cell) -> str:
    if len(cell.ranked) < 2:
        return "Cannot be decided: fewer than two strategies are ranked here."
    best, *others = cell.ranked
    if best.tier is None:
        most = max(cell.pairs.values(), key=lambda found: found.units)
        units = counted(most.units, most.restarts)
        if most.too_few:
            return f"Cannot be decided: too few to test ({units}, {MINIMUM} needed)."
        return f"Cannot be decided: {len(cell.pairs)} pairs are too many for {units}; {needed(len(cell.pairs))}."
    differ = sum(row.tier != best.tier for row in others)
    if not differ:
        return "Cannot be decided: in the test of all pairs no other strategy differs significantly from the best."
    count = "all" if differ == len(others) else f"{differ} of the {len(others)}"
    verb = "differs" if differ == 1 < len(others) else "differ"
    return f"In the test of all pairs {count} other strategies {verb} significantly from the best."


def undertrained(cell: Cell) -> str:
    """Say that a cell ranks how fast strategies train; empty where it does not."""
    row = cell.row("none")  # what plain fine-tuning does decides
    if row is None or not cell.undertrained:
        return ""
    tuned = "none is mostly tuned to the largest number of steps"
    return trains_too_short(tuned if len(lengths(row.trials)) > 1 else few_fit(row.fitted, row.restarts))


def few_fit(fitted: int, runs: int) -> str:
    """Say how many runs of plain fine-tuning were trained to the end."""
    return f"{fitted} of {runs} runs of none fit the examples they are trained on"


def trains_too_short(why: str, remedy: str = "take more steps or a higher rate") -> str:
    """Say that strategies are compared by how fast they train."""
    return f"Undertrained ({why}): this compares how fast strategies train; {remedy}."


def _power(cell: Cell) -> str:
    """Say which difference to the baseline the tests of a cell would find; empty where they were not made."""
    if not cell.tested:
        return ""
    most, count = max(cell.tested, key=lambda found: found.units), len(cell.tested)
    tests = f"{count} comparison{'s' if count > 1 else ''} with the baseline"
    tests += f", {counted(most.units, most.restarts)}"
    if math.isnan(cell.detectable):
        return f"Nothing can be significant ({tests}): {needed(count)}."
    missed = f"; differences of {points(LOOKED_FOR)} points are mostly missed" if cell.detectable > LOOKED_FOR else ""
    found = f"Smallest difference found with a power of 80 %, at the average spread: {points(cell.detectable)}"
    return f"{found} ({tests}){missed}."


def needed(tests: int) -> str:
    """Say how many restarts so many tests take."""
    return f"at least {restarts_needed(tests)} restarts, each on a split of its own, are needed"


def counted(units: int, restarts: int) -> str:
    """Return how many independent units there are, and what they are."""
    name = "restart" if units == restarts else "split"
    shared = "" if units == restarts else f" of {restarts} restarts"
    return f"{units} {name}{'s' if units != 1 else ''}{shared}"


def reading(ranking: Ranking) -> str:
    """Return what the bars of a critical-difference diagram (Demsar 2006) mean."""
    joined = "A bar joins strategies of which no two differ" if ranking.groups else "Every pair differs"
    text = f"{joined} significantly ({GROUPED_BY[ranking.groups_test]})."
    if not ranking.critical_difference <= len(ranking.strategies) - 1:  # mean ranks cannot lie that far apart
        return text
    tasks = f"{ranking.tasks} task{'s' if ranking.tasks > 1 else ''}"
    least = fixed(ranking.critical_difference, 2)
    return f"{text} Mean ranks alone, over {tasks}, would have to differ by {least} (Nemenyi)."


# --- headers ----------------------------------------------------------------------------------------------------------


def task_name(section: Section, cell: Cell) -> str:
    """Name a task, with the metric or dev set where the section holds several of one name."""
    metrics = {other.metric for other in section.cells if other.task == cell.task}
    data = {other.data for other in section.cells if other.task == cell.task}
    extra = ([cell.metric] if len(metrics) > 1 else []) + ([f"dev set {cell.data[:8]}"] if len(data) > 1 else [])
    return task_title(cell.task) + (f" ({', '.join(extra)})" if extra else "")


def task_heading(section: Section, cell: Cell) -> str:
    """Return a task's name with its metric."""
    return f"{task_name(section, cell)}: {measure(cell.metric)}"


def amount_in_words(cell: Cell) -> str:
    """Return how much of its training data a cell uses, for sentences: `250 examples`."""
    kind, _, count = cell.size.partition(" = ")
    return f"{count} examples" if kind == "n" else cell.size.replace(" per", " examples per") or cell.amount


def facts(section: Section) -> dict[str, str]:
    """Return everything that a section's rows have in common, by name."""
    protocol, budget = section.protocol, section.budget
    tasks = dict.fromkeys(task_name(section, cell) for cell in section.cells)
    found = {
        "tasks": f"{', '.join(tasks)} at {', '.join(dict.fromkeys(cell.amount for cell in section.cells))}",
        "model": f"{section.model} (weights {section.weights[:12]})",
        "protocol": str(protocol["name"]),
        "selection": f"{protocol['selection']} epoch" if protocol["selection"] == "last" else protocol["selection"],
        "metric": f"{protocol['metric']}, on {protocol['data']} data",
        "precision": protocol["precision"],
        "tuned": f"{budget} configurations per strategy and restart, chosen by a holdout within n" if budget else "",
        "baseline": with_name(section.baseline) if section.baseline else "not among these strategies",
        "intervals": _coverage(section),
        "versions": "; ".join(f"{name} {value}" for name, value in section.versions.items()),
        "differs in": "; ".join(f"{name} {value}" for name, value in section.differs.items()),
    }
    return {name: text for name, text in found.items() if text}


def short_name(strategy: str | None) -> str:
    """Return what a strategy is called where others are compared with it."""
    return "plain fine-tuning" if strategy == "none" else "Devlin's recipe" if strategy in DEVLIN else "the baseline"


def with_name(strategy: str) -> str:
    """Return a strategy as it is written, with what it is called if it has a name."""
    return f"{strategy} ({short_name(strategy)})" if strategy in ("none", *DEVLIN) else strategy


def _coverage(section: Section) -> str:
    if section.protocol["data"] == "pooled":
        return "95 %, over restarts, each with its own split and dev set"
    shared = any(row.units < row.restarts for cell in section.cells for row in cell.rows)
    over = f"{section.splits} split{'s' if section.splits > 1 else ''}, which restarts share" if shared else "restarts"
    return f"95 %, over {over}, uncorrected (unlike p (Holm)); another dev set is not covered"


def general_notes(sections: Sequence[Section], problems: int) -> Iterator[str]:
    """Yield what holds for all sections."""
    if any(is_synthetic(cell.task) for section in sections for cell in section.cells):
        yield SYNTHETIC
    if problems:
        yield f"Left out, because they could not be used as records: {problems} file{'s' if problems > 1 else ''}."
