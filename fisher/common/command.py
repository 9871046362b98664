"""What all commands share: how they parse, how they end, and what a wrong option is told."""

import argparse
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
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


def run_command(
    parser: argparse.ArgumentParser, run: Run, argv: Sequence[str] | None = None, *, resumes: bool = False
) -> int:
    """Parse `argv` (None: the process's own), run the request and return its exit code.

    `run` returns the code, or None for 0. resumes: whether the same command continues after Ctrl-C. A defect of the
    program keeps its traceback.
    """
    show_any_script()
    args = parser.parse_args(argv)
    try:
        code = run(args) or 0
        sys.stdout.flush()
        return code
    except InputError as error:
        print(f"error: {escape(str(error))}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print(f"Interrupted. {RESUME}" if resumes else "Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `| head` has read enough; what is still buffered must not fail at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
