"""Make the leaderboard from records alone: leaderboard.md, .csv and .json, table.tex, index.html, figures and a text.

example:
  regbench build RESULTS... --output DIR [--without-cost] [--without-figures] [--explain]

RESULTS are output folders of runs, folders of records, or single records. The same records give the same bytes, in
whatever order and from whatever folder they come; only index.html links to the records where they lie in DIR/records.
Figures go to DIR/figures (leaderboard.render.figures says which); those of other tables are removed there.

exit codes: 0 every file was used; 1 made, but some files could not be used as records (each is named on stderr); 2 the
request was wrong or no record was found, and nothing was written
"""

import argparse
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fisher.common.command import Command
from fisher.common.errors import InputError
from fisher.common.files import write_file
from fisher.common.memory import kept_objects
from fisher.common.text import escape
from leaderboard.records.methods import read_methods
from leaderboard.records.plan import read_plan
from leaderboard.records.schema import RecordError
from leaderboard.records.store import good_records, none_found

if TYPE_CHECKING:
    from leaderboard.tables.trials import TrialRow

FILES = ("leaderboard.md", "leaderboard.csv", "leaderboard.json", "table.tex", "index.html")
RECORDS = "records"
FIGURES = "figures"
_ENDS = (".svg", ".png", "-dark.svg", "-dark.png")  # every figure is written as all four
_FIGURE = re.compile(
    r"(.*-(?:ranks|(?:restarts|deviation)-[\d.e+-]+|(?:fractions|curves)(?:-\d+)?))(?:-dark)?\.(?:svg|png)"
)


def build(
    results: Iterable[Path | str],
    output: Path | str,
    *,
    without_cost: bool = False,
    with_figures: bool = False,
    baseline: str | None = None,
) -> str:
    """Write `FILES`, and the figures where they are asked for, into `output`; return the terminal's text.

    Drawing takes many times as long as everything else. Files that cannot be used are named on stderr and counted in
    the text. Raises InputError if nothing can be read, the folder cannot be written, or no strategy is `baseline`.
    """
    return _build(results, output, without_cost, with_figures, baseline)[0]


def _build(
    results: Iterable[Path | str], output: Path | str, without_cost: bool, with_figures: bool, baseline: str | None
) -> tuple[str, list[RecordError]]:
    from leaderboard import page  # here, not above: --help must not wait for the numerical libraries
    from leaderboard.render import csv as frame
    from leaderboard.render import json as document
    from leaderboard.render import latex, markdown, terminal
    from leaderboard.tables import sections as tables

    given = list(results)
    found, problems = load(given)
    methods, faults = read_methods(given)
    problems += faults
    sections = tables.sections(found, baseline=baseline)
    options: dict[str, Any] = {"without_cost": without_cost, "problems": len(problems)}
    write_file(Path(output) / "leaderboard.md", markdown.text(sections, **options))
    write_file(Path(output) / "leaderboard.csv", frame.csv(sections, without_cost=without_cost))
    content = document.document(sections, **options)
    old, new = _content(Path(output) / "leaderboard.json"), document.text(content).encode("utf-8")
    write_file(Path(output) / "leaderboard.json", new)
    write_file(Path(output) / "table.tex", latex.text(sections))
    linked = {f"{trial.id}.json" for trial in found} <= _files(Path(output) / RECORDS)
    write_file(Path(output) / "index.html", page.html(content, methods, records=f"{RECORDS}/" if linked else None))
    if with_figures:
        from leaderboard.render.figures import write_figures  # matplotlib: loaded where something is drawn alone

        remove_figures(Path(output) / FIGURES, but=write_figures(sections, Path(output) / FIGURES))
    elif old != new:
        remove_figures(Path(output) / FIGURES)
    report(problems)
    return terminal.text(sections, **options), problems


def _files(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except OSError:
        return set()


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def remove_figures(folder: Path, *, but: Iterable[str] = ()) -> None:
    """Remove the figures that an earlier build wrote, known by name and by being four; a user's own files stay.

    Raises InputError if one cannot be removed.
    """
    there = _files(folder)
    found = {name: match[1] for name in there if (match := _FIGURE.fullmatch(name))}
    whole = {name for name, stem in found.items() if there.issuperset(stem + end for end in _ENDS)}
    for name in sorted(whole.difference(but)):
        try:
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            where = escape(str(folder))
            raise InputError(
                f"{escape(name)} of an earlier build cannot be removed from {where}: {error.strerror}"
            ) from None


def load(results: Iterable[Path | str]) -> "tuple[list[TrialRow], list[RecordError]]":
    """Return one row per trial below `results`, and what could not be used. Raises InputError if no record could."""
    from leaderboard.records.labels import read_labels
    from leaderboard.tables import ensembles, reading

    given = [Path(path) for path in results]
    (plan, problems), (labels, faults) = read_plan(given), read_labels(given)
    with kept_objects():
        found, conflicts = reading.trials(good_records(given, problems), plan, labels)
    found, wrong = ensembles.check_labels(found)
    problems += [*faults, *conflicts, *wrong]
    if not found:
        report(problems)
        raise none_found(given)
    return found, problems


def report(problems: Iterable[RecordError]) -> None:
    """Name on stderr what could not be used."""
    for problem in problems:
        print(f"left out: {problem}", file=sys.stderr)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("results", nargs="+", metavar="RESULTS", help="output folders, record folders or record files")
    parser.add_argument("--output", required=True, metavar="DIR", help="where the files go")
    parser.add_argument(
        "--without-cost", action="store_true", help="leave out time and memory, which differ between runs"
    )
    parser.add_argument("--without-figures", action="store_true", help=f"leave out {FIGURES}/, which takes longest")
    parser.add_argument(
        "--baseline", metavar="STRATEGY", help="compare with this one (default: the BERT authors' recipe, else none)"
    )
    parser.add_argument("--explain", action="store_true", help="say what the columns of the tables mean")


def run(args: argparse.Namespace) -> int:
    """Write the files, print the tables; 1 if files could not be used."""
    figures = not args.without_figures
    text, problems = _build(args.results, args.output, args.without_cost, figures, args.baseline)
    if args.explain:
        from leaderboard.render import terminal

        print(terminal.glossary(without_cost=args.without_cost))
    print(text, end="")
    made = (*FILES, *([f"{FIGURES}/"] if figures else []))
    print(f"\nWritten to {escape(str(Path(args.output)))}: {', '.join(made)}")
    return 1 if problems else 0


main = Command("regbench build", __doc__, add_flags, run)

if __name__ == "__main__":
    raise SystemExit(main())
