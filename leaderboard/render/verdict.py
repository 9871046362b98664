"""The verdict on a section, on top of its tables: who leads, how sure that is, at what price."""

import math
from collections.abc import Sequence

from fisher.common.text import Style, escape
from leaderboard.render.summary import comparisons, finding, listed, rank_bounds
from leaderboard.render.text import bounds, fixed, gap, p_value, points, quantity
from leaderboard.render.wording import (
    amount_in_words,
    better,
    failed,
    needed,
    nothing_learned,
    short_name,
    task_name,
    undertrained,
    with_name,
)
from leaderboard.stats.choosing import FEWEST, agreement
from leaderboard.stats.significance import ALPHA, MINIMUM
from leaderboard.tables.cells import Cell
from leaderboard.tables.names import tasks_title
from leaderboard.tables.sections import Section


def verdict(section: Section, style: Style, without_cost: bool) -> list[str]:
    """Return what the tables come to, in three sentences: who leads, how sure that is, at what price."""
    ranked = section.ranking.strategies
    if not any(cell.learned for cell in section.cells):
        return [nothing_learned(section.cells)]
    if not section.ranking.cells:
        weak = next(cell for cell in section.cells if cell.undertrained)
        return [f"No ranking: no cell is both learned and trained to the end. {undertrained(weak)}"]
    if len(ranked) < 2:
        return ["No ranking: fewer than two strategies have every expected restart in every cell."]
    return [_leader(section, style), _certainty(section, style), _price(section, style, without_cost)]


def _leader(section: Section, style: Style) -> str:
    """Say whether anything beats the baseline, and who has the best mean."""
    ranking, base = section.ranking, short_name(section.baseline)
    first = [entry for entry in ranking.strategies if entry.rank == 1]
    leader = first[0]
    names = listed([escape(entry.strategy, style) for entry in first])
    role = ", the baseline," if [entry.strategy for entry in first] == [section.baseline] else ""
    have = f"{names} share" if len(first) > 1 else f"{names}{role} has"
    cells = _compared(section)
    row = cells[0].row(leader.strategy)
    if len(cells) == 1 and row is not None:
        where = f"At {amount_in_words(cells[0])} of {escape(task_name(section, cells[0]), style)}"
        what = f"mean, {points(row.mean)}{bounds(row.mean_low, row.mean_high)}"
        if row.comparison:
            found = row.comparison
            what += f", {gap(found.difference, found.low, found.high)} points against {base} ({_tested(found.p_holm)})"
        tests = [(one.comparison.p_holm, one.comparison.difference) for one in cells[0].rows if one.comparison]
    else:
        amounts = ", ".join(dict.fromkeys(cell.amount for cell in cells))
        where = f"Over {len(cells)} cells ({escape(tasks_title(cell.task for cell in cells), style)} at {amounts})"
        what = f"mean rank, {fixed(leader.mean_rank, 2)}{rank_bounds(leader)}"
        tests = [(one.pooled.p_holm, one.pooled.improvement - 0.5) for one in ranking.strategies]
    made = [(p, gain) for p, gain in tests if not math.isnan(p)]
    improved = any(p < ALPHA and gain > 0 for p, gain in made)
    singles = "" if len(cells) == 1 else _single_gains(section, style)
    answer = f"no strategy is significantly better than {base}{singles}: " if made and not improved else ""
    where += f", tuned over {section.budget} configurations" if section.budget else ""
    return f"{where}, {answer}{have} the best {what}."


def _single_gains(section: Section, style: Style) -> str:
    """Say which gains are significant in a cell where over all cells none is."""
    made = comparisons(_compared(section))
    gains = [item for item in made if item[2].significant and item[2].difference > 0]
    told = listed([finding(section, *gain, style) for gain in gains])
    return f" over all of them (in single cells: {told})" if told else ""


def _compared(section: Section) -> list[Cell]:
    return [cell for cell in section.cells if cell.learned and not cell.undertrained]


def _beats(section: Section, style: Style) -> str:
    """Say on how many restarts the leader beats what it is compared with; a single cell has said it of the baseline."""
    leader, reference = section.ranking.strategies[0], section.ranking.reference
    compared = [(leader.pooled, section.baseline), (leader.reference, reference)]
    alone = len(_compared(section)) == 1
    told = [
        f"{escape(with_name(name), style)} on {better(found)[0]} of the restarts ({_tested(found.p_holm)})"
        for found, name in compared[alone:]
        if name is not None and not math.isnan(found.improvement)
    ]
    return f"It beats {' and '.join(told)}" if told else ""


