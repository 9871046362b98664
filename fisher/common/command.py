"""What all commands share: how they parse, how they end, and what a wrong option is told."""

import argparse
import io
import math
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NoReturn

from fisher.common.errors import InputError
from fisher.common.text import escape

REFUSED = 2
INTERRUPTED = 130  # 128 + SIGINT, as a shell says it
UNREAD = 141  # 128 + SIGPIPE
RESUME = "Run the same command again to resume."
Run = Callable[[argparse.Namespace], int | None]
Flags = Mapping[str, Mapping[str, Any]]  # flag -> what `add_argument` takes


class Help(argparse.RawDescriptionHelpFormatter):
    """Texts of at most 100 columns, with the line breaks of examples kept."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32, width=min(100, int(os.environ.get("COLUMNS", 100))))


class Parser(argparse.ArgumentParser):
    """A parser that refuses a flag in one sentence, as everything else is refused."""

    def error(self, message: str) -> NoReturn:
        """Raise InputError that says what is wrong."""
        raise InputError(re.sub(r"^argument ((?:[^ :]+/)?(--\S+)): must ", r"\2 must ", message))


def make_parser(prog: str, doc: str | None) -> argparse.ArgumentParser:
    """Return a parser whose description is the first line of a module's docstring and whose epilog is the rest."""
    first, _, rest = (doc or "").partition("\n")
    return Parser(prog=prog, description=first, epilog=rest.strip("\n"), formatter_class=Help)


def add(group: argparse._ActionsContainer, flags: Flags) -> None:
    """Add flags to a parser, or to a group of one."""
    for name, how in flags.items():
        group.add_argument(name, **how)


def switch(text: str) -> dict[str, Any]:
    """A flag without a value."""
    return {"action": "store_true", "help": text}


def several(metavar: str, text: str) -> dict[str, Any]:
    """A flag of one or more values, which may be given again."""
    return {"nargs": "+", "action": "extend", "default": [], "metavar": metavar, "help": text}


def number(
    least: float, most: float = math.inf, *, kind: type[int] | type[float] = int
) -> Callable[[str], int | float]:
    """The type of a flag that takes a number of a range: whole ones, or with `kind=float` any."""

    def read(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            wanted = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"must be {wanted}, got {text!r}") from None
        if not value >= least:
            raise argparse.ArgumentTypeError(f"must be at least {least:g}, got {text}")
        if value > most:
            raise argparse.ArgumentTypeError(f"must be at most {most:g}, got {text}")
        return value

    return read


def show_any_script() -> None:
    r"""Let the output show what its encoding lacks as `\xe9`, as errors do: names of records are in any script."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


@dataclass(frozen=True)
class Command:
    """A command line and its work; called with its words (None: the process's own), it returns the exit code.

    doc: a description in the first line, then examples and exit codes; add_flags: adds the flags to a parser; run: does
    the work and returns the code (None: 0), or the name of a module whose `run` does, which is imported only then;
    resumes: whether the same command continues after Ctrl-C. A defect of the program keeps its traceback.
    """

    prog: str
    doc: str | None
    add_flags: Callable[[argparse.ArgumentParser], object]
    run: Run | str
    resumes: bool = False

    def parser(self) -> argparse.ArgumentParser:
        """Return the parser of its flags."""
        made = make_parser(self.prog, self.doc)
        self.add_flags(made)
        return made

    def __call__(self, argv: Sequence[str] | None = None) -> int:
        show_any_script()
        try:
            args = self.parser().parse_args(argv)
            run: Run = import_module(self.run).run if isinstance(self.run, str) else self.run
            code = run(args) or 0
            sys.stdout.flush()
            return code
        except InputError as error:
            print(f"error: {escape(str(error))}", file=sys.stderr)
            return REFUSED
        except KeyboardInterrupt:
            print(f"Interrupted. {RESUME}" if self.resumes else "Interrupted.", file=sys.stderr)
            return INTERRUPTED
        except BrokenPipeError:  # `| head` has read enough; what is still buffered must not fail at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return UNREAD
