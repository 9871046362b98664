"""The figures of results, which `regbench build` writes: every restart as a dot, boxes and curves, ranks.

Per section (model and protocol): `ranks`, the critical-difference diagram; `restarts` and `deviation` (squared distance
from w_pre) for every share of the training data; `fractions` and `curves` where there are several. Each as SVG and PNG,
for light and for dark pages. The same records give the same bytes.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from matplotlib.figure import Figure

from fisher.common.files import write_file
from leaderboard.render import drawing
from leaderboard.render.drawing import MOST
from leaderboard.render.look import THEMES, Theme, themed, to_files
from leaderboard.tables.cells import TASK, Cell
from leaderboard.tables.sections import Section
from leaderboard.tables.trials import grouped

PANELS = 4  # tasks side by side
T = TypeVar("T")


def natural(strategy: str) -> list[tuple[int, float, str]]:
    """Return a key that sorts names by their words and numbers, so that p = 0.2 stands before p = 0.10."""
    parts = re.split(r"(\d+(?:\.\d+)?)", strategy)
    return [(1, float(part), "") if part[:1].isdigit() else (0, 0.0, part) for part in parts]


def in_order(section: Section) -> list[str]:
    """Return the section's strategies with results: the baseline first, the others by name."""
    names = {row.strategy for cell in section.cells for row in cell.rows if row.restarts}
    return sorted(names, key=lambda name: (name != section.baseline, natural(name)))


def leading(section: Section, strategies: Sequence[str]) -> list[str]:
    """Return at most `MOST` strategies, as many as one plot has looks for: the baseline and the best ranked."""
    ranked = [entry.strategy for entry in section.ranking.strategies]
    best = sorted(strategies, key=lambda s: (s != section.baseline, ranked.index(s) if s in ranked else len(ranked)))
    return [name for name in strategies if name in best[:MOST]]


def figures(section: Section, theme: Theme) -> Iterator[tuple[str, Figure]]:
    """Yield (name, figure) of everything that can be drawn of a section."""
    strategies = in_order(section)
    if len(section.ranking.strategies) > 1:
        yield "ranks", drawing.ranks(section.title, section.ranking, theme)
    for fraction in sorted({cell.fraction for cell in section.cells}, reverse=True):
        cells = [cell for cell in section.cells if cell.fraction == fraction and _drawn(cell)]
        for number, some in enumerate(_parts(cells), start=1):
            name = f"{100 * fraction:g}" + (f"-{number}" if len(cells) > PANELS else "")
            yield f"restarts-{name}", drawing.strips(section.title, some, strategies, theme)
            if any(trial.deviation > 0 for cell in some for row in cell.rows for trial in row.trials):
                yield f"deviation-{name}", drawing.strips(section.title, some, strategies, theme, "deviation")
    falling = sorted(filter(_drawn, section.cells), key=lambda cell: -cell.fraction)
    by_task = [cells for _, cells in grouped(falling, *TASK) if len(cells) > 1]
    for number, part in enumerate(_parts(by_task), start=1):
        name, few = f"-{number}" if len(by_task) > PANELS else "", leading(section, strategies)
        title = section.title + (f"; {len(few)} of {len(strategies)} strategies" if len(few) < len(strategies) else "")
        yield f"fractions{name}", drawing.boxes(title, part, few, theme)
        yield f"curves{name}", drawing.curves(title, part, few, theme)


def _drawn(cell: Cell) -> bool:
    return any(row.restarts for row in cell.rows)


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), PANELS):
        yield items[start : start + PANELS]


def prefixes(sections: Sequence[Section]) -> list[str]:
    """Return the sections' parts of file names: model, protocol and what differs; a number where that is cut."""
    names = [
        re.sub(r"[^a-z0-9._]+", "-", section.title.replace("protocol ", "").lower())[:80].strip("-._")
        for section in sections
    ]
    return [name if names.count(name) == 1 else f"{name}-{at + 1}" for at, name in enumerate(names)]


def write_figures(sections: Sequence[Section], folder: Path) -> list[str]:
    """Write every figure (`NAME.svg`, `NAME.png`, `NAME-dark.svg`, `NAME-dark.png`); return the names of the files.

    Raises InputError if the folder refuses them.
    """
    written = []
    for prefix, section in zip(prefixes(sections), sections, strict=True):
        for end, theme in THEMES.items():
            with themed(theme):
                for name, figure in figures(section, theme):
                    for kind, content in to_files(figure).items():
                        written.append(f"{prefix}-{name}{end}.{kind}")
                        write_file(folder / written[-1], content)
    return written
