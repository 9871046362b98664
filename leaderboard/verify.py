"""Check results with nothing but the records themselves.

example:
  regbench verify RESULTS... [--allow-incomplete]

What is looked at: every record is whole and says what its name says; its score follows from its own epochs and its
verdict from its score; restarts 0..n-1 are there for every strategy (n as in plan.json next to the records, else as
many as any strategy has), under the seeds that their numbers give; all strategies saw the same split, dev set, initial
head and batches; the code that a record names is that of its strategy; tables next to the records say what the records
say. What records cannot show: that predictions belong to the labels (regbench verify --data-dir) and that they come
from training (its --rerun K).

exit codes: 0 no problem; 1 at least one; 2 the request was wrong
"""

import argparse
import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from fisher.common.command import Command
from fisher.common.errors import InputError
from fisher.common.text import escape
from leaderboard.audit import CHECKS, audit
from leaderboard.build import load
from leaderboard.record_audit import Finding, TrialSummary, summarize
from leaderboard.records.plan import read_plan
from leaderboard.records.schema import Record, RecordError
from leaderboard.records.store import good_records, none_found

TABLE = "leaderboard.csv"
KEY = ("model", "task", "fraction", "strategy", "protocol_hash", "weights", "data")
ADDED = ("rule", "size")  # tables made before these columns lack them
VALUES = ("restarts", "mean", "std", "max", "failed", "failed_plain", "mean_not_failed")
TOLERANCE = 1e-9
SHOWN = 20
SCOPE = (
    "Records alone cannot show that predictions belong to the dev labels (regbench verify RESULTS --data) nor "
    "that they come from training (--rerun K)."
)


def verify(
    results: Iterable[Path | str],
    *,
    allow_incomplete: bool = False,
    also: Callable[[Record], None] | None = None,
) -> tuple[list[Finding], int]:
    """Return everything worth saying about the records below `results`, problems first, and their number.

    Args:
        allow_incomplete: missing restarts and errors are notes instead of problems.
        also: called with every usable record, for checks that need more than its summary.

    Raises InputError if there is no record at all.
    """
    given = [Path(path) for path in results]
    plan, faults = read_plan(given)
    trials, problems = list[TrialSummary](), list[RecordError]()
    for record in good_records(given, problems):
        trials.append(summarize(record, plan))
        if also is not None:
            also(record)
    findings = [Finding("completeness", str(fault)) for fault in faults]
    findings += [Finding("records", str(problem)) for problem in problems]
    if not trials and not findings:
        raise none_found(given)
    for finding in audit(trials, plan):
        lenient = allow_incomplete and finding.check == "completeness"
        findings.append(Finding(finding.check, finding.text, finding.problem and not lenient))
    findings += [Finding("tables", text) for path in given for text in disagreements(path, remade)]
    return sorted(findings, key=lambda finding: not finding.problem), len(trials)


# --- a table next to the records --------------------------------------------------------------------------------------


def remade(folder: Path) -> str:
    """Return the table that the records in a folder make. Raises InputError where there are none."""
    from leaderboard.render.csv import csv as table_of  # here, not above: --help must not wait for numerical libraries
    from leaderboard.tables.sections import sections

    return table_of(sections(load([folder])[0]))


def disagreements(folder: Path, remade: Callable[[Path], str]) -> Iterator[str]:
    """Yield in what `leaderboard.csv` in `folder` differs from the table that `remade` makes of the records there.

    Nothing where there is no such file.
    """
    path = folder / TABLE
    if not path.is_file():
        return
    where = escape(str(path))
    try:
        made = _lines(remade(folder))
    except InputError:
        return  # nothing to compare with, which is said elsewhere
    try:
        given = _lines(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, csv.Error):
        yield f"{where} is no table of this tool; make it anew"
        return
    for key in sorted(given.keys() | made.keys()):
        if wrong := _differences(given.get(key), made.get(key)):
            yield f"{where}: {_name(key)}{wrong}"


def _differences(given: Mapping[str, str] | None, made: Mapping[str, str] | None) -> str:
    if made is None:
        return " has no records"
    if given is None:
        return " has records but no line"
    wrong = [name for name in VALUES if not _equal(given[name], made[name])]
    told = (f"{name} {escape(given[name]) or 'none'}, by the records {made[name] or 'none'}" for name in wrong)
    return f": {'; '.join(told)}" if wrong else ""


def _lines(table: str) -> dict[tuple[str, ...], dict[str, str]]:
    """Return the values of each line of a table. Raises ValueError or csv.Error for anything else."""
    reader = csv.DictReader(io.StringIO(table, newline=""))
    lines = {tuple(line.get(key) or "" for key in (*KEY, *ADDED)): line for line in reader}
    if not {*KEY, *VALUES} <= set(reader.fieldnames or ()):
        raise ValueError
    return {key: {name: line[name] or "" for name in VALUES} for key, line in lines.items()}


def _equal(given: str, made: str) -> bool:
    if given == made:
        return True
    try:
        return math.isclose(float(given), float(made), rel_tol=0, abs_tol=TOLERANCE)
    except (TypeError, ValueError):
        return False


def _name(key: tuple[str, ...]) -> str:
    rule = f" ({key[-2]})" if key[-2] else ""
    return escape(f"{key[1]} {key[2]}, {key[3]}{rule}")


# --- the command ------------------------------------------------------------------------------------------------------


def report(findings: Sequence[Finding], count: int, names: Sequence[str]) -> str:
    """Return the findings as text: one line per check that was made, and what it found below it."""
    lines = [f"{count} records"]
    for name in names:
        own = [finding for finding in findings if finding.check == name]
        bad = sum(finding.problem for finding in own)
        verdict = f"{bad} PROBLEM{'S' if bad > 1 else ''}" if bad else "ok"
        lines.append(f"  {name:14s} {verdict}")
        shown = [f"{'    problem:' if finding.problem else '    note:'} {escape(finding.text)}" for finding in own]
        lines += shown[:SHOWN]
        if len(shown) > SHOWN:
            lines.append(f"    and {len(shown) - SHOWN} more")
    problems = sum(finding.problem for finding in findings)
    verdict = f"NOT verified: {problems} problem{'s' if problems > 1 else ''}." if problems else "Verified: no problem."
    return "\n".join([*lines, verdict])


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("results", nargs="+", metavar="RESULTS", help="output folders, record folders or archives")
    parser.add_argument(
        "--allow-incomplete", action="store_true", help="missing restarts and errors are notes, not problems"
    )


def run(args: argparse.Namespace) -> int:
    """Check the records, print the report; 1 if there is a problem."""
    findings, count = verify(args.results, allow_incomplete=args.allow_incomplete)
    print(report(findings, count, ("records", *CHECKS, "tables")))
    print(SCOPE)
    return 1 if any(finding.problem for finding in findings) else 0


main = Command("regbench verify", __doc__, add_flags, run)

if __name__ == "__main__":
    raise SystemExit(main())
