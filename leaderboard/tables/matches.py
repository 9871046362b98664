"""Published tables and our results that match them: what differs between the two, and directions.

A published figure is matched by our cells of the same strategy and task (an embedded task counts as its namesake) at
the same share of the training data, or at any share that the paper does not have.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from leaderboard.render.text import percent
from leaderboard.stats.significance import ALPHA, MINIMUM
from leaderboard.tables.cells import Cell, common, compare_rows
from leaderboard.tables.names import is_synthetic
from leaderboard.tables.published import Figure, Reference, references, task_key
from leaderboard.tables.rows import Row
from leaderboard.tables.sections import Section, field_text

OPEN = re.compile(r", (form|layers|gradient)=\w+")  # of a decay, of mixout
SYNTHETIC = "data: synthetic embedded tasks instead of GLUE; scores cannot be compared, directions at most"
SAID = {"same": "have the same sign here", "opposite": "have the opposite sign here"}


@dataclass(frozen=True)
class Direction:
    """A strategy against the first of its table: the difference published and ours; low and high NaN where unknown.

    p: sign flip of ours, uncorrected, NaN where nothing is tested; restarts, units: of ours; failed: whether every run
    of both failed, so that their difference says nothing.
    """

    measure: str
    published: float
    ours: float
    low: float
    high: float
    p: float
    restarts: int
    units: int
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
    def significant(self) -> str:
        """Whether our two differ significantly (sign flip), where there are units enough to test."""
        if self.measure == "max":
            return "-"
        return "too few" if self.units < MINIMUM else "yes" if self.p < ALPHA else "no"


@dataclass(frozen=True)
class Match:
    """A published figure and a row of ours that matches it, and how both compare with the first of the table.

    direction: None for the first strategy itself, and where one of the two lacks a restart or a figure.
    """

    figure: Figure
    cell: Cell
    row: Row
    direction: Direction | None = None

    @property
    def cells(self) -> tuple[str, float, str, str, str, float]:
        """The two cells, the published one and ours, in which strategies are compared."""
        cell = self.cell
        return self.figure.task, self.figure.fraction, cell.task, cell.metric, cell.data, cell.fraction

    @property
    def gap(self) -> tuple[float, float, float]:
        """Return our mean - the published one, low and high (of our restarts alone); NaN where none is printed."""
        row = self.row
        return row.mean - self.figure.mean, row.mean_low - self.figure.mean, row.mean_high - self.figure.mean


@dataclass(frozen=True)
class PublishedTable:
    """A published table and our matches of one section: and what differs but chance."""

    reference: Reference
    matches: tuple[Match, ...]
    differences: tuple[str, ...]

    @property
    def directions(self) -> list[tuple[Match, Direction]]:
        """The matches that have a direction."""
        return [(match, match.direction) for match in self.matches if match.direction]

    @property
    def absent(self) -> int:
        """How many published cells were not run here."""
        return len(self.reference.figures) - len({match.figure for match in self.matches})

    @property
    def summary(self) -> str:
        """How many published differences have the same sign here."""
        count = Counter(direction.verdict for _, direction in self.directions)
        significant = Counter(direction.verdict for _, direction in self.directions if direction.significant == "yes")
        said = [(name, text) for name, text in SAID.items() if count[name]]
        parts = [f"{count[name]} {text} ({significant[name]} significant)" for name, text in said]
        parts += [f"{count[name]}: {name}" for name in sorted(count.keys() - SAID.keys())]
        return f"Of {len(self.directions)} published differences: {', '.join(parts)}."


def published_table(reference: Reference, section: Section) -> PublishedTable | None:
    """Return a published table with its matches in a section, None where there is none."""
    matches = matches_of(reference, section)
    if not matches:
        return None
    bases = {match.cells: match for match in matches if match.figure.strategy == reference.first}
    directed = tuple(replace(match, direction=_direction(match, bases.get(match.cells))) for match in matches)
    return PublishedTable(reference, directed, tuple(differences(reference, section, matches)))


def published_tables(section: Section) -> list[PublishedTable]:
    """Return every published table with a direction that a section can confirm or contradict."""
    return [made for one in references() if (made := published_table(one, section)) and made.directions]


def as_published(strategy: str) -> str:
    """Return a strategy as papers write it: without the number of a variant, and without what a paper leaves open."""
    return OPEN.sub("", strategy.split(" (variant ")[0])


def matches_of(reference: Reference, section: Section) -> list[Match]:
    """Return every published figure with each row of the section that matches, in the order of the publication."""
    return [
        Match(figure, cell, row)
        for figure in reference.figures
        for cell in section.cells
        if task_key(cell.task) == task_key(figure.task)
        and figure.fraction == (cell.fraction if cell.fraction in reference.fractions else reference.fractions[0])
        for row in cell.rows
        if as_published(row.strategy) == figure.strategy and row.restarts
    ]


def _direction(match: Match, base: Match | None) -> Direction | None:
    """Return a strategy against the first of the published table, where both have all restarts."""
    if base is None or match.figure.strategy == base.figure.strategy:
        return None
    made = compare_rows(match.row, base.row)
    if made is None or (math.isnan(match.figure.mean) and math.isnan(match.figure.max)):
        return None
    published, rows = match.figure.mean - base.figure.mean, (match.row, base.row)
    rest = (made.restarts, made.units, all(row.failed == row.restarts for row in rows))
    if math.isnan(published):
        tops = [max(trials[side].score for trials in common(*rows)) for side in (0, 1)]
        unknown = (math.nan, math.nan, math.nan)
        return Direction("max", match.figure.max - base.figure.max, tops[0] - tops[1], *unknown, *rest)
    return Direction("mean", published, made.difference, made.low, made.high, made.p, *rest)


def differences(reference: Reference, section: Section, matches: Sequence[Match]) -> list[str]:
    """Return everything but chance in which our runs differ from the published ones, one sentence each."""
    models = sorted({match.figure.model for match in matches} - {section.model})
    other = {match.cell.fraction for match in matches if match.cell.fraction not in reference.fractions}
    shares = ", ".join(map(percent, sorted(other, reverse=True)))
    fields = [(key, section.protocol.get(key, "not set"), value) for key, value in reference.protocol.items()]
    unstated = [f"{key} {field_text(section.protocol[key])}" for key in reference.unstated if key in section.protocol]
    ours, theirs = {match.row.restarts for match in matches}, {match.figure.restarts for match in matches}
    stated = ", ".join("not stated" if count is None else str(count) for count in sorted(theirs, key=str))
    scored = sorted({match.figure.split for match in matches if match.figure.split.startswith("test")})
    metrics = sorted(
        {(p.cell.task, p.cell.metric, p.figure.metric) for p in matches if p.cell.metric != p.figure.metric}
    )
    said = [
        (models, f"model: {section.model}, published: {', '.join(models)}"),
        (any(is_synthetic(match.cell.task) for match in matches), SYNTHETIC),
        (other, f"training data: {shares}, published: {' and '.join(map(percent, reference.fractions))}"),
        *((our != value, f"{key}: {field_text(our)}, published: {field_text(value)}") for key, our, value in fields),
        (unstated, f"not stated in the paper, ours: {', '.join(unstated)}"),
        (ours != theirs, f"restarts: {', '.join(map(str, sorted(ours)))}, published: {stated}"),
        (scored, f"scored on: dev, published: {', '.join(scored)}"),
        *((True, f"metric of {task}: {our}, published: {its or 'not stated'}") for task, our, its in metrics),
        *((True, f"the publication: {note}") for note in sorted({match.figure.note for match in matches} - {""})),
    ]
    return [sentence for differs, sentence in said if differs]
