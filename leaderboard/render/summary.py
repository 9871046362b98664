"""What a section comes to, on top of its tables: sentences with the findings, and the tables over all cells."""

import math
from collections.abc import Iterator, Sequence
from statistics import median

from fisher.common.text import Style, escape
from leaderboard.render.text import fixed, points, quantity
from leaderboard.render.wording import (
    Columns,
    Table,
    against,
    better,
    counted,
    failed,
    has_cost,
    needed,
    nothing_learned,
    p_value,
    reach,
    share,
    table,
    task_name,
    undertrained,
    winner,
)
from leaderboard.stats import significance
from leaderboard.stats.comparison import Comparison
from leaderboard.stats.significance import ALPHA, MINIMUM
from leaderboard.tables.cells import Cell
from leaderboard.tables.ranking import RankedStrategy
from leaderboard.tables.rows import Row
from leaderboard.tables.sections import Section
from leaderboard.tables.tuning import Choice

SHOWN = 4  # names or findings in one sentence before it says how many more there are


def listed(names: Sequence[str]) -> str:
    """Return names separated by semicolons, the first few if there are many."""
    more = f"; and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return "; ".join(names[:SHOWN]) + more


def verdict(section: Section, style: Style, without_cost: bool) -> Iterator[str]:
    """Yield what the tables come to: who leads, how clearly, how often it fails, what it costs."""
    ranked = section.ranking.strategies
    not_learned = [cell for cell in section.cells if not cell.learned]
    if not_learned:
        where = "; ".join(f"{escape(task_name(section, cell), style)} {cell.amount}" for cell in not_learned)
        yield f"{nothing_learned(not_learned)}" + ("" if len(not_learned) == len(section.cells) else f" At: {where}.")
    if len(not_learned) == len(section.cells):
        return
    if len(ranked) < 2:
        yield _no_ranking(section)
    else:
        yield _leaders(section, style)
        if section.baseline and ranked[0].strategy != section.baseline:
            yield _lead_over_baseline(section, ranked[0], without_cost)
        yield from _undecided(section, style)
    yield from _same(section, style)
    yield from _findings(section, style)


def _no_ranking(section: Section) -> str:
    if not section.ranking.cells:
        return f"No ranking: every cell is undertrained. {undertrained(section.cells[0])}"
    return "No ranking: fewer than two strategies have every expected restart in every cell."


def _leaders(section: Section, style: Style) -> str:
    first = [entry for entry in section.ranking.strategies if entry.rank == 1]
    names = listed([escape(entry.strategy, style) for entry in first])
    role = ", the baseline" if [entry.strategy for entry in first] == [section.baseline] else ""
    count = section.ranking.cells
    cells = f"{count} cell{'s' if count > 1 else ''} of task and share of the training data"
    shared = "shared by " if len(first) > 1 else ""
    return f"Best mean rank: {shared}{names}{role} ({fixed(first[0].mean_rank, 2)} over {cells})."


def _lead_over_baseline(section: Section, leader: RankedStrategy, without_cost: bool) -> str:
    whole = (*section.ranking.strategies, *section.ranking.short)
    base = next((entry for entry in whole if entry.strategy == section.baseline), None)
    if base is None:
        return "The baseline is not complete, so no strategy is compared with it over all cells."
    text = f"It beats the baseline on {better(leader)[0]} of the restarts, averaged over cells: "
    if math.isnan(leader.p_holm):
        text += f"not tested ({leader.units} independent restarts or splits, {MINIMUM} needed)"
    else:
        text += f"{'' if leader.p_holm < ALPHA else 'not '}significantly different (p {p_value(leader.p_holm)})"
    text += f"; failed {failed(leader)}, the baseline {failed(base)}"
    cost = not without_cost and not math.isnan(leader.relative_seconds)
    return text + (f"; {quantity(leader.relative_seconds)} times its seconds." if cost else ".")


