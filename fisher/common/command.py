"""How the commands of this package end: 0 done, 2 the request was wrong, 130 interrupted; never with a traceback."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from fisher.common.errors import InputError


def require_at_least(args: argparse.Namespace, **least: float) -> None:
    """Raise InputError unless the options named have at least these values; one that was not given is passed over."""
    for name, low in least.items():
        value = getattr(args, name)
        if value is not None and not value >= low:
            raise InputError(f"--{name.replace('_', '-')} must be at least {low:g}, got {value:g}")


def show(text: str) -> None:
    """Print a text, or as much of it as the reader of a pipe wants (`| head`)."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def carry_out(
    parser: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace], None],
    argv: Sequence[str] | None,
    *,
    resumes: str = "nothing is kept of it",
) -> int:
    """Parse `argv` (None: the process's own), run it and return the exit code; `resumes` says what Ctrl-C leaves."""
    args = parser.parse_args(argv)
    try:
        run(args)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"interrupted: {resumes}", file=sys.stderr)
        return 130
    return 0
