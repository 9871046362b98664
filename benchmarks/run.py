"""Run a suite of fine-tuning regularizers and make its leaderboard.

examples:
  regbench run                                              # the embedded pocket suite
  regbench run --suite glue --model MODEL --data-dir GLUE --tasks rte --fractions 0.1 --restarts 3
  regbench run --suite lee20-table1 --model bert-large-uncased --dry-run
  regbench run --task-file mine.toml --model FOLDER --strategies none 'mixout(w_pre, 0.7)'

exit codes: 0 every trial has a result (a failed run is one) or a declared skip; 1 some ended in an error, the tables
are made all the same; 2 the request was wrong; 130 interrupted: run the same command again to resume
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from benchmarks import options, tracking
from benchmarks.executors import variables
from benchmarks.planning.names import check_names
from fisher.common.command import Command
from fisher.common.text import escape

if TYPE_CHECKING:  # torch and transformers are loaded where a request is carried out, not for --help
    from rich.console import Console

    from benchmarks.planning.plan import Plan, Request
    from benchmarks.planning.suite_file import Suite


def run(args: argparse.Namespace) -> int:
    """Resolve, plan, execute, report."""
    if args.list:
        return show_list(args.list)
    variables.settle()
    options.check(args)
    check_names(args)
    from rich.console import Console

    from benchmarks.executors.launch import execute
    from benchmarks.planning.plan import make_plan, resolve

    request = resolve(args)
    plan = make_plan(request)
    console = Console(soft_wrap=True, quiet=not variables.is_first())
    show_plan(request, plan, console)
    if args.dry_run:
        return show_time(request, plan, console)
    return report(request, plan, console) if execute(request, plan, console) else 0


def show_plan(request: Request, plan: Plan, console: Console) -> None:
    """Say what was asked for and how much of it is done."""
    from benchmarks.executors.launch import devices_of
    from benchmarks.executors.local import in_words
    from benchmarks.planning.power import limits

    lines = [*request.notes, request.headline(), *limits(plan.grid.values())]
    if request.args.verbose:
        lines.append(request.suite.to_toml())
    done, workers = len(plan.grid) - len(plan.left), devices_of(request.args, len(plan.left))
    lines.append(f"{len(plan.grid)} trials: {done} done, {len(plan.left)} left, on {in_words(workers)}")
    for line in lines:
        console.print(line, markup=False, highlight=False)
    warn(request.warnings)
    for problem in plan.known.problems:
        print(f"warning: {problem}; its trial runs again", file=sys.stderr)


def warn(warnings: Iterable[str]) -> None:
    """Say on stderr what a reader should know."""
    for warning in warnings:
        print(f"warning: {escape(warning)}", file=sys.stderr)


def show_time(request: Request, plan: Plan, console: Console) -> int:
    """Say for how long what is left may run."""
    from benchmarks.executors.launch import devices_of
    from benchmarks.planning import timing

    records = request.folder.read() if plan.left else iter(())
    workers = len(devices_of(request.args, len(plan.left)))
    console.print(timing.estimate(list(plan.left.values()), records, request.resources(), workers), soft_wrap=True)
    return 0


def report(request: Request, plan: Plan, console: Console) -> int:
    """Build the tables from all records of the folder, other requests' too, and say where they lie."""
    from leaderboard.build import FILES, build
    from leaderboard.render import terminal

    text = build(request.folder.files(), request.folder.path)
    files = [str(request.folder.path / name) for name in FILES]
    for line in [*files, *([terminal.glossary()] if request.args.explain else []), text]:
        console.print(line, markup=False, highlight=False)
    tracking.report(request.folder, request.args.report_to, console)
    return 1 if request.folder.known(plan.grid, lambda record: True).left(plan.grid) else 0


def show_list(what: str) -> int:
    """Show the names that the command line takes."""
    from benchmarks.data.tasks import TASKS
    from benchmarks.planning.names import builtin_suites
    from benchmarks.planning.suite_file import load_suite

    if what == "suites":
        print("\n".join(describe(load_suite(name)) for name in builtin_suites()))
        return 0
    for task in TASKS.values():
        kind = f"GLUE {task.files.folder}" if task.kind == "glue" else "synthetic, embedded"
        print(f"{task.name:14s} {kind:20s} {task.primary}")
    return 0


def describe(suite: Suite) -> str:
    """A suite in words, for the list: its size, what it reproduces and what it costs."""
    lines = [f"{suite.name:20s} {suite.size():6d} trials  {suite.description}"]
    lines += [f"{'':20s} {label}: {text}" for label in ("reproduces", "cost") if (text := getattr(suite, label))]
    return "\n".join(lines)


main = Command("regbench run", __doc__, options.add_flags, run, resumes=True)

if __name__ == "__main__":
    raise SystemExit(main())
