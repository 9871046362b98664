"""Figures of results: every restart as a dot, box plots and curves over the share of the data, distance from w_pre.

    python -m leaderboard.figures RESULTS... --output DIR [--format svg|png] [--strategies SUM...]

Per section (model and protocol) and theme (light, dark): `restarts` and `deviation` for every share of the training
data, `fractions` and `curves` where there are several. The same records give the same SVG, byte for byte. Exit 0: made;
1: made, but some files could not be used as records; 2: the request was wrong.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from matplotlib.figure import Figure

from leaderboard import drawing, tables
from leaderboard.build import load, report
from leaderboard.cells import Cell
from leaderboard.drawing import MOST, THEMES, Theme
from leaderboard.errors import InputError
from leaderboard.records import write_atomic
from leaderboard.tables import Section
from leaderboard.text import escape

PANELS = 4  # tasks side by side
T = TypeVar("T")


def natural(strategy: str) -> list[tuple[int, float, str]]:
    """A key that sorts names by their words and numbers, so that p = 0.2 stands before p = 0.10."""
    parts = re.split(r"(\d+(?:\.\d+)?)", strategy)
    return [(1, float(part), "") if part[:1].isdigit() else (0, 0.0, part) for part in parts]


def in_order(section: Section, wanted: Sequence[str] | None) -> list[str]:
    """The section's strategies: the baseline first, the others by name; or those that are wanted, in their order."""
    names = {row.strategy for cell in section.cells for row in cell.rows if row.restarts}
    if wanted is not None:
        return [name for name in wanted if name in names]
    return sorted(names, key=lambda name: (name != section.baseline, natural(name)))


def leading(section: Section, strategies: Sequence[str]) -> list[str]:
    """At most `MOST` strategies, which one plot can tell apart: the baseline and the best ranked, in their order."""
    if len(strategies) <= MOST:
        return list(strategies)
    ranked = [place.strategy for place in section.ranking.places]
    best = sorted(strategies, key=lambda s: (s != section.baseline, ranked.index(s) if s in ranked else len(ranked)))
    return [name for name in strategies if name in best[:MOST]]


def figures(section: Section, theme: Theme, wanted: Sequence[str] | None = None) -> Iterator[tuple[str, Figure]]:
    """(name, figure) of everything that can be drawn of a section."""
    strategies = in_order(section, wanted)
    for fraction in sorted({cell.fraction for cell in section.cells}, reverse=True):
        cells = [cell for cell in section.cells if cell.fraction == fraction and _drawn(cell, strategies)]
        for number, some in enumerate(_parts(cells), start=1):
            name = f"{100 * fraction:g}" + (f"-{number}" if len(cells) > PANELS else "")
            yield f"restarts-{name}", drawing.strips(section.title, some, strategies, theme)
            if any(drawing.has_deviation(line) for cell in some for row in cell.rows for line in row.trials):
                yield f"deviation-{name}", drawing.strips(section.title, some, strategies, theme, "deviation")
    by_task = [cells for cells in _tasks(section, strategies) if len(cells) > 1]
    for number, part in enumerate(_parts(by_task), start=1):
        name, few = f"-{number}" if len(by_task) > PANELS else "", leading(section, strategies)
        title = section.title + (f"; {len(few)} of {len(strategies)} strategies" if len(few) < len(strategies) else "")
        yield f"fractions{name}", drawing.boxes(title, part, few, theme)
        yield f"curves{name}", drawing.curves(title, part, few, theme)


def _drawn(cell: Cell, strategies: Sequence[str]) -> bool:
    return any(row.restarts and row.strategy in strategies for row in cell.rows)


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), PANELS):
        yield items[start : start + PANELS]


def _tasks(section: Section, strategies: Sequence[str]) -> list[list[Cell]]:
    """The cells of each task and metric by falling share of the training data."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in sorted(section.cells, key=lambda cell: -cell.fraction):
        if _drawn(cell, strategies):
            groups.setdefault((cell.task, cell.metric), []).append(cell)
    return [groups[key] for key in sorted(groups)]


def prefix(section: Section) -> str:
    """The section's part of a file name: model, protocol and what tells it from others."""
    return re.sub(r"[^a-z0-9._]+", "-", section.title.replace("protocol ", "").lower())[:80].strip("-._")


def write_figures(
    sections: Iterable[Section], output: Path, kind: str, wanted: Sequence[str] | None = None
) -> list[Path]:
    """Write every figure in both themes (`NAME.svg`, `NAME-dark.svg`). Raises InputError if the folder refuses them."""
    written = []
    for section in sections:
        for theme in THEMES.values():
            with drawing.themed(theme):
                for name, figure in figures(section, theme, wanted):
                    dark = "-dark" if theme.name == "dark" else ""
                    path = output / f"{prefix(section)}-{name}{dark}.{kind}"
                    _write(path, drawing.to_bytes(figure, kind))
                    written.append(path)
    return written


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    except OSError as error:
        why = error.strerror or str(error)
        raise InputError(
            f"--output must be a folder that can be written, got {escape(str(path.parent))}: {why}"
        ) from None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m leaderboard.figures", description="Draw the figures of results.")
    parser.add_argument("results", nargs="+", metavar="RESULTS", help="output folders, record folders or record files")
    parser.add_argument("--output", required=True, metavar="DIR", help="where the figures go")
    parser.add_argument("--format", choices=("svg", "png"), default="svg")
    parser.add_argument("--strategies", nargs="+", metavar="SUM", help="which, in this order; default: all")
    parser.add_argument("--baseline", metavar="STRATEGY", help="default: as in the tables")
    given = parser.parse_args(argv)
    try:
        found, problems = load(given.results)
        sections = tables.sections(found, baseline=given.baseline)
        known = sorted({line["strategy"] for line in found})
        if unknown := [name for name in given.strategies or () if name not in known]:
            raise InputError(f"no record is of {escape(unknown[0])}; there are: {'; '.join(map(escape, known))}")
        written = write_figures(sections, Path(given.output), given.format, given.strategies)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    report(problems)
    for path in written:
        print(escape(str(path)))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
