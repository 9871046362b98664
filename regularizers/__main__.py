"""`python -m regularizers`: list the methods, describe one, check that one does everything right.

    python -m regularizers list
    python -m regularizers describe mixout
    python -m regularizers describe "guided_dropout(0, 0.099, fisher=published)" --plot schedule.png
    python -m regularizers check my_regularizer.py --markdown

Exit status: 0 done; 1 a check failed; 2 the request was wrong.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
import transformers

from fisher.common.command import show
from fisher.common.errors import InputError
from regularizers.registry import load_plugins


def main(argv: list[str] | None = None) -> int:
    """Parse the command line, run the request, return the exit status."""
    arguments = parser().parse_args(argv)
    transformers.utils.logging.set_verbosity_error()
    try:
        for problem in load_plugins(arguments.plugin):
            print(f"warning: {problem}", file=sys.stderr)
        return {"list": run_list, "describe": run_describe, "check": run_check}[arguments.command](arguments)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m regularizers", description=__doc__.split("\n")[0])
    commands = p.add_subparsers(dest="command", required=True)
    every = commands.add_parser("list", help="every method in one line")
    every.add_argument("--markdown", action="store_true", help="print a Markdown table with equations and hooks")
    one = commands.add_parser("describe", help="equation, parameters, deviations, sites and cost of a method")
    one.add_argument("method", metavar="NAME", help="a method, or a strategy such as 'mixout(w_pre, 0.7)'")
    one.add_argument("--model", metavar="HUB_ID|FOLDER|pocket", help="whose sites to list (default: a small BERT)")
    one.add_argument(
        "--fisher", metavar="FILE", help="Fisher scores (default: fisher.safetensors in the model's folder)"
    )
    one.add_argument("--plot", metavar="FILE.png", type=Path, help="draw the schedule of guided_dropout")
    kit = commands.add_parser("check", help="run the conformance checks; needs no network")
    what = kit.add_mutually_exclusive_group(required=True)
    what.add_argument("what", nargs="?", metavar="FILE|NAME", help="a plugin's file, a method, or a strategy")
    what.add_argument("--all", action="store_true", help="every registered method")
    kit.add_argument("--markdown", action="store_true", help="print the tables as Markdown, for a pull request")
    for command in (every, one, kit):
        command.add_argument(
            "--plugin", nargs="+", action="extend", default=[], metavar="FILE|MODULE", help="your own regularizers"
        )
    return p


def run_list(arguments: argparse.Namespace) -> int:
    """Every method in one line."""
    from regularizers.describe import listing

    show(listing(markdown=arguments.markdown))
    return 0


def run_describe(arguments: argparse.Namespace) -> int:
    """One method in full."""
    from regularizers.describe import describe, plot_schedule

    show(describe(arguments.method, model=arguments.model, fisher=arguments.fisher))
    if arguments.plot is not None:
        plot_schedule(arguments.plot, arguments.method, model=arguments.model, fisher=arguments.fisher)
        show(f"\n{arguments.plot}")
    return 0


def run_check(arguments: argparse.Namespace) -> int:
    """The conformance checks; 1 if one failed."""
    from regularizers.testing.report import check, check_all, render, subjects

    torch.set_num_threads(1)
    reports = check_all() if arguments.all else [check(subject) for subject in subjects(arguments.what)]
    show(render(reports, markdown=arguments.markdown))
    return 1 if any(report.failures for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
