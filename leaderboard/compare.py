"""Compare our results with published tables.

examples:
  regbench compare results/lee20-table1 --published lee20-table1
  regbench compare RESULTS --published sharma24-surgical --output FILE.md

Every published figure is shown with the cell of ours that matches it, the difference with its interval, and all that
differs besides chance (model, protocol, data). Directions are differences to the first strategy of the published
table: does mixout beat the BERT authors' recipe here too?

exit codes: 0 made; 1 made, but some files could not be used as records; 2 the request was wrong, or nothing matches
"""

import argparse
from pathlib import Path

from fisher.common.command import Command
from fisher.common.files import write_file
from fisher.common.text import escape
from leaderboard.build import load, report


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("results", nargs="+", metavar="RESULTS", help="output folders, record folders or record files")
    parser.add_argument("--published", required=True, metavar="SUITE", help="e.g. lee20-table1, sharma24-surgical")
    parser.add_argument("--output", metavar="FILE.md", help="default: print it")


def run(args: argparse.Namespace) -> int:
    """Write or print the comparison; 1 if files could not be used."""
    from leaderboard.render.comparison import markdown
    from leaderboard.tables.published import load_reference
    from leaderboard.tables.sections import sections

    reference = load_reference(args.published)
    found, problems = load(args.results)
    text = markdown(reference, sections(found))
    if args.output:
        write_file(Path(args.output), text)
    report(problems)
    print(f"Written: {escape(args.output)}" if args.output else text, end="\n" if args.output else "")
    return 1 if problems else 0


main = Command("regbench compare", __doc__, add_flags, run)

if __name__ == "__main__":
    raise SystemExit(main())
