"""List the regularizers, describe one, check that one does everything right, or try all on every model family.

examples:
  regbench list
  regbench describe mixout
  regbench describe "guided_dropout(0, 0.099, fisher=published)" --plot schedule.png
  regbench check my_regularizer.py --markdown
  regbench matrix

`python -m regularizers list | describe | check | matrix` are the same commands.

exit codes: 0 done; 1 a check failed; 2 the request was wrong
"""

import argparse
import sys
from pathlib import Path

from fisher.common.command import Command, Help, make_parser


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the four sub-commands."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, own in parsers().items():
        text = own.description
        commands.add_parser(
            name, parents=[own], add_help=False, formatter_class=Help, help=text, description=text, epilog=own.epilog
        )


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Return the command line of each sub-command by its name."""
    rest = __doc__.partition("\n")[2]
    every = make_parser("regbench list", f"Print every method in one line.\n{rest}")
    every.add_argument("--markdown", action="store_true", help="print a Markdown table with equations and hooks")
    one = make_parser(
        "regbench describe", f"Show equation, parameters, deviations, sites and cost of a method.\n{rest}"
    )
    one.add_argument("method", metavar="NAME", help="a method, or a strategy such as 'mixout(w_pre, 0.7)'")
    one.add_argument("--model", metavar="HUB_ID|FOLDER", help="whose sites to list (default: a small BERT)")
    one.add_argument(
        "--fisher", metavar="FILE", help="Fisher scores (default: fisher.safetensors in the model's folder)"
    )
    one.add_argument("--plot", metavar="FILE.png", type=Path, help="draw the schedule of guided_dropout")
    kit = make_parser("regbench check", f"Run the conformance checks; needs no network.\n{rest}")
    what = kit.add_mutually_exclusive_group(required=True)
    what.add_argument("what", nargs="?", metavar="FILE|NAME", help="a plugin's file, a method, or a strategy")
    what.add_argument("--all", action="store_true", help="every registered method")
    kit.add_argument("--markdown", action="store_true", help="print the tables as Markdown, for a pull request")
    grid = make_parser("regbench matrix", f"Try every method on a tiny model of every family.\n{rest}")
    grid.add_argument("--markdown", action="store_true", help="print the tables as Markdown, for docs/models.md")
    works = {every: run_list, one: run_describe, kit: run_check, grid: run_matrix}
    for command, work in works.items():
        command.set_defaults(work=work)
        command.add_argument(
            "--plugin", nargs="+", action="extend", default=[], metavar="FILE|MODULE", help="your own regularizers"
        )
    return {"list": every, "describe": one, "check": kit, "matrix": grid}


def run(args: argparse.Namespace) -> int:
    """Load the plugins, then do what the command says."""
    import transformers

    from regularizers.registry import load_plugins

    transformers.utils.logging.set_verbosity_error()
    for problem in load_plugins(args.plugin):
        print(f"warning: {problem}", file=sys.stderr)
    return args.work(args)


def run_list(args: argparse.Namespace) -> int:
    """Print every method in one line."""
    from regularizers.describe import listing

    print(listing(markdown=args.markdown))
    return 0


def run_describe(args: argparse.Namespace) -> int:
    """Print one method in full."""
    from regularizers.describe import describe, plot_schedule

    print(describe(args.method, model=args.model, fisher=args.fisher))
    if args.plot is not None:
        plot_schedule(args.plot, args.method, model=args.model, fisher=args.fisher)
        print(f"\n{args.plot}")
    return 0


def run_check(args: argparse.Namespace) -> int:
    """Run the conformance checks; 1 if one failed."""
    import torch

    from regularizers.testing.report import check, check_all, render, subjects

    torch.set_num_threads(1)
    reports = check_all() if args.all else [check(subject) for subject in subjects(args.what)]
    print(render(reports, markdown=args.markdown))
    return 1 if any(report.failures for report in reports) else 0


def run_matrix(args: argparse.Namespace) -> int:
    """Print the families with their sites, and what every method does on them."""
    import torch

    from regularizers.testing.matrix import report

    torch.set_num_threads(1)
    print(report(markdown=args.markdown))
    return 0


main = Command("regbench", __doc__, add_commands, run)

if __name__ == "__main__":
    raise SystemExit(main())
