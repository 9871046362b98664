"""The one exception that a user is meant to read, and the nearest known name for a mistyped one."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """A request that cannot be carried out: one sentence on what must hold, what came and what to do."""


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that is not among `known`: "unknown KIND 'NAME'; did you mean X? available: ..."."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return InputError(f"unknown {kind} {name!r}; {hint}available: {', '.join(names)}")