def _undecided(section: Section, style: Style) -> Iterator[str]:
    """Say what does not differ significantly from the leader, and what mean ranks alone say where they can."""
    ranked, critical = section.ranking.strategies, section.ranking.critical_difference
    parts = []
    if ranked[0].tier is not None:
        near = {name for group in section.ranking.groups if ranked[0].strategy in group for name in group}
        rest = [entry.strategy for entry in ranked[1:] if entry.strategy != section.baseline]  # that has its own test
        others = [escape(name, style) for name in rest if name in near]
        if others:
            parts.append(f"Of the others, not significantly different from it: {listed(others)}.")
        elif rest:
            parts.append("All others differ significantly from it.")
    elif section.ranking.units >= MINIMUM:
        pairs = math.comb(len(ranked), 2)
        parts.append(f"Pairs were not tested: {pairs} are too many for {section.ranking.units}; {needed(pairs)}.")
    if critical <= len(ranked) - 1:  # two mean ranks can lie that far apart
        differ = "best and worst" if ranked[-1].mean_rank - ranked[0].mean_rank >= critical else "no two strategies"
        tasks = f"{section.ranking.tasks} task{'s' if section.ranking.tasks > 1 else ''}"
        parts.append(
            f"By mean ranks alone, which need {fixed(critical, 2)} between them (Nemenyi, {tasks}), {differ} differ."
        )
    if parts:
        yield " ".join(parts)


def _same(section: Section, style: Style) -> Iterator[str]:
    """Say which strategies have the predictions of another in every cell."""
    for entry in (*section.ranking.strategies, *section.ranking.short):
        if entry.same:
            names = "; ".join(escape(name, style) for name in entry.same)
            yield f"Same predictions as {escape(entry.strategy, style)}, and ranked as it: {names}."


def _findings(section: Section, style: Style) -> Iterator[str]:
    """Say which differences to the baseline are significant, and the smallest p that could be reached."""
    made = [(cell, row, row.comparison) for cell in section.cells for row in cell.rows if row.comparison is not None]
    tested = [item for item in made if not item[2].too_few]
    if not made:
        return
    if not tested:
        most = max((found for *_, found in made), key=lambda found: found.units)
        yield f"Too few to test: {counted(most.units, most.restarts)} at most, {MINIMUM} needed."
        return
    significant = [item for item in tested if item[2].significant]
    told = [_finding(section, *item, style) for item in sorted(significant, key=lambda item: item[2].p_holm)]
    yield (
        f"Significantly different from the baseline: {len(told)} of {len(tested)} comparisons tested"
        + (f": {listed(told)}." if told else ".")
        + _reach([found for *_, found in tested], len(made) - len(tested))
    )
    powerless = [cell for cell in section.cells if cell.tests and math.isnan(cell.detectable)]
    if powerless:
        yield reach(max(powerless, key=lambda cell: cell.tests))


def _finding(section: Section, cell: Cell, row: Row, found: Comparison, style: Style) -> str:
    where = f"{escape(task_name(section, cell), style)} {cell.amount}"
    return f"{escape(row.strategy, style)} at {where} ({points(found.difference, sign=True)})"


def _reach(tested: Sequence[Comparison], untested: int) -> str:
    units = sorted({found.units for found in tested})
    parts = [f"{significance.smallest_p(count):.1g} at {count}" for count in units]
    few = f"; {untested} more had too few" if untested else ""
    return f" Smallest attainable p before correction: {', '.join(parts)} independent restarts or splits{few}."


# --- tables over all cells --------------------------------------------------------------------------------------------


def best_per_cell(section: Section, style: Style, without_cost: bool) -> Table:
    """One line per cell: who is best, by how much, how often it failed, what it costs, against the baseline."""
    base = section.baseline is not None
    cost = base and has_cost(section, without_cost)
    columns = (
        Columns(["task"], lambda cell, best: [escape(task_name(section, cell), style)], align="left"),
        Columns(["data"], lambda cell, best: [cell.amount]),
        Columns(["strategy with best mean"], lambda cell, best: [winner(cell, style)], align="left"),
        Columns(["mean"], lambda cell, best: [points(best.mean) if best else "-"]),
        Columns(
            ["failed (base)" if base else "failed"], lambda cell, best: [_failed(best, cell.row(section.baseline))]
        ),
        Columns(["vs base [95 %]", "p (Holm)"], lambda cell, best: against(best), shown=base),
        Columns(["time"], lambda cell, best: [quantity(best.relative_seconds, "x") if best else "-"], shown=cost),
    )
    return table(columns, [(cell, cell.best[0] if cell.best else None) for cell in section.cells])


def _failed(best: Row | None, base: Row | None) -> str:
    """Return the failed runs of a row, in brackets those of the baseline."""
    of_base = f" ({failed(base)})" if base and base.complete else ""
    return failed(best) + of_base if best else "-"


