"""Ours beside the papers': every published figure with the cell of ours that it meets, as Markdown.

    python -m leaderboard.compare RESULTS... --published SUITE [--output FILE.md]

A cell of ours meets a published one of the same strategy and task (an embedded task stands in for its namesake) at the
same share of the training data, or at any share that the paper does not have. Directions are differences to the first
strategy of the published table: does mixout beat the BERT authors' recipe here too? Exit 0: made; 1: made, but some
files could not be used as records; 2: the request was wrong or nothing meets.
"""

import argparse
import math
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from leaderboard import comparison, tables
from leaderboard.build import load, report, write
from leaderboard.cells import Cell, Row, is_synthetic
from leaderboard.errors import InputError
from leaderboard.published import Figure, Reference, load_reference, task_key
from leaderboard.tables import Section, field_text
from leaderboard.text import escape, percent, points

ABOUT = (
    "Scores are x 100. ours - published: the difference of the means, with a 95 % interval from resampling our "
    "restarts alone; the published mean is taken as exact, no spread being printed beside it. Maxima grow with the "
    "number of restarts and have no interval."
)
ABOUT_DIRECTIONS = (
    "ours: paired over restarts, with a 95 % bootstrap interval; clear = it excludes 0, not corrected for "
    "the number of comparisons."
)
SAID = {"same": "have the same sign here", "opposite": "have the opposite sign here"}


@dataclass(frozen=True)
class Pair:
    """A published figure and the row of ours that it meets."""

    figure: Figure
    cell: Cell
    row: Row

    @property
    def place(self) -> tuple[str, float, str, str, str, float]:
        """What tells the cells apart that strategies are compared in."""
        cell = self.cell
        return self.figure.task, self.figure.fraction, cell.task, cell.metric, cell.data, cell.fraction


