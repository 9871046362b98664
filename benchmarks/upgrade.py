"""Bring records of earlier versions forward: the same trials and results under the identity that they have today.

example:
  regbench upgrade leaderboard/published --model MODEL --data-dir GLUE --output upgraded

Added are the hashes of training texts, tokenizer and model configuration; a strategy whose name has changed its meaning
gets the name of what it ran (mixout's layers=paper became layers=fed); versions of its techniques are today's; the
failed-run rule judges the stored predictions again. Split and dev set must be those that the record names. A record
that cannot be brought forward is left out and named: it stays readable where it is. Check the result by training:
regbench verify upgraded --rerun 5.

exit codes: 0 all were brought forward; 1 some were left out; 2 the request was wrong
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from fisher.common.command import make_parser, run_command


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = make_parser("regbench upgrade", __doc__)
    made.add_argument("results", nargs="+", metavar="RESULTS", help="output folders, record folders or archives")
    made.add_argument("--model", required=True, metavar="HUB_ID|FOLDER", help="the model of the records")
    made.add_argument("--data-dir", metavar="DIR", help="original GLUE files; without it GLUE comes from the hub")
    made.add_argument("--task-file", metavar="FILE.toml", help="your own task")
    made.add_argument("--offline", action="store_true", help="use local files and caches only")
    made.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder of the new records")
    return made


def run(args: argparse.Namespace) -> int:
    """Bring the records forward; 1 if some were left out."""
    from benchmarks.verification import upgrading

    return upgrading.run(args)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return run_command(parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
