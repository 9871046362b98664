"""Published tables and our cells that meet them: pairs, what differs between them, and directions.

A cell of ours meets a published one of the same strategy and task (an embedded task stands in for its namesake) at the
same share of the training data, or at any share that the paper does not have.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from leaderboard.render.text import percent
from leaderboard.stats.comparison import Comparison
from leaderboard.stats.significance import ALPHA, MINIMUM
from leaderboard.tables.cells import Cell, Row, compare_rows, is_synthetic, shared
from leaderboard.tables.published import Figure, Reference, references, task_key
from leaderboard.tables.sections import Section, field_text

OPEN = re.compile(r", (form|layers|gradient)=\w+")  # of a decay, of mixout
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

    @property
    def gap(self) -> tuple[float, float, float]:
        """Our mean - the published one, low and high: from resampling our restarts alone; NaN where none is printed."""
        row = self.row
        return row.mean - self.figure.mean, row.mean_low - self.figure.mean, row.mean_high - self.figure.mean


@dataclass(frozen=True)
class Direction:
    """A strategy against the first of its table: the difference published and ours; low and high NaN where unknown.

    p: sign flip of ours, uncorrected, NaN where nothing is tested; restarts: of ours; failed: whether every
    run of both failed, so that their difference says nothing.
    """

    pair: Pair
    measure: str
    published: float
    ours: float
    low: float
    high: float
    p: float
    restarts: int
    failed: bool

    @property
    def verdict(self) -> str:
        """Whether both differences have the same sign."""
        if self.failed:
            return "all runs failed"
        if abs(self.published) < 5e-5:
            return "equal in the paper"
        if self.ours == 0:
            return "no difference here"
        return "same" if self.published * self.ours > 0 else "opposite"

    @property
    def clear(self) -> str:
        """Whether the sign flip of ours tells the two apart, where there are restarts enough to test."""
        if math.isnan(self.low):
            return "-"
        return "too few" if self.restarts < MINIMUM else "yes" if self.p < ALPHA else "no"


@dataclass(frozen=True)
class Meeting:
    """A published table and a section of ours: the pairs, what differs but chance, directions, and their sum."""

    reference: Reference
    pairs: tuple[Pair, ...]
    differences: tuple[str, ...]
    directions: tuple[Direction, ...]

    @property
    def absent(self) -> int:
        """How many published cells were not run here."""
        return len(self.reference.figures) - len({pair.figure for pair in self.pairs})

    @property
    def summary(self) -> str:
        """How many published differences have the same sign here."""
        count = Counter(direction.verdict for direction in self.directions)
        clear = Counter(direction.verdict for direction in self.directions if direction.clear == "yes")
        parts = [f"{count[name]} {said} ({clear[name]} clear)" for name, said in SAID.items() if count[name]]
        parts += [f"{count[name]}: {name}" for name in sorted(count.keys() - SAID.keys())]
        return f"Of {len(self.directions)} published differences: {', '.join(parts)}."


def meeting(reference: Reference, section: Section) -> Meeting | None:
    """What a section has to say to a published table, None where nothing meets."""
    pairs = pairs_of(reference, section)
    if not pairs:
        return None
    differing = tuple(differences(reference, section, pairs))
    return Meeting(reference, tuple(pairs), differing, tuple(directions_of(reference, pairs)))


def meetings(section: Section) -> list[Meeting]:
    """Every published table that tells a section in which direction something goes."""
    found = [meeting(reference, section) for reference in references()]
    return [made for made in found if made and made.directions]


def plain(strategy: str) -> str:
    """A strategy as papers write it: without the number of a variant, and without what a paper leaves open."""
    return OPEN.sub("", strategy.split(" (variant ")[0])


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
    first = reference.first
    bases = {pair.place: pair for pair in pairs if pair.figure.strategy == first}
    found = []
    for pair in pairs:
        base = bases.get(pair.place)
        scored = not (math.isnan(pair.figure.mean) and math.isnan(pair.figure.max))
        if base and scored and pair.figure.strategy != first and (made := compare_rows(pair.row, base.row)):
            found.append(_direction(pair, base, made))
    return found


def _direction(pair: Pair, base: Pair, made: Comparison) -> Direction:
    published, sides = pair.figure.mean - base.figure.mean, (pair.row, base.row)
    rest = (made.restarts, all(row.failed == row.restarts for row in sides))
    if math.isnan(published):
        tops = [max(lines[side]["score"] for lines in shared(*sides)) for side in (0, 1)]
        unknown = (math.nan, math.nan, math.nan)
        return Direction(pair, "max", pair.figure.max - base.figure.max, tops[0] - tops[1], *unknown, *rest)
    return Direction(pair, "mean", published, made.difference, made.low, made.high, made.p, *rest)


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
