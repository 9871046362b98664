"""Published figures next to the cells of ours that match them, as Markdown: the work of `leaderboard.compare`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from tabulate import tabulate

from fisher.common.errors import InputError
from fisher.common.text import escape
from leaderboard.render.text import percent, points
from leaderboard.render.wording import bounds
from leaderboard.stats.significance import ALPHA, MINIMUM
from leaderboard.tables.matches import Direction, Meeting, Pair, meeting
from leaderboard.tables.published import Reference
from leaderboard.tables.sections import Section

ABOUT = (
    "Scores are x 100. ours - published: the difference of the means, with a 95 % interval from resampling our "
    "restarts alone; the published mean is taken as exact, no spread being printed beside it. Maxima grow with the "
    "number of restarts and have no interval."
)
ABOUT_DIRECTIONS = (
    f"ours: paired over restarts, with a 95 % bootstrap interval; clear = sign flip p < {ALPHA}, not corrected for the "
    f"number of comparisons; too few = fewer than {MINIMUM} restarts, which are not tested."
)


def markdown(reference: Reference, sections: Iterable[Section]) -> str:
    """The comparison of every section that meets a published figure. Raises InputError if none does."""
    blocks = [f"# {_safe(reference.name)}: ours beside the published figures"]
    blocks += [f"Published: {_safe(reference.citation)}; {_safe(reference.about)}.", ABOUT]
    met = [(section, found) for section in sections if (found := meeting(reference, section))]
    if not met:
        strategies = "; ".join(dict.fromkeys(figure.strategy for figure in reference.figures))
        raise InputError(f"no trial meets a published figure of {reference.name}, which are of: {strategies}")
    for section, found in met:
        blocks += _section(section, found)
    return "\n\n".join(blocks) + "\n"


def _section(section: Section, found: Meeting) -> Iterator[str]:
    yield f"## {_safe(section.title)}"
    yield "Beside chance, these differ:" if found.differences else "Model, data and protocol are the published ones."
    if found.differences:
        yield "\n".join(f"- {_safe(line)}" for line in found.differences)
    yield _scores(found.pairs)
    if found.absent:
        yield f"Not run here: {found.absent} of the {len(found.reference.figures)} published cells."
    yield f"### Directions: against `{found.reference.first}`"
    if not found.directions:
        yield "None can be told: that strategy, or the others, were not run to the end."
        return
    yield found.summary
    yield _by_strategy(found.directions)
    yield _directions(found.directions)
    yield ABOUT_DIRECTIONS


def _scores(pairs: Sequence[Pair]) -> str:
    head = ["task", "data", "strategy", "n", "mean", "published", "ours - published", "max", "published", "difference"]
    head += ["failed", "published"]
    rows = []
    for pair in sorted(pairs, key=_by_cell):
        row, figure = pair.row, pair.figure
        gap = _gap(*pair.gap)
        count = str(row.restarts) if row.complete else f"{row.restarts}/{row.expected}"
        line = [_safe(pair.cell.task), percent(pair.cell.fraction), _safe(row.strategy), count, points(row.mean)]
        line += [points(figure.mean), gap, points(row.max), points(figure.max), points(row.max - figure.max, sign=True)]
        published = f"{figure.failed} of {figure.restarts}" if figure.failed else "-"
        rows.append([*line, f"{row.failed}/{row.restarts}", published])
    return _draw(head, rows, left=3)


def _by_cell(pair: Pair) -> tuple[str, float]:
    return pair.cell.task, -pair.cell.fraction  # stable: strategies stay in the order of the publication


def _gap(value: float, low: float, high: float) -> str:
    return points(value, sign=True) + bounds(low, high, sign=True)


def _by_strategy(directions: Sequence[Direction]) -> str:
    """For every strategy, in how many cells it stands to the first one as published."""
    groups: dict[str, list[Direction]] = {}
    for direction in directions:
        groups.setdefault(direction.pair.row.strategy, []).append(direction)
    rows = []
    for strategy, some in groups.items():
        count = Counter(direction.verdict for direction in some)
        kinds = [count["same"], count["opposite"], len(some) - count["same"] - count["opposite"]]
        rows.append([_safe(strategy), *map(str, kinds)])
    return _draw(["strategy", "same", "opposite", "neither"], rows, left=1)


def _directions(directions: Sequence[Direction]) -> str:
    head = ["task", "data", "strategy", "of the", "published", "ours", "direction", "clear"]
    rows = []
    for direction in sorted(directions, key=lambda d: _by_cell(d.pair)):
        pair = direction.pair
        line = [_safe(pair.cell.task), percent(pair.cell.fraction), _safe(pair.row.strategy), direction.measure]
        line += [points(direction.published, sign=True), _gap(direction.ours, direction.low, direction.high)]
        rows.append([*line, direction.verdict, direction.clear])
    return _draw(head, rows, left=4)


def _draw(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> str:
    align = ["left"] * left + ["right"] * (len(head) - left)
    return tabulate(rows, headers=head, tablefmt="pipe", colalign=align, disable_numparse=True)


def _safe(text: str) -> str:
    return escape(text, "markdown")