def ranking(section: Section, style: Style, without_cost: bool) -> Table:
    """One line per strategy over all cells: its mean rank and in how many its mean is the best.

    Those that were planned with fewer restarts come last, without a rank.
    """
    base, cells = section.baseline is not None, section.ranking.cells
    tested = any(entry.tier for entry in section.ranking.strategies)
    columns = (
        Columns(["rank"], lambda entry: [str(entry.rank or "-")]),
        Columns(["tier"], lambda entry: [str(entry.tier or "-")], shown=tested),
        Columns(["strategy"], lambda entry: [escape(entry.strategy, style)], align="left"),
        Columns(["mean rank"], lambda entry: [fixed(entry.mean_rank, 2) if entry.rank else "-"]),
        Columns(["best"], lambda entry: [f"{entry.wins}/{cells}" if entry.rank else "-"]),
        Columns(["failed"], lambda entry: [failed(entry)]),
        Columns(["P(better) [95 %]", "p (Holm)"], better, shown=base),
        Columns(
            ["time"],
            lambda entry: [quantity(entry.relative_seconds, "x")],
            shown=base and has_cost(section, without_cost),
        ),
    )
    return table(columns, [(entry,) for entry in (*section.ranking.strategies, *section.ranking.short)])


def areas(section: Section, style: Style) -> Table | None:
    """One line per strategy, one column per task with several fractions: areas under the paucity curves."""
    tasks = list(dict.fromkeys((curve.task, curve.metric, curve.data) for curve in section.curves))
    if not tasks:
        return None
    names = {(cell.task, cell.metric, cell.data): task_name(section, cell) for cell in section.cells}
    found = {(curve.strategy, curve.task, curve.metric, curve.data): curve.area for curve in section.curves}
    strategies = sorted({curve.strategy for curve in section.curves}, key=lambda name: (name != section.baseline, name))
    rows = [
        [escape(strategy, style), *(points(found.get((strategy, *task), math.nan)) for task in tasks)]
        for strategy in strategies
    ]
    head = ["strategy", *(escape(names[task], style) for task in tasks)]
    return Table(head, ["left", *["right"] * len(tasks)], rows)


def unranked(section: Section, style: Style) -> Iterator[str]:
    """Say which strategies are not ranked, and why."""
    reasons: dict[str, list[str]] = {}
    for strategy, reason in section.ranking.unranked:
        reasons.setdefault(reason, []).append(escape(strategy, style))
    for reason, strategies in reasons.items():
        yield f"Not ranked: {'; '.join(strategies)} ({escape(reason, style)})"


def gaps(section: Section, style: Style) -> Iterator[str]:
    """Say what is missing, ended in an error or was imputed, the first few places of many."""
    found = [
        f"{task_name(section, cell)} {cell.amount}, {row.strategy}: {note}"
        for cell in section.cells
        for row in cell.rows
        for note in row.notes
    ]
    yield from (escape(text, style) for text in found[:SHOWN])
    if len(found) > SHOWN:
        yield f"and {len(found) - SHOWN} more such lines, in leaderboard.md"


def budgets(section: Section, cells: Sequence[Cell], style: Style) -> Table:
    """One line per family and cell: the expected score at rising budgets, the oracle, and how far holdout is right."""
    shown = sorted({1, *(2**at for at in range(1, section.budget.bit_length())), section.budget})
    head = ["data", "strategy", *map(str, shown), "oracle", "agreement", "found best", "chosen"]
    keys = [cell.key for cell in cells]
    rows = [
        [
            cell.amount,
            escape(choice.strategy, style),
            *(points(choice.curve[budget - 1]) if choice.curve else "-" for budget in shown),
            points(choice.oracle[-1]) if choice.oracle else "-",
            "-" if math.isnan(choice.agreement) else f"{choice.agreement:.2f}",
            "-" if math.isnan(choice.found_best) else f"{share(choice.found_best)} %",
            escape(_chosen(cell, choice), style),
        ]
        for cell, choice in section.choices()
        if cell.key in keys
    ]
    return Table(head, ["left", "left", *["right"] * (len(head) - 3), "left"], rows)


def _chosen(cell: Cell, choice: Choice) -> str:
    """Say what was chosen: the median of every shared axis that has numbers, over restarts."""
    row = cell.row(choice.strategy)
    configs = [trial.config for trial in (row.trials if row else ()) if trial.configurations]
    axes = [name for name, value in (configs[0] if configs else {}).items() if isinstance(value, (int, float))]
    return "; ".join(f"{name} {median(config[name] for config in configs):.3g}" for name in axes)
