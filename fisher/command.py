"""How the commands of this package end: 0 done, 2 the request was wrong, 130 interrupted; never with a traceback."""

import argparse
import sys
from collections.abc import Callable, Sequence

from fisher.errors import InputError


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
