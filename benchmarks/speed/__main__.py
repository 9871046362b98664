"""Measure what a step and a trial cost on this machine, as ratios on the same work.

examples:
  regbench speed                                                  # the embedded model and tasks
  regbench speed --model FOLDER --data-dir GLUE --tasks rte cola mrpc --trials --output speed.json
  regbench speed --commands --demo                                # start-up, plan, a worker and the board, too
  regbench speed --device cuda --precision bf16 --trials --trials-per-device 1 2 4 8

Steps and trials: one process, one thread, times in seconds of processor time; on a GPU in seconds of the clock, read
when its work is done. All candidates take the same batches in turn; a ratio is formed batch by batch (or trial by
trial), and its minimum, median and maximum are shown. It is a measurement, not a test: the exit code says nothing about
speed.

exit codes: 0 measured; 1 something could not be measured; 2 the request was wrong; 130 interrupted
"""

import argparse
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks import options
from benchmarks.data.tasks import find_task
from benchmarks.executors import variables
from fisher.common.command import Command, Flags, add, number, switch

DATA: Flags = {
    "--model": {"default": "pocket", "metavar": "HUB_ID|FOLDER", "help": "default: the embedded one"},
    "--data-dir": options.DATA["--data-dir"],
    "--tasks": {
        "nargs": "+",
        "metavar": "TASK",
        "default": ["pocket-rte", "pocket-cola"],
        "help": "default: two embedded ones",
    },
    "--fraction": {
        "type": float,
        "default": 0.1,
        "metavar": "F",
        "help": "share of the training data (default 0.1)",
    },
    "--offline": options.DATA["--offline"],
}
DEVICE: Flags = {
    "--device": {
        "choices": ("cpu", "cuda"),
        "default": "cpu",
        "help": "default: cpu; cuda: the first visible GPU",
    },
    "--precision": {"default": "fp32", "metavar": "P", "help": "fp32 (default) or bf16, as in a suite"},
}
MEASURED: Flags = {
    "--batches": {
        "type": number(0),
        "default": 6,
        "metavar": "N",
        "help": "batches that every candidate takes (default 6, 0: no steps)",
    },
    "--trials": switch("whole trials against the Hugging Face Trainer too"),
    "--compile": switch("on cuda: trials of the Trainer with torch.compile too"),
    "--trials-per-device": {
        "nargs": "+",
        "type": number(1),
        "default": [],
        "metavar": "K",
        "help": "trials per hour with K workers at a time on the device, for each K",
    },
    "--commands": switch("start-up, refusals, a plan, a worker's start and the published board too"),
    "--demo": switch("with --commands: the demo suite, once (minutes)"),
    "--rounds": {
        "type": number(1),
        "default": 3,
        "metavar": "N",
        "help": "whole trials and commands of each kind (default 3)",
    },
    "--output": {"type": Path, "metavar": "FILE", "help": "write every figure as JSON"},
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    for title, flags in (("model and data", DATA), ("device", DEVICE), ("what to measure", MEASURED)):
        add(parser.add_argument_group(title), flags)


def run(args: argparse.Namespace) -> int:
    """Measure, keep, print the tables."""
    variables.settle()
    for name in args.tasks:
        find_task(name)
    with visible(args.device):
        from benchmarks.speed import measure

        return measure.run(args)


@contextlib.contextmanager
def visible(device: str) -> Iterator[None]:
    """Within it this process and its workers see no GPU (`cpu`) or the first one alone (`cuda`).

    It must begin before torch looks for GPUs. The Trainer would spread its batches over several.
    """
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    os.environ["CUDA_VISIBLE_DEVICES"] = ("0" if before is None else before.split(",")[0]) if device == "cuda" else ""
    try:
        yield
    finally:
        os.environ.pop("CUDA_VISIBLE_DEVICES")
        if before is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = before


main = Command("regbench speed", __doc__, add_flags, run)

if __name__ == "__main__":
    raise SystemExit(main())
