"""Check what [Lee20] proves and shows about mixout; write a report with figures.

examples:
  regbench theory --output DIR                                  # embedded digits, no download
  regbench theory --output DIR --source EMNIST --target MNIST   # the paper's protocol on IDX folders

Least squares (Supp. D), Theorem 1 and Corollary 1.1 by enumeration, and the digits experiment (section 4). Writes
DIR/report.md, DIR/values.json and three PNG figures.

exit codes: 0 the report is made, whether or not the directions hold; 2 the request was wrong; 130 interrupted
"""

import argparse
from pathlib import Path

from benchmarks.executors import variables
from fisher.common.command import Command, Flags, add, switch

DATA: Flags = {
    "--source": {"metavar": "FOLDER", "type": Path, "help": "digits to pretrain on: EMNIST, MNIST (IDX) or USPS"},
    "--target": {"metavar": "FOLDER", "type": Path, "help": "digits to fine-tune on"},
}
SIZE: Flags = {
    "--pretrain-epochs": {"metavar": "N", "type": int, "nargs": "+", "help": "one pretraining each (paper: 1..20)"},
    "--pretrain-seeds": {"metavar": "N", "type": int, "help": "of each number of epochs (paper: 5)"},
    "--finetune-epochs": {"metavar": "N", "type": int, "help": "paper: 5"},
    "--restarts": {"metavar": "N", "type": int, "help": "paper: 10"},
    "--probabilities": {
        "metavar": "P",
        "type": float,
        "nargs": "+",
        "help": "of mixing or dropping, rising from 0",
    },
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("--output", metavar="DIR", type=Path, required=True, help="folder of the report")
    parser.add_argument("--quick", **switch("a look at the report: few restarts, epochs and steps"))
    add(parser.add_argument_group("data"), DATA)
    add(parser.add_argument_group("size of the digits experiment"), SIZE)


def run(args: argparse.Namespace) -> None:
    """Measure, and write the report."""
    variables.settle()
    from benchmarks.theory import experiments

    experiments.run(args)


main = Command("regbench theory", __doc__, add_flags, run)

if __name__ == "__main__":
    raise SystemExit(main())
