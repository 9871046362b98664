"""Check what [Lee20] proves and shows about mixout; write a report with figures.

examples:
  regbench theory --output DIR                                  # embedded digits, no download
  regbench theory --output DIR --source EMNIST --target MNIST   # the paper's protocol on IDX folders

Least squares (Supp. D), Theorem 1 and Corollary 1.1 by enumeration, and the digits experiment (section 4). Writes
DIR/report.md, DIR/values.json and three PNG figures.

exit codes: 0 the report is made, whether or not the directions hold; 2 the request was wrong; 130 interrupted
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.executors import variables
from fisher.common.command import make_parser, run_command


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = make_parser("regbench theory", __doc__)
    made.add_argument("--output", metavar="DIR", type=Path, required=True, help="folder of the report")
    made.add_argument("--quick", action="store_true", help="a look at the report: few restarts, epochs and steps")
    data = made.add_argument_group("data")
    data.add_argument(
        "--source", metavar="FOLDER", type=Path, help="digits to pretrain on: EMNIST, MNIST (IDX) or USPS"
    )
    data.add_argument("--target", metavar="FOLDER", type=Path, help="digits to fine-tune on")
    size = made.add_argument_group("size of the digits experiment")
    size.add_argument("--pretrain-epochs", metavar="N", type=int, nargs="+", help="one pretraining each (paper: 1..20)")
    size.add_argument("--pretrain-seeds", metavar="N", type=int, help="of each number of epochs (paper: 5)")
    size.add_argument("--finetune-epochs", metavar="N", type=int, help="paper: 5")
    size.add_argument("--restarts", metavar="N", type=int, help="paper: 10")
    size.add_argument(
        "--probabilities", metavar="P", type=float, nargs="+", help="of mixing or dropping, rising from 0"
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    words = sys.argv[1:] if argv is None else list(argv)

    def run(args: argparse.Namespace) -> None:
        variables.settle()
        from benchmarks.theory import experiments

        experiments.run(argparse.Namespace(**vars(args), words=words))

    return run_command(parser(), run, words)


if __name__ == "__main__":
    sys.exit(main())
