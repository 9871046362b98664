"""Published figures next to the cells of ours that match them, as Markdown: the work of `leaderboard.compare`."""

from collections import Counter
from collections.abc import Iterable, Sequence

from fisher.common.errors import InputError
from fisher.common.text import escape
from leaderboard.render.text import gap, points
from leaderboard.render.wording import Columns, count, failed, table
from leaderboard.stats.significance import ALPHA, MINIMUM
from leaderboard.tables.matches import Direction, Match, PublishedTable, published_table
from leaderboard.tables.names import task_title
from leaderboard.tables.published import Figure, Reference
from leaderboard.tables.sections import Section

ABOUT = (
    "Scores are x 100. ours - published: the difference of the means, with a 95 % interval from resampling our "
    "restarts alone; the published mean is taken as exact, no spread being printed with it. Maxima grow with the "
    "number of restarts and have no interval."
)
ALIKE = "Model, data and protocol are the published ones."
ABOUT_DIRECTIONS = (
    f"ours: paired over restarts, with a 95 % bootstrap interval; significant = sign flip p < {ALPHA}, not corrected "
    f"for the number of comparisons; too few = fewer than {MINIMUM} restarts or splits, which are not tested."
)


def markdown(reference: Reference, sections: Iterable[Section]) -> str:
    """Return the comparison of every section that matches a published figure. Raises InputError if none does."""
    blocks = [f"# {_safe(reference.name)}: our results and the published figures"]
    blocks += [f"Published: {_safe(reference.citation)}; {_safe(reference.about)}.", ABOUT]
    matched = [(section, found) for section in sections if (found := published_table(reference, section))]
    if not matched:
        strategies = "; ".join(dict.fromkeys(figure.strategy for figure in reference.figures))
        raise InputError(f"no trial matches a published figure of {reference.name}, which are of: {strategies}")
    for section, found in matched:
        blocks += _section(section, found)
    return "\n\n".join(blocks) + "\n"


def _section(section: Section, found: PublishedTable) -> list[str]:
    differ = [f"- {_safe(line)}" for line in found.differences]
    absent = f"Not run here: {found.absent} of the {len(found.reference.figures)} published cells."
    directions = [found.summary, _by_strategy(found.directions), _directions(found.directions), ABOUT_DIRECTIONS]
    return [
        f"## {_safe(section.title)}",
        *(["Besides chance, these differ:", "\n".join(differ)] if differ else [ALIKE]),
        _scores(found.matches),
        *([absent] if found.absent else []),
        f"### Directions: against `{found.reference.first}`",
        *(directions if found.directions else ["No direction: that strategy, or the others, were not run to the end."]),
    ]


def _scores(matches: Sequence[Match]) -> str:
    columns = (
        Columns(["task", "data", "strategy"], _place, align="left"),
        Columns(["n", "mean"], lambda match: [count(match.row), points(match.row.mean)]),
        Columns(["published", "ours - published"], lambda match: [points(match.figure.mean), gap(*match.gap)]),
        Columns(["max", "published"], lambda match: [points(match.row.max), points(match.figure.max)]),
        Columns(["difference"], lambda match: [points(match.row.max - match.figure.max, sign=True)]),
        Columns(["failed", "published"], lambda match: [failed(match.row), _failed_there(match.figure)]),
    )
    return table(columns, [(match,) for match in sorted(matches, key=_by_cell)], "markdown")


def _place(match: Match) -> list[str]:
    return [_safe(task_title(match.cell.task)), match.cell.amount, _safe(match.row.strategy)]


def _failed_there(figure: Figure) -> str:
    return f"{figure.failed} of {figure.restarts}" if figure.failed else "-"


def _by_cell(match: Match) -> tuple[str, float]:
    return match.cell.task, -match.cell.fraction  # stable: strategies stay in the order of the publication


def _by_strategy(directions: Sequence[tuple[Match, Direction]]) -> str:
    """Tabulate for every strategy in how many cells it differs from the first one as published."""
    groups: dict[str, Counter[str]] = {}
    for match, direction in directions:
        groups.setdefault(match.row.strategy, Counter())[direction.verdict] += 1
    columns = (
        Columns(["strategy"], lambda strategy, found: [_safe(strategy)], align="left"),
        Columns(["same", "opposite"], lambda strategy, found: [str(found["same"]), str(found["opposite"])]),
        Columns(["neither"], lambda strategy, found: [str(found.total() - found["same"] - found["opposite"])]),
    )
    return table(columns, groups.items(), "markdown")


def _directions(directions: Sequence[tuple[Match, Direction]]) -> str:
    columns = (
        Columns(["task", "data", "strategy"], lambda match, one: _place(match), align="left"),
        Columns(["of the"], lambda match, one: [one.measure], align="left"),
        Columns(["published"], lambda match, one: [points(one.published, sign=True)]),
        Columns(["ours"], lambda match, one: [gap(one.ours, one.low, one.high)]),
        Columns(["direction", "significant"], lambda match, one: [one.verdict, one.significant]),
    )
    return table(columns, sorted(directions, key=lambda item: _by_cell(item[0])), "markdown")


def _safe(text: str) -> str:
    return escape(text, "markdown")