def _tested(p: float) -> str:
    if math.isnan(p):
        return "too few to test"
    return f"{'' if p < ALPHA else 'not '}significantly different, p {p_value(p)}"


def _certainty(section: Section, style: Style) -> str:
    """Say what the leader beats, and what does not differ significantly from it, or why that cannot be decided."""
    ranking = section.ranking
    first, *rest = ranking.strategies
    tied = [escape(with_name(entry.strategy), style) for entry in rest if entry.tier == first.tier]
    beats, pairs = _beats(section, style), math.comb(len(ranking.strategies), 2)
    if ranking.groups_test == "sign flip":
        stricter = f"in the stricter test of all {pairs} pairs " if pairs > 1 else ""
        if len(tied) == len(rest):
            said = f"{stricter}no other strategy differs significantly from it"
        elif tied:
            said = f"{stricter}all differ significantly from it but {listed(tied)}"
        else:
            said = "all others differ significantly from it"
        return f"{beats}; {said}." if beats else f"{said[0].upper()}{said[1:]}."
    beats = f"{beats}. " if beats else ""
    if ranking.units < MINIMUM:
        why = f"{ranking.units} independent restarts or splits, {MINIMUM} needed to test pairs"
    else:
        why = f"{pairs} pairs are too many for {ranking.units} units; {needed(pairs)}"
    worst = len(ranking.strategies) - len(tied) - 1
    alone = f"mean ranks alone put {worst} behind it" if worst else "mean ranks alone separate no two"
    tasks = f"{ranking.tasks} task{'s' if ranking.tasks > 1 else ''}"
    return f"{beats}Whether it is better than the others cannot be decided ({why}); {alone} (Nemenyi, {tasks})."


def _price(section: Section, style: Style, without_cost: bool) -> str:
    """Say how often the leader fails, what it costs, and whether tuning made it the leader."""
    leader = section.ranking.strategies[0]
    whole = {entry.strategy: entry for entry in (*section.ranking.strategies, *section.ranking.short)}
    others = [whole.get(name or "") for name in (section.baseline, section.ranking.reference)]
    of_others = [f"{short_name(one.strategy)} {failed(one)}" for one in others if one and one is not leader]
    text = f"Failed runs: {failed(leader)}" + (f" ({', '.join(of_others)})" if of_others else "")
    if not without_cost and leader.strategy != section.baseline and not math.isnan(leader.relative_seconds):
        text += (
            f"; a trial takes {quantity(leader.relative_seconds)} times the seconds of {short_name(section.baseline)}"
        )
    return f"{text}{_tuning(section, style)}."


def _tuning(section: Section, style: Style) -> str:
    """Say whether the order without tuning is another one; nothing where nothing is tuned."""
    untuned = {name: entry.mean_rank for name, entry in section.untuned.items()}
    ranked = [entry for entry in section.ranking.strategies if entry.strategy in untuned]
    if len(ranked) < FEWEST:
        return ""
    best = [name for name, rank in untuned.items() if rank == min(untuned.values())]
    agreed = agreement([one.mean_rank for one in ranked], [untuned[one.strategy] for one in ranked])
    orders = "" if math.isnan(agreed) else f"; rank correlation of the two orders {fixed(agreed, 2)}"
    kept = "does not change" if len(best) == 1 else "settles"
    does = kept if section.ranking.strategies[0].strategy in best else "changes"
    leads = f"{listed([escape(name, style) for name in best])} {'leads' if len(best) == 1 else 'share the lead'}"
    said = f"tuning {does} who leads: without it, on all labelled examples, {leads}"
    return f"; {said}{_default_means(section, best)}{orders}"


def _default_means(section: Section, best: Sequence[str]) -> str:
    """What the best without tuning and the baseline score then, where there is one cell."""
    cells = _compared(section)
    if len(cells) > 1:
        return ""
    names = dict.fromkeys(name for name in (best[0], section.baseline) if name)
    found = {name: row for name in names if (row := cells[0].row(name))}
    leader, *others = (
        f"{points(section.mean_by('default', cells[0], row))}, tuned {points(row.mean)}" for row in found.values()
    )
    of_base = "".join(f" ({short_name(section.baseline)} {text})" for text in others)
    return f" with {leader}{of_base}"