@dataclass(frozen=True)
class Direction:
    """A strategy against the first of its table: the difference published and ours; low and high NaN where unknown."""

    pair: Pair
    measure: str
    published: float
    ours: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Whether both differences have the same sign."""
        if abs(self.published) < 5e-5:
            return "equal in the paper"
        if self.ours == 0:
            return "no difference here"
        return "same" if self.published * self.ours > 0 else "opposite"

    @property
    def clear(self) -> bool:
        """Whether the interval of ours excludes 0."""
        return self.low > 0 or self.high < 0


def plain(strategy: str) -> str:
    """A strategy as it is written, without the mark that tells variants of it apart."""
    return strategy.split(" (variant ")[0]


def pairs_of(reference: Reference, section: Section) -> list[Pair]:
    """Every published figure with each row of the section that it meets, in the order of the publication."""
    return [
        Pair(figure, cell, row)
        for figure in reference.figures
        for cell in section.cells
        if task_key(cell.task) == task_key(figure.task) and _meets(cell.fraction, figure, reference)
        for row in cell.rows
        if plain(row.strategy) == figure.strategy and row.restarts
    ]


def _meets(fraction: float, figure: Figure, reference: Reference) -> bool:
    if fraction in reference.fractions:
        return figure.fraction == fraction
    return figure.fraction == reference.fractions[0]


def directions_of(reference: Reference, pairs: Sequence[Pair]) -> list[Direction]:
    """Each strategy against the first of the published table, where both were run to the end on the same restarts."""
    first = reference.figures[0].strategy
    bases = {pair.place: pair for pair in pairs if pair.figure.strategy == first}
    found = []
    for pair in pairs:
        base = bases.get(pair.place)
        if base and pair.figure.strategy != first and pair.row.complete and base.row.complete:
            found.append(_direction(pair, base))
    return found


def _direction(pair: Pair, base: Pair) -> Direction:
    published = pair.figure.mean - base.figure.mean
    if math.isnan(published):
        ours = pair.row.max - base.row.max
        return Direction(pair, "max", pair.figure.max - base.figure.max, ours, math.nan, math.nan)
    groups = [line["split"] for line in pair.row.trials]
    failed = [[line["failed"] for line in side.row.trials] for side in (pair, base)]
    made = comparison.compare(pair.row.scores, base.row.scores, groups, *failed)
    return Direction(pair, "mean", published, made.difference, made.low, made.high)


# --- what differs -----------------------------------------------------------------------------------------------------


def differences(reference: Reference, section: Section, pairs: Sequence[Pair]) -> Iterator[str]:
    """Everything but chance that tells our runs from the published ones, one sentence each."""
    models = sorted({pair.figure.model for pair in pairs} - {section.model})
    if models:
        yield f"model: {section.model}, published: {', '.join(models)}"
    if any(is_synthetic(pair.cell.task) for pair in pairs):
        yield "data: synthetic embedded tasks stand in for GLUE; scores cannot be compared, directions at most"
    shares = sorted(
        {pair.cell.fraction for pair in pairs if pair.cell.fraction not in reference.fractions}, reverse=True
    )
    if shares:
        published = " and ".join(map(percent, reference.fractions))
        yield f"training data: {', '.join(map(percent, shares))}, published: {published}"
    yield from _fields(reference, section)
    ours, theirs = {pair.row.restarts for pair in pairs}, {pair.figure.restarts for pair in pairs}
    if ours != theirs:
        stated = ", ".join("not stated" if count is None else str(count) for count in sorted(theirs, key=str))
        yield f"restarts: {', '.join(map(str, sorted(ours)))}, published: {stated}"
    scored = sorted({pair.figure.split for pair in pairs if pair.figure.split.startswith("test")})
    if scored:
        yield f"scored on: dev, published: {', '.join(scored)}"
    metrics = sorted({(p.cell.task, p.cell.metric, p.figure.metric) for p in pairs if p.cell.metric != p.figure.metric})
    yield from (f"metric of {task}: {ours}, published: {theirs or 'not stated'}" for task, ours, theirs in metrics)
    yield from sorted({f"the publication: {pair.figure.note}" for pair in pairs if pair.figure.note})


def _fields(reference: Reference, section: Section) -> Iterator[str]:
    for key, value in reference.protocol.items():
        if section.protocol.get(key) != value:
            yield f"{key}: {field_text(section.protocol.get(key, 'not set'))}, published: {field_text(value)}"
    unstated = [f"{key} {field_text(section.protocol[key])}" for key in reference.unstated if key in section.protocol]
    if unstated:
        yield f"not stated in the paper, ours: {', '.join(unstated)}"


# --- Markdown ---------------------------------------------------------------------------------------------------------


def markdown(reference: Reference, sections: Iterable[Section]) -> str:
    """The comparison of every section that meets a published figure. Raises InputError if none does."""
    blocks = [f"# {_safe(reference.name)}: ours beside the published figures"]
    blocks += [f"Published: {_safe(reference.citation)}; {_safe(reference.about)}.", ABOUT]
    met = [(section, pairs) for section in sections if (pairs := pairs_of(reference, section))]
    if not met:
        strategies = "; ".join(dict.fromkeys(figure.strategy for figure in reference.figures))
        raise InputError(f"no trial meets a published figure of {reference.name}, which are of: {strategies}")
    for section, pairs in met:
        blocks += _section(reference, section, pairs)
    return "\n\n".join(blocks) + "\n"


def _section(reference: Reference, section: Section, pairs: Sequence[Pair]) -> Iterator[str]:
    yield f"## {_safe(section.title)}"
    lines = list(differences(reference, section, pairs))
    yield "Beside chance, these differ:" if lines else "Model, data and protocol are the published ones."
    if lines:
        yield "\n".join(f"- {_safe(line)}" for line in lines)
    yield _scores(pairs)
    absent = len(reference.figures) - len({pair.figure for pair in pairs})
    if absent:
        yield f"Not run here: {absent} of the {len(reference.figures)} published cells."
    directions = directions_of(reference, pairs)
    yield f"### Directions: against `{reference.figures[0].strategy}`"
    if not directions:
        yield "None can be told: that strategy, or the others, were not run to the end."
        return
    yield _summary(directions)
    yield _by_strategy(directions)
    yield _directions(directions)
    yield ABOUT_DIRECTIONS


def _scores(pairs: Sequence[Pair]) -> str:
    head = ["task", "data", "strategy", "n", "mean", "published", "ours - published", "max", "published", "difference"]
    rows = []
    for pair in sorted(pairs, key=_by_cell):
        row, figure = pair.row, pair.figure
        gap = _gap(row.mean - figure.mean, row.mean_low - figure.mean, row.mean_high - figure.mean)
        count = str(row.restarts) if row.complete else f"{row.restarts}/{row.expected}"
        line = [_safe(pair.cell.task), percent(pair.cell.fraction), _safe(row.strategy), count, points(row.mean)]
        line += [points(figure.mean), gap, points(row.max), points(figure.max), points(row.max - figure.max, sign=True)]
        rows.append([*line, f"{row.failed}/{row.restarts}"])
    return _draw([*head, "failed"], rows, left=3)


def _by_cell(pair: Pair) -> tuple[str, float]:
    return pair.cell.task, -pair.cell.fraction  # stable: strategies stay in the order of the publication


def _gap(value: float, low: float, high: float) -> str:
    bounds = "" if math.isnan(low) else f" [{points(low, sign=True)}, {points(high, sign=True)}]"
    return points(value, sign=True) + bounds


def _summary(directions: Sequence[Direction]) -> str:
    count = Counter(direction.verdict for direction in directions)
    clear = Counter(direction.verdict for direction in directions if direction.clear)
    parts = [f"{count[name]} {said} ({clear[name]} clear)" for name, said in SAID.items() if count[name]]
    parts += [f"{count[name]} {name}" for name in ("no difference here", "equal in the paper") if count[name]]
    return f"Of {len(directions)} published differences: {', '.join(parts)}."


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
    return _draw(["strategy", "same", "opposite", "equal"], rows, left=1)


def _directions(directions: Sequence[Direction]) -> str:
    head = ["task", "data", "strategy", "of the", "published", "ours", "direction", "clear"]
    rows = []
    for direction in sorted(directions, key=lambda d: _by_cell(d.pair)):
        pair = direction.pair
        line = [_safe(pair.cell.task), percent(pair.cell.fraction), _safe(pair.row.strategy), direction.measure]
        line += [points(direction.published, sign=True), _gap(direction.ours, direction.low, direction.high)]
        known = "-" if math.isnan(direction.low) else "yes" if direction.clear else "no"
        rows.append([*line, direction.verdict, known])
    return _draw(head, rows, left=4)


def _draw(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> str:
    align = ["left"] * left + ["right"] * (len(head) - left)
    return tabulate(rows, headers=head, tablefmt="pipe", colalign=align, disable_numparse=True)


def _safe(text: str) -> str:
    return escape(text, "markdown")


# --- command line -----------------------------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m leaderboard.compare", description=__doc__.split("\n")[0])
    parser.add_argument("results", nargs="+", metavar="RESULTS", help="output folders, record folders or record files")
    parser.add_argument("--published", required=True, metavar="SUITE", help="e.g. lee20-table1, sharma24-surgical")
    parser.add_argument("--output", metavar="FILE.md", help="default: print it")
    given = parser.parse_args(argv)
    try:
        reference = load_reference(given.published)
        frame, problems = load(given.results)
        text = markdown(reference, tables.sections(frame))
        if given.output:
            write(Path(given.output).parent, Path(given.output).name, text)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    report(problems)
    print(f"Written: {escape(given.output)}" if given.output else text, end="\n" if given.output else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
