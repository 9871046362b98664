"""What all commands share: how they parse, how they end, and what a wrong option is told."""

import argparse
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import NoReturn

from fisher.common.errors import InputError
from fisher.common.text import escape

REFUSED = 2
INTERRUPTED = 130  # 128 + SIGINT, as a shell says it
UNREAD = 141  # 128 + SIGPIPE
RESUME = "Run the same command again to resume."
Run = Callable[[argparse.Namespace], int | None]


class Help(argparse.RawDescriptionHelpFormatter):
    """Texts of at most 100 columns, with the line breaks of examples kept."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32, width=min(100, int(os.environ.get("COLUMNS", 100))))


class Parser(argparse.ArgumentParser):
    """A parser that refuses a flag in one sentence, as everything else is refused."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and end."""
        sentence = re.sub(r"^argument ((?:[^ :]+/)?(--\S+)): must ", r"\2 must ", message)
        self.exit(REFUSED, f"error: {escape(sentence)}\n")


def make_parser(prog: str, doc: str | None) -> argparse.ArgumentParser:
    """Return a parser whose description is the first line of a module's docstring and whose epilog is the rest."""
    first, _, rest = (doc or "").partition("\n")
    return Parser(prog=prog, description=first, epilog=rest.strip("\n"), formatter_class=Help)


def require_at_least(args: argparse.Namespace, **least: float) -> None:
    """Raise InputError unless the options named have at least these values; one that was not given is ignored."""
    for name, low in least.items():
        value = getattr(args, name)
        if value is not None and not value >= low:
            raise InputError(f"--{name.replace('_', '-')} must be at least {low:g}, got {value:g}")


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
        args = self.parser().parse_args(argv)
        try:
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
