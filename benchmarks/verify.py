"""Check results: by their records, against the data that they name, and by training some of them again.

examples:
  regbench verify RESULTS                                  # what the records alone show
  regbench verify RESULTS --data                           # and every score, from stored predictions and dev labels
  regbench verify RESULTS --data-dir GLUE --rerun 3 --model MODEL   # and 3 random trials trained again

The records must be whole, their scores must follow from their own epochs, their restarts must be complete and paired.
With data, splits and dev sets are made anew and compared by hash, and every score and verdict is computed again from
the stored predictions, which must agree to 1e-9. --rerun K trains K random trials once more: their initial head and
batches must be the same, their training losses must agree on average within --loss-tolerance and their score within
--tolerance (equal software on an equal device gives equal bits; others differ in rounding, which training amplifies).
`python -m leaderboard.verify` checks the records alone, `python -m benchmarks.verify` always uses the data.

exit codes: 0 no problem; 1 at least one; 2 the request was wrong
"""

import argparse

from benchmarks.executors import variables
from benchmarks.options import DATA, PLUGIN
from fisher.common.command import Command, Flags, add, number, switch

WITH_DATA: Flags = {
    "--data": switch("GLUE from the hub; embedded tasks need nothing else"),
    **DATA,
    **PLUGIN,
}
AGAIN: Flags = {
    "--rerun": {"type": number(0), "default": 0, "metavar": "K", "help": "train K random trials again"},
    "--model": {"metavar": "HUB_ID|FOLDER", "help": "of those trials; not needed for pocket"},
    "--fisher-corpus": {"default": "", "metavar": "FILE|HUB_ID", "help": "as fisher_corpus of the run"},
    "--tolerance": {
        "type": number(0, kind=float),
        "default": 0.02,
        "metavar": "X",
        "help": "of a repeated score (default 0.02)",
    },
    "--loss-tolerance": {
        "type": number(0, kind=float),
        "default": 1e-3,
        "metavar": "X",
        "help": "of its losses (default 0.001)",
    },
    "--seed": {"type": int, "metavar": "N", "help": "which trials are drawn; default: a new one each time"},
    "--threads": {
        "type": number(1),
        "default": 1,
        "metavar": "N",
        "help": "CPU threads of the training (default 1)",
    },
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("results", nargs="+", metavar="RESULTS", help="output folders, record folders or archives")
    parser.add_argument("--allow-incomplete", **switch("missing restarts and errors are notes"))
    add(parser.add_argument_group("with data (each of these flags asks for it)"), WITH_DATA)
    add(parser.add_argument_group("with training"), AGAIN)


def check_with_data(args: argparse.Namespace) -> int:
    """Check records, data and code; 1 if there is a problem."""
    if args.rerun:
        variables.settle()
    from benchmarks.verification import checks

    return checks.run(args)


def check(args: argparse.Namespace) -> int:
    """Check the records, and what else the flags ask for; 1 if there is a problem."""
    from leaderboard import verify

    asked = args.data or args.data_dir or args.task_file or args.plugin or args.offline or args.rerun
    return check_with_data(args) if asked else verify.run(args)


main = Command("regbench verify", __doc__, add_flags, check_with_data)  # whether or not a flag asks for it
regbench = Command("regbench verify", __doc__, add_flags, check)

if __name__ == "__main__":
    raise SystemExit(main())
