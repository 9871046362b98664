"""Published figures next to the cells of ours that match them, as Markdown: the work of `leaderboard.compare`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from tabulate import tabulate

from fisher.common.errors import InputError
from fisher.common.text import escape
from leaderboard.render.text import points
from leaderboard.render.wording import bounds
from leaderboard.stats.tests import ALPHA, MINIMUM
from leaderboard.tables.matches import Direction, Match, PublishedTable, published_table
from leaderboard.tables.published import Reference
from leaderboard.tables.sections import Section

ABOUT = (
    "Scores are x 100. ours - published: the difference of the means, with a 95 % interval from resampling our "
    "restarts alone; the published mean is taken as exact, no spread being printed with it. Maxima grow with the "
    "number of restarts and have no interval."
)
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


def _section(section: Section, found: PublishedTable) -> Iterator[str]:
    yield f"## {_safe(section.title)}"
    yield "Besides chance, these differ:" if found.differences else "Model, data and protocol are the published ones."
    if found.differences:
        yield "\n".join(f"- {_safe(line)}" for line in found.differences)
    yield _scores(found.matches)
    if found.absent:
        yield f"Not run here: {found.absent} of the {len(found.reference.figures)} published cells."
    yield f"### Directions: against `{found.reference.first}`"
    if not found.directions:
        yield "No direction: that strategy, or the others, were not run to the end."
        return
    yield found.summary
    yield _by_strategy(found.directions)
    yield _directions(found.directions)
    yield ABOUT_DIRECTIONS


def _scores(matches: Sequence[Match]) -> str:
    head = ["task", "data", "strategy", "n", "mean", "published", "ours - published", "max", "published", "difference"]
    head += ["failed", "published"]
    rows = []
    for match in sorted(matches, key=_by_cell):
        row, figure = match.row, match.figure
        gap = _gap(*match.gap)
        count = str(row.restarts) if row.complete else f"{row.restarts}/{row.expected}"
        line = [_safe(match.cell.task), match.cell.amount, _safe(row.strategy), count, points(row.mean)]
        line += [points(figure.mean), gap, points(row.max), points(figure.max), points(row.max - figure.max, sign=True)]
        published = f"{figure.failed} of {figure.restarts}" if figure.failed else "-"
        rows.append([*line, f"{row.failed}/{row.restarts}", published])
    return _draw(head, rows, left=3)


def _by_cell(match: Match) -> tuple[str, float]:
    return match.cell.task, -match.cell.fraction  # stable: strategies stay in the order of the publication


def _gap(value: float, low: float, high: float) -> str:
    return points(value, sign=True) + bounds(low, high, sign=True)


def _by_strategy(directions: Sequence[Direction]) -> str:
    """Tabulate for every strategy in how many cells it differs from the first one as published."""
    groups: dict[str, list[Direction]] = {}
    for direction in directions:
        groups.setdefault(direction.match.row.strategy, []).append(direction)
    rows = []
    for strategy, some in groups.items():
        count = Counter(direction.verdict for direction in some)
        kinds = [count["same"], count["opposite"], len(some) - count["same"] - count["opposite"]]
        rows.append([_safe(strategy), *map(str, kinds)])
    return _draw(["strategy", "same", "opposite", "neither"], rows, left=1)


def _directions(directions: Sequence[Direction]) -> str:
    head = ["task", "data", "strategy", "of the", "published", "ours", "direction", "significant"]
    rows = []
    for direction in sorted(directions, key=lambda d: _by_cell(d.match)):
        match = direction.match
        line = [_safe(match.cell.task), match.cell.amount, _safe(match.row.strategy), direction.measure]
        line += [points(direction.published, sign=True), _gap(direction.ours, direction.low, direction.high)]
        rows.append([*line, direction.verdict, direction.significant])
    return _draw(head, rows, left=4)


def _draw(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> str:
    align = ["left"] * left + ["right"] * (len(head) - left)
    return tabulate(rows, headers=head, tablefmt="pipe", colalign=align, disable_numparse=True)


def _safe(text: str) -> str:
    return escape(text, "markdown")
