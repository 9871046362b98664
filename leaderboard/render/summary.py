"""What a section comes to, on top of its tables: sentences with the findings, and the tables over all cells."""

import math
from collections.abc import Iterator, Sequence

from leaderboard.render.text import Style, escape, percent, points, quantity
from leaderboard.render.wording import Table, against, bounds, failed, has_cost, p_value, task_name, winner
from leaderboard.stats import resampling
from leaderboard.stats.comparison import Comparison
from leaderboard.stats.ranking import Place
from leaderboard.stats.significance import ALPHA, MINIMUM
from leaderboard.tables.sections import Section

SHOWN = 4  # names or findings in one sentence before it says how many more there are


def listed(names: Sequence[str]) -> str:
    """Return names separated by semicolons, the first few if there are many."""
    more = f"; and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return "; ".join(names[:SHOWN]) + more


def verdict(section: Section, style: Style, without_cost: bool) -> Iterator[str]:
    """Yield what the tables come to: who leads, by how much, whether that can be told, how often it fails, its cost."""
    places = section.ranking.places
    if len(places) < 2:
        yield "No ranking: fewer than two strategies have every expected restart in every cell."
    else:
        yield _leaders(section, style)
        leader = places[0]
        if section.baseline and leader.strategy != section.baseline:
            yield _lead_over_baseline(section, leader, without_cost)
        yield from _undecided(section, style)
    yield from _findings(section, style)


def _leaders(section: Section, style: Style) -> str:
    first = [place for place in section.ranking.places if place.place == 1]
    names = listed([escape(place.strategy, style) for place in first])
    role = ", the baseline" if [place.strategy for place in first] == [section.baseline] else ""
    cells = f"{len(section.cells)} cell{'s' if len(section.cells) > 1 else ''} of task and share of the training data"
    shared = "shared by " if len(first) > 1 else ""
    return f"Best mean rank: {shared}{names}{role} ({first[0].mean_rank:.2f} over {cells})."


def _lead_over_baseline(section: Section, leader: Place, without_cost: bool) -> str:
    whole = (*section.ranking.places, *section.ranking.beside)
    base = next((place for place in whole if place.strategy == section.baseline), None)
    if base is None:
        return "The baseline is not complete, so no strategy is compared with it over all cells."
    text = f"Against the baseline {points(leader.difference, sign=True)}"
    text += f"{bounds(leader.low, leader.high, sign=True)} on average over cells, "
    if math.isnan(leader.p_holm):
        own = max(row.restarts for cell in section.cells for row in cell.rows if row.strategy == base.strategy)
        text += f"not tested ({min(own, section.ranking.restarts)} restarts, {MINIMUM} needed)"
    else:
        told = "distinguishable" if leader.p_holm < ALPHA else "not distinguishable"
        text += f"{told} from it (p {p_value(leader.p_holm)})"
    text += f"; failed {failed(leader)}, the baseline {failed(base)}"
    cost = not without_cost and not math.isnan(leader.relative_seconds)
    return text + (f"; {quantity(leader.relative_seconds)} times its seconds." if cost else ".")


def _undecided(section: Section, style: Style) -> Iterator[str]:
    """Say what cannot be told from the leader, and what mean ranks alone say where they can say anything."""
    places, critical = section.ranking.places, section.ranking.critical_difference
    parts = []
    if places[0].tier is not None:
        near = {name for group in section.ranking.groups if places[0].strategy in group for name in group}
        rest = [place.strategy for place in places[1:] if place.strategy != section.baseline]  # that has its own test
        others = [escape(name, style) for name in rest if name in near]
        if others:
            parts.append(f"Of the others, not distinguishable from it: {listed(others)}.")
        elif rest:
            parts.append("All others are distinguishable from it.")
    elif section.ranking.restarts >= MINIMUM:
        pairs = math.comb(len(places), 2)
        parts.append(f"Pairs were not tested: {pairs} of them are too many for {section.ranking.restarts} restarts.")
    if critical <= len(places) - 1:  # two mean ranks can lie that far apart
        apart = "best and worst" if places[-1].mean_rank - places[0].mean_rank >= critical else "no two strategies"
        tasks = f"{section.ranking.tasks} task{'s' if section.ranking.tasks > 1 else ''}"
        ranks = f"By mean ranks alone, which need {critical:.2f} between them (Nemenyi, {tasks}), {apart} differ."
        parts.append(ranks)
    if parts:
        yield " ".join(parts)


