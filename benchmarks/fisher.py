"""Estimate Fisher scores of the fine-tuning loss on a training split of a task.

examples:
  regbench fisher task --task pocket-rte --output F.safetensors
  regbench fisher task --task rte --model FOLDER --data-dir GLUE --fraction 0.1 --output F.safetensors

  F_i = 1/n sum_k (d l(x_k, y_k) / d theta_i)^2  at  theta = w_pre,  l the loss that fine-tuning minimises

The samples are the split's examples, tokenised and cut as in a trial; the head is the one that a restart starts from,
and has no score. Protocol fields that matter: head_init, max_length, data. The file serves wherever a strategy takes
fisher=FILE: its objective is `task`, and task, split and head are in its metadata.

exit codes: 0 done; 2 the request was wrong; 130 interrupted
"""

import argparse
from pathlib import Path

from benchmarks.data.origin import Origin
from benchmarks.executors import variables
from benchmarks.options import DATA
from fisher.common.command import Command, Flags, add, number, several
from fisher.options import add_computing

SPLIT: Flags = {
    "--task": {"required": True, "metavar": "NAME", "help": "a task (`regbench list tasks`)"},
    "--model": {"metavar": "HUB_ID|FOLDER", "help": "pretrained; required unless the task is a pocket one"},
    **DATA,
    "--fraction": {"type": float, "default": 1.0, "metavar": "F", "help": "share of the training set, in (0, 1]"},
    "--split-seed": {
        "type": number(0),
        "default": 0,
        "metavar": "N",
        "help": "which split of that share (default 0)",
    },
    "--restart": {
        "type": number(0),
        "default": 0,
        "metavar": "N",
        "help": "whose initial head is taken (default 0)",
    },
    "--protocol": {"default": "lee20", "metavar": "NAME", "help": "lee20 (default) or sharma24"},
    "--set": several("KEY=VALUE", "protocol fields"),
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    add(parser.add_argument_group("model and data"), SPLIT)
    how = parser.add_argument_group("what to keep, and how to compute")
    how.add_argument("--output", required=True, type=Path, metavar="FILE", help="safetensors file to write")
    add_computing(how)


def run(args: argparse.Namespace) -> None:
    """Estimate or resume, and write the file."""
    variables.settle()
    Origin(args.data_dir, args.task_file, args.offline).task(args.task)
    from benchmarks import task_fisher

    task_fisher.run(args)


main = Command("regbench fisher task", __doc__, add_flags, run, resumes=True)

if __name__ == "__main__":
    raise SystemExit(main())
