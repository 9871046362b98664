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
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from fisher.common.command import Command
from fisher.common.errors import InputError
from fisher.common.text import escape
from leaderboard.audit import CHECKS, Finding, unrecorded
from leaderboard.build import build
from leaderboard.record_audit import TrialSummary, summarize
from leaderboard.records.plan import Plan, read_plan
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
    findings += check(trials, plan, allow_incomplete=allow_incomplete)
    findings += [Finding("tables", text) for path in given for text in disagreements(path, build)]
    return sorted(findings, key=lambda finding: not finding.problem), len(trials)


def check(
    trials: Sequence[TrialSummary], plan: Plan | None = None, *, allow_incomplete: bool = False
) -> Iterator[Finding]:
    """Yield what the checks find in trials, each of which came from a readable record."""
    found = [finding for function in CHECKS.values() for finding in function(trials)]
    for finding in [*found, *unrecorded(trials, plan or {})]:
        lenient = allow_incomplete and finding.check == "completeness"
        yield Finding(finding.check, finding.text, finding.problem and not lenient)


# --- a table next to the records --------------------------------------------------------------------------------------


def disagreements(folder: Path, build: Callable[..., str]) -> Iterator[str]:
    """Yield in what `leaderboard.csv` in `folder` differs from a table made anew of the records there.

    Nothing where there is no such file. `build(results, output)` makes the table.
    """
    path = folder / TABLE
    if not path.is_file():
        return
    with tempfile.TemporaryDirectory() as made_there:
        try:
            build([folder], made_there)
        except InputError:
            return  # nothing to compare with, which is said elsewhere
        given, made = _table(path), _table(Path(made_there) / TABLE)
    where = escape(str(path))
    if given is None or made is None:
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


def _table(path: Path) -> dict[tuple[str, ...], dict[str, str]] | None:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            lines = list(reader)
        if not {*KEY, *VALUES} <= set(reader.fieldnames or ()):
            return None
        keys = [tuple(line.get(key) or "" for key in (*KEY, *ADDED)) for line in lines]
        values = [{name: line[name] or "" for name in VALUES} for line in lines]
        return dict(zip(keys, values, strict=True))
    except (OSError, ValueError, csv.Error):
        return None


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
