"""Bring records of earlier versions forward: the same trials and results under the identity that they have today.

example:
  regbench upgrade leaderboard/archive --model MODEL --data-dir GLUE --output upgraded

Added are the hashes of training texts, tokenizer and model configuration; a strategy whose name has changed its meaning
gets the name of what it ran (mixout's layers=paper became layers=fed); versions of its techniques are today's; the
failed-run rule judges the stored predictions again. Split and dev set must be those that the record names. A record
that cannot be brought forward is left out and named: it stays readable where it is. Check the result by training:
regbench verify upgraded --rerun 5.

exit codes: 0 all were brought forward; 1 some were left out; 2 the request was wrong
"""

import argparse
from pathlib import Path

from benchmarks.options import DATA
from fisher.common.command import Command, add


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("results", nargs="+", metavar="RESULTS", help="output folders, record folders or archives")
    parser.add_argument("--model", required=True, metavar="HUB_ID|FOLDER", help="the model of the records")
    add(parser, DATA)
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder of the new records")


main = Command("regbench upgrade", __doc__, add_flags, "benchmarks.verification.upgrading")

if __name__ == "__main__":
    raise SystemExit(main())
