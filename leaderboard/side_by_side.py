"""Published figures and our cells that meet them: pairs, what differs between them, and directions.

A cell of ours meets a published one of the same strategy and task (an embedded task stands in for its namesake) at the
same share of the training data, or at any share that the paper does not have.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from leaderboard import comparison
from leaderboard.cells import Cell, Row, is_synthetic
from leaderboard.published import Figure, Reference, task_key
from leaderboard.significance import MINIMUM
from leaderboard.tables import Section, field_text
from leaderboard.text import percent


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
    """A strategy against the first of its table: the difference published and ours; low and high NaN where unknown.

    restarts: of ours; failed: whether every run of both failed, so that their difference says nothing.
    """

    pair: Pair
    measure: str
    published: float
    ours: float
    low: float
    high: float
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
        """Whether the interval of ours excludes 0, where there are restarts enough to say so."""
        if math.isnan(self.low):
            return "-"
        return "too few" if self.restarts < MINIMUM else "yes" if self.low > 0 or self.high < 0 else "no"


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
    published, sides = pair.figure.mean - base.figure.mean, (pair.row, base.row)
    rest = (pair.row.restarts, all(row.failed == row.restarts for row in sides))
    if math.isnan(published):
        ours = pair.row.max - base.row.max
        return Direction(pair, "max", pair.figure.max - base.figure.max, ours, math.nan, math.nan, *rest)
    groups = [line["split"] for line in pair.row.trials]
    failed = [[line["failed"] for line in row.trials] for row in sides]
    made = comparison.compare(pair.row.scores, base.row.scores, groups, *failed)
    return Direction(pair, "mean", published, made.difference, made.low, made.high, *rest)


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
