"""Add results to a published board: its records, and the page that is made from them.

example:
  regbench merge SUBMISSION... --board leaderboard/published [--page LEADERBOARD.md] [--allow-incomplete]

The board is a folder with one archive of records (leaderboard.export says how it looks) of at most 15 MB. Board and
submissions together must pass leaderboard.verify; else nothing is written. A trial that the board has already must
have the same result; of two plans the wider one counts (records.plan). The page is the leaderboard.md of the
board's records, with links to docs/board.md, the board's page and its records. Without SUBMISSION it is made anew.

exit codes: 0 merged; 1 refused, each problem is named; 2 the request was wrong
"""

import argparse
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from fisher.common.command import Command
from fisher.common.errors import require
from fisher.common.files import write_file
from fisher.common.text import escape
from leaderboard.build import load
from leaderboard.export import NAME, pack, portable, write_submission
from leaderboard.records.files import is_run
from leaderboard.records.labels import read_labels
from leaderboard.records.methods import read_methods
from leaderboard.records.plan import PlanKey, place_of, read_plan
from leaderboard.records.schema import Record, RecordError
from leaderboard.records.store import good_records
from leaderboard.verify import report, verify

BOARD, PAGE = Path("leaderboard/published"), Path("LEADERBOARD.md")
MAX_BOARD = 15_000_000
ABOUT = (
    "[What was run, and how to read it with care](docs/board.md); "
    "[which p says what](docs/board.md#which-p-says-what); "
    "[the page](https://regbench.github.io/regbench/board/), which explains every column and has the rest; "
    "[the records](leaderboard/published)."
)


def page(board: Path | str) -> str:
    """Return the text of the page that a board makes. Raises InputError if the board has no records."""
    from leaderboard.render import markdown
    from leaderboard.tables.sections import sections

    return markdown.brief(sections(load([board])[0]), ABOUT)


def merge(
    submissions: Iterable[Path | str], board: Path | str, *, allow_incomplete: bool = False
) -> tuple[int, int, str | None]:
    """Add the records of `submissions` to `board`; return their number before and after.

    The third value is the report of what speaks against it: then nothing was written. Raises InputError for a board
    that grows too large, records that cannot be read or published, and trials that disagree.
    """
    board = Path(board)
    old = [board / NAME] if (board / NAME).is_file() else []
    given = [*old, *map(Path, submissions)]
    require(given, f"{escape(str(board))} holds no {NAME} yet; name what to merge into it")
    places, sets, problems = set[PlanKey](), set[str](), list[RecordError]()
    before = sum(1 for _ in good_records(old, problems))
    archive = pack(_noted(good_records(given, problems), places, sets))
    require(
        len(archive) <= MAX_BOARD, f"a board must not exceed {MAX_BOARD} bytes", len(archive), "publish fewer restarts"
    )
    folders = [board, *given]
    (methods, faults), (plan, others) = read_methods(folders), read_plan(folders)
    labels, wrong = read_labels(path for path in folders if not is_run(path))
    if unusable := [*problems, *faults, *others, *wrong]:
        raise unusable[0]
    plan = {place: count for place, count in plan.items() if place in places}
    labels = {name: values for name, values in labels.items() if name in sets}
    with tempfile.TemporaryDirectory() as folder:
        write_submission(Path(folder), archive, methods, plan, labels)
        findings, after = verify([folder], allow_incomplete=allow_incomplete)
    if any(finding.problem for finding in findings):
        names = dict.fromkeys(finding.check for finding in findings)
        return before, before, report(findings, after, list(names))
    write_submission(board, archive, methods, plan, labels)
    return before, after, None


def _noted(records: Iterable[Record], places: set[PlanKey], sets: set[str]) -> Iterator[Record]:
    """Yield records as they may be published; note what restarts can be planned for, and their dev sets."""
    for record in records:
        places.add(place_of(record["config"]))
        sets.add(record["config"]["dev_hash"])
        yield portable(record)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("submissions", nargs="*", metavar="SUBMISSION", help="what `export` wrote, or records")
    parser.add_argument("--board", default=BOARD, type=Path, metavar="DIR", help="default: %(default)s")
    parser.add_argument("--page", default=PAGE, type=Path, metavar="FILE", help="default: %(default)s")
    parser.add_argument("--allow-incomplete", action="store_true", help="also with missing restarts and errors")


def run(args: argparse.Namespace) -> int:
    """Merge and write the page; 1 if the board refuses."""
    before, after, refused = merge(args.submissions, args.board, allow_incomplete=args.allow_incomplete)
    if refused is not None:
        print(f"{refused}\nNothing was written.")
        return 1
    write_file(args.page, page(args.board))
    print(f"{escape(str(args.board))}: {after} records, {after - before} of them new; {escape(str(args.page))} is made")
    return 0


main = Command("regbench merge", __doc__, add_flags, run)

if __name__ == "__main__":
    raise SystemExit(main())
