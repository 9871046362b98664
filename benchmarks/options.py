"""The command line of `benchmarks.run`: its flags, their texts, and what each of them may be."""

import argparse
import math
from typing import Any

from benchmarks import tracking
from benchmarks.executors.data_parallel import processes
from fisher.common.command import number
from fisher.common.errors import require

DEFAULT_OUTPUT = "results"
MOST = 10_000  # workers, threads, trials on a GPU


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("--list", choices=("suites", "tasks"), help="show the names that --suite or --tasks takes")
    _add_request(parser.add_argument_group("what is compared"))
    _add_inputs(parser.add_argument_group("inputs and output"))
    add_execution(parser.add_argument_group("how trials run"))
    _add_report(parser.add_argument_group("what is shown"))


def _add_request(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--suite", metavar="NAME|FILE.toml", help="default: pocket, or glue where --tasks names GLUE tasks")
    add("--model", metavar="HUB_ID|FOLDER", help="pretrained model; required unless every task is a pocket one")
    add("--tasks", nargs="+", metavar="TASK", help="default: the suite's")
    add("--strategies", nargs="+", metavar="SUM", help="e.g. 'dropout(0.1) + wdecay(0, 0.01)'; default: the suite's")
    add("--fractions", nargs="+", type=float, metavar="F", help="shares of the training set, in (0, 1]")
    add("--sizes", nargs="+", type=int, metavar="N", help="numbers of training examples, with fractions")
    tune = "try B configurations of every strategy, whose open hyperparameters vary"
    add("--tune", type=int, metavar="B", help=tune)
    add("--restarts", type=int, metavar="N", help="repetitions with another head and order of the data")
    add(
        "--split-seeds", type=int, metavar="N", help="restart r uses split seed r mod N (default: each restart its own)"
    )
    add("--protocol", metavar="NAME", help="lee20 or sharma24")
    add("--set", **_several("KEY=VALUE"), help="fields of the protocol, or fisher_ fields")


def _add_inputs(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add_data(group)
    add_drop_rows(group)
    add("--plugin", **_several("FILE|MODULE"), help="your own regularizers")
    add("--output", metavar="DIR", help=f"default: {DEFAULT_OUTPUT}/SUITE")


def add_data(group: argparse._ActionsContainer) -> None:
    """Add the flags that say where the data of tasks are."""
    group.add_argument("--data-dir", metavar="DIR", help="original GLUE files; without it GLUE comes from the hub")
    group.add_argument("--task-file", metavar="FILE.toml", help="your own task")
    group.add_argument("--offline", action="store_true", help="use local files and caches only")


def add_drop_rows(group: argparse._ArgumentGroup) -> None:
    """Add the flag that names rows to leave out."""
    rows = "rows of the data to leave out, such as qqp:train:4,5"
    group.add_argument("--drop-rows", **_several("TASK:PART:ROWS"), help=rows)


def add_execution(group: argparse._ArgumentGroup) -> None:
    """Add the flags that say where and how trials run."""
    add, count = group.add_argument, number(1, MOST)
    add("--workers", type=count, metavar="N", help="default: one per GPU, or per core")
    add("--threads", type=count, default=1, metavar="N", help="CPU threads per worker (default 1)")
    add("--trials-per-device", type=count, default=1, metavar="K", help="trials at a time on one GPU (default 1)")
    add("--timeout", type=seconds, metavar="SECONDS", help="wall-clock limit of one trial")
    add("--retries", type=number(0), default=1, metavar="N", help="further tries after an error (default 1)")
    every = "optimizer steps between two checkpoints, from which an interrupted trial resumes (default 0: none)"
    add("--checkpoint-every", type=number(0), default=0, metavar="STEPS", help=every)
    add("--executor", choices=("local", "ray", "slurm"), default="local", help="where trials run (default local)")
    add("--ray-address", metavar="HOST:PORT", help="a running cluster; default: Ray on this machine")
    slurm = "parameters of submitit (partition=gpu, time=600, gpus_per_node=1); trials=N per job (default 20)"
    add("--slurm", **_several("KEY=VALUE"), help=slurm)


def _add_report(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--dry-run", action="store_true", help="show the grid, what is done, what is left, and for how long")
    add("--verbose", action="store_true", help="show the resolved suite")
    add("--explain", action="store_true", help="say what the columns of the tables mean")
    add_tracking(group)


def add_tracking(group: argparse._ArgumentGroup) -> None:
    """Add the flag that names where trials are sent as runs."""
    where = "also send every trial as a run, once all are done"
    group.add_argument("--report-to", choices=tracking.SERVICES, help=where)


def _several(metavar: str) -> dict[str, Any]:
    return {"nargs": "+", "action": "extend", "default": [], "metavar": metavar}


def seconds(text: str) -> float:
    """The type of a flag that takes a time."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a positive number of seconds, got {text}")
    return value


def check(args: argparse.Namespace) -> None:
    """Raise InputError for flags that do not go together, or need a package that is not installed."""
    tracking.check(args.report_to)
    for flag, executor in (("slurm", "slurm"), ("ray_address", "ray")):
        must = f"--{flag.replace('_', '-')} must come with --executor {executor}"
        require(not getattr(args, flag) or args.executor == executor, must, f"--executor {args.executor}")
    if processes() == 1:
        return
    require(args.executor == "local", "accelerate launch must come without --executor", f"--executor {args.executor}")
    require(
        not args.checkpoint_every,
        "accelerate launch must come without --checkpoint-every",
        args.checkpoint_every,
        "trials of several processes have no checkpoints",
    )
