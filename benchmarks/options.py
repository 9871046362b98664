"""The command line of `benchmarks.run`: its flags, their texts, and what each of them may be."""

import argparse
import math

from benchmarks import tracking
from benchmarks.executors.variables import processes
from fisher.common.command import Flags, add, number, several, switch
from fisher.common.errors import require

DEFAULT_OUTPUT = "results"
MOST = 10_000  # workers, threads, trials on a GPU


def seconds(text: str) -> float:
    """The type of a flag that takes a time."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a positive number of seconds, got {text}")
    return value


COUNT = {"type": number(1, MOST), "metavar": "N"}
DATA: Flags = {
    "--data-dir": {"metavar": "DIR", "help": "original GLUE files; without it GLUE comes from the hub"},
    "--task-file": {"metavar": "FILE.toml", "help": "your own task"},
    "--offline": switch("use local files and caches only"),
}
DROP_ROWS: Flags = {"--drop-rows": several("TASK:PART:ROWS", "rows of the data to leave out, such as qqp:train:4,5")}
PLUGIN: Flags = {"--plugin": several("FILE|MODULE", "your own regularizers")}
TRACKING: Flags = {
    "--report-to": {"choices": tracking.SERVICES, "help": "also send every trial as a run, once all are done"}
}
REQUEST: Flags = {
    "--suite": {"metavar": "NAME|FILE.toml", "help": "default: pocket, or glue where --tasks names GLUE tasks"},
    "--model": {"metavar": "HUB_ID|FOLDER", "help": "pretrained model; required unless every task is a pocket one"},
    "--tasks": {"nargs": "+", "metavar": "TASK", "help": "default: the suite's"},
    "--strategies": {
        "nargs": "+",
        "metavar": "SUM",
        "help": "e.g. 'dropout(0.1) + wdecay(0, 0.01)'; default: the suite's",
    },
    "--fractions": {"nargs": "+", "type": float, "metavar": "F", "help": "shares of the training set, in (0, 1]"},
    "--sizes": {"nargs": "+", "type": int, "metavar": "N", "help": "numbers of training examples, with fractions"},
    "--tune": {
        "type": int,
        "metavar": "B",
        "help": "try B configurations of every strategy, whose open hyperparameters vary",
    },
    "--restarts": {"type": int, "metavar": "N", "help": "repetitions with another head and order of the data"},
    "--split-seeds": {
        "type": int,
        "metavar": "N",
        "help": "restart r uses split seed r mod N (default: each restart its own)",
    },
    "--protocol": {"metavar": "NAME", "help": "lee20 or sharma24"},
    "--set": several("KEY=VALUE", "fields of the protocol, or fisher_ fields"),
}
OUTPUT: Flags = {"--output": {"metavar": "DIR", "help": f"default: {DEFAULT_OUTPUT}/SUITE"}}
EXECUTION: Flags = {
    "--workers": {**COUNT, "help": "default: one per GPU, or per core"},
    "--threads": {**COUNT, "default": 1, "help": "CPU threads per worker (default 1)"},
    "--trials-per-device": {**COUNT, "default": 1, "metavar": "K", "help": "trials at a time on one GPU (default 1)"},
    "--timeout": {"type": seconds, "metavar": "SECONDS", "help": "wall-clock limit of one trial"},
    "--retries": {"type": number(0), "default": 1, "metavar": "N", "help": "further tries after an error (default 1)"},
    "--checkpoint-every": {
        "type": number(0),
        "default": 0,
        "metavar": "STEPS",
        "help": "optimizer steps between two checkpoints, from which an interrupted trial resumes (default 0: none)",
    },
    "--executor": {
        "choices": ("local", "ray", "slurm"),
        "default": "local",
        "help": "where trials run (default local)",
    },
    "--ray-address": {"metavar": "HOST:PORT", "help": "a running cluster; default: Ray on this machine"},
    "--slurm": several(
        "KEY=VALUE",
        "parameters of submitit (partition=gpu, time=600, gpus_per_node=1); trials=N per job (default 20)",
    ),
}
SHOWN: Flags = {
    "--dry-run": switch("show the grid, what is done, what is left, and for how long"),
    "--verbose": switch("show the resolved suite"),
    "--explain": switch("say what the columns of the tables mean"),
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("--list", choices=("suites", "tasks"), help="show the names that --suite or --tasks takes")
    add(parser.add_argument_group("what is compared"), REQUEST)
    add(parser.add_argument_group("inputs and output"), {**DATA, **DROP_ROWS, **PLUGIN, **OUTPUT})
    add(parser.add_argument_group("how trials run"), EXECUTION)
    add(parser.add_argument_group("what is shown"), {**SHOWN, **TRACKING})


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