def _findings(section: Section, style: Style) -> Iterator[str]:
    """Say which comparisons with the baseline are distinguishable, and the smallest p that was within reach."""
    made = [(cell, row, row.comparison) for cell in section.cells for row in cell.rows if row.comparison is not None]
    tested = [(cell, row, found) for cell, row, found in made if not found.too_few]
    if not made:
        return
    if not tested:
        most = max(found.restarts for _, _, found in made)
        yield f"Too few to test: {most} restart{'s' if most > 1 else ''} at most, {MINIMUM} needed."
        return
    told = [
        f"{escape(row.strategy, style)} at {escape(task_name(section, cell), style)} {percent(cell.fraction)} "
        f"({points(found.difference, sign=True)})"
        for cell, row, found in sorted(tested, key=lambda item: -abs(item[2].difference))
        if found.distinguishable
    ]
    yield (
        f"Distinguishable from the baseline: {len(told)} of {len(tested)} comparisons tested"
        + (f": {listed(told)}." if told else ".")
        + _reach([found for _, _, found in tested], len(made) - len(tested))
    )


def _reach(tested: Sequence[Comparison], untested: int) -> str:
    parts = [f"{resampling.smallest_p(n):.1g} at {n} restarts" for n in sorted({found.restarts for found in tested})]
    few = f"; {untested} more had too few restarts" if untested else ""
    return f" Smallest p within reach before correction: {', '.join(parts)}{few}."


# --- tables over all cells --------------------------------------------------------------------------------------------


def best_per_cell(section: Section, style: Style, without_cost: bool) -> Table:
    """One line per cell: who is best, by how much, how often it failed, what it costs, against the baseline."""
    cost = has_cost(section, without_cost) and section.baseline is not None
    head = ["task", "data", "strategy with best mean", "mean"]
    head += ["failed (base)", "vs base", "p"] if section.baseline else ["failed"]
    head += ["time"] if cost else []
    rows = []
    for cell in section.cells:
        line = [escape(task_name(section, cell), style), percent(cell.fraction)]
        if cell.ranked:
            best, base = max(cell.ranked, key=lambda row: row.mean), cell.row(section.baseline)
            of_base = f" ({failed(base)})" if base and base.complete else ""
            line += [winner(cell, style), points(best.mean), failed(best) + of_base]
            line += against(best) if section.baseline else []
            line += [quantity(best.relative_seconds, "x")] if cost else []
        else:
            line += ["no strategy is complete"]
        rows.append(line + ["-"] * (len(head) - len(line)))
    return Table(head, ["left", "right", "left", *["right"] * (len(head) - 3)], rows)


def ranking(section: Section, style: Style, without_cost: bool) -> Table:
    """One line per strategy over all cells: its mean rank and in how many its mean is the best.

    Those that were planned with fewer restarts come last, without a rank.
    """
    tested = any(place.tier for place in section.ranking.places)
    cost = has_cost(section, without_cost) and section.baseline is not None
    head = ["place", *(["tier"] if tested else []), "strategy", "rank", "best", "failed"]
    head += ["vs base", "p"] if section.baseline else []
    head += ["time"] if cost else []
    rows = []
    for entry in (*section.ranking.places, *section.ranking.beside):
        line = [str(entry.place or "-"), *([str(entry.tier or "-")] if tested else []), escape(entry.strategy, style)]
        line += [f"{entry.mean_rank:.2f}", f"{entry.wins}/{len(section.cells)}"] if entry.place else ["-", "-"]
        line.append(failed(entry))
        line += _pooled(section, entry) if section.baseline else []
        rows.append(line + ([quantity(entry.relative_seconds, "x")] if cost else []))
    left = head.index("strategy")
    return Table(head, ["left" if at == left else "right" for at in range(len(head))], rows)


def _pooled(section: Section, entry: Place) -> list[str]:
    if entry.strategy == section.baseline or math.isnan(entry.difference):
        return ["-", "-"]
    difference = points(entry.difference, sign=True) + bounds(entry.low, entry.high, sign=True)
    return [difference, "too few" if math.isnan(entry.p_holm) else p_value(entry.p_holm)]


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
