"""Benchmark fine-tuning regularizers for pretrained language models with little data.

examples:
  regbench run                                     the embedded suite, no download
  regbench run --suite glue --model bert-large-uncased --tasks rte --restarts 12
  regbench COMMAND --help                          flags, examples and exit codes of a command
"""

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import NamedTuple

from benchmarks.pocket import MODEL_DIR
from fisher.common.command import Command
from fisher.common.errors import unknown
from fisher.common.packages import version_of


class SubCommand(NamedTuple):
    """Where a sub-command is: `module.main(words + the rest of the line)`."""

    text: str
    module: str
    words: tuple[str, ...] = ()
    main: str = "main"


COMMANDS = {
    "run": SubCommand("run a suite and make its leaderboard", "benchmarks.run"),
    "try": SubCommand("what to fine-tune with on your own data, and the model", "benchmarks.choose"),
    "predict": SubCommand("labels and probabilities of new texts", "benchmarks.predict"),
    "list": SubCommand("every regularizer in one line", "regularizers.__main__", ("list",)),
    "list suites": SubCommand("every suite, what it reproduces and costs", "benchmarks.run", ("--list", "suites")),
    "list tasks": SubCommand("every task and its metric", "benchmarks.run", ("--list", "tasks")),
    "describe": SubCommand("equation, parameters and sites of a regularizer", "regularizers.__main__", ("describe",)),
    "check": SubCommand("the conformance checks on a regularizer of your own", "regularizers.__main__", ("check",)),
    "matrix": SubCommand("every regularizer on a tiny model of every family", "regularizers.__main__", ("matrix",)),
    "build": SubCommand("the leaderboard's files from records alone", "leaderboard.build"),
    "verify": SubCommand("check results by records, data and training", "benchmarks.verify", main="regbench"),
    "compare": SubCommand("our results next to published tables", "leaderboard.compare"),
    "export": SubCommand("pack results as one file to hand in", "leaderboard.export"),
    "merge": SubCommand("add results to a published board", "leaderboard.merge"),
    "upgrade": SubCommand("bring records of earlier versions forward", "benchmarks.upgrade"),
    "submit": SubCommand("files for the GLUE evaluation server", "benchmarks.submit"),
    "fisher estimate": SubCommand("Fisher scores of a pretrained model on a corpus", "fisher.estimate"),
    "fisher task": SubCommand("Fisher scores of the fine-tuning loss of a task", "benchmarks.fisher"),
    "fisher report": SubCommand("tables and plots of Fisher scores", "fisher.report"),
    "fisher landscape": SubCommand("loss landscapes by Fisher score", "fisher.landscape"),
    "fisher bench": SubCommand("speed and memory of Fisher estimates", "fisher.bench"),
    "theory": SubCommand("what [Lee20] proves and shows about mixout", "benchmarks.theory.__main__"),
    "speed": SubCommand("what a step and a trial cost on this machine", "benchmarks.speed.__main__"),
}

EMBEDDED = {"pocket": str(MODEL_DIR), "--model=pocket": f"--model={MODEL_DIR}"}  # which regularizers does not know


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sub-command that the first words name and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if "_ARGCOMPLETE" in os.environ:
        complete()
    for length in (2, 1):
        if command := COMMANDS.get(" ".join(words[:length])):
            work, rest = getattr(import_module(command.module), command.main), words[length:]
            if command.words == ("describe",):
                rest = [EMBEDDED.get(word, word) for word in rest]
            return int(work([*command.words, *rest]))
    group = words[0] if words and _within(words[0]) else ""
    overview = Command(f"regbench {group}".strip(), __doc__, partial(list_commands, group), _refuse)
    return overview(words[bool(group) :] or ["--help"])


def list_commands(group: str, parser: argparse.ArgumentParser) -> None:
    """Let a parser show the sub-commands of a group ("": all of them)."""
    names = _within(group) if group else list(COMMANDS)
    listed = "\n".join(f"  {name:18s}{COMMANDS[name].text}" for name in names)
    parser.epilog = f"commands:\n{listed}\n\n{parser.epilog}"
    parser.add_argument("command", metavar="COMMAND", help="one of those below")
    parser.add_argument("--version", action="version", version=f"regbench {version_of('regbench')}")
    parser.set_defaults(group=group)


def _within(group: str) -> list[str]:
    return [name for name in COMMANDS if name.startswith(f"{group} ")]


def _refuse(args: argparse.Namespace) -> None:
    raise unknown("command", f"{args.group} {args.command}".strip(), COMMANDS)


def complete() -> None:
    """Answer a shell that asks for completions, and end."""
    import argcomplete

    parser = argparse.ArgumentParser(prog="regbench")
    commands = parser.add_subparsers()
    groups: dict[str, argparse._SubParsersAction[argparse.ArgumentParser]] = {}
    for name, command in COMMANDS.items():
        group, _, last = name.rpartition(" ")
        if group == "list":
            continue
        if group and group not in groups:
            groups[group] = commands.add_parser(group).add_subparsers()
        under = groups.get(group, commands)
        parent = import_module(command.module)
        own = parent.parsers()[last] if command.words else getattr(parent, command.main).parser()
        under.add_parser(last, parents=[own], add_help=False)
    argcomplete.autocomplete(parser)


if __name__ == "__main__":
    sys.exit(main())
