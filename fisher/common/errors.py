"""The one exception that a user is meant to read, and the nearest known name for a mistyped one."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from fisher.common.text import shorten


class InputError(ValueError):
    """A request that cannot be carried out: one sentence on what must hold, what came and what to do."""


def require(condition: object, must: str, got: object = ..., do: str = "") -> None:
    """Raise the one-sentence InputError `must, got ...; do` unless the condition holds; without `got` it is `must`."""
    if not condition:
        raise InputError(must if got is ... else f"{must}, got {got}" + (f"; {do}" if do else ""))


@contextmanager
def named(where: object) -> Iterator[None]:
    """Let an InputError raised within begin with where it arose: `where: ...`."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def hint(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Return "did you mean X? " for the nearest known name, "" where none is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"did you mean {near[0]}? " if near else ""


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that is not among `known`: "unknown KIND 'NAME'; did you mean X? available: ..."."""
    names = list(known)
    return InputError(f"unknown {kind} {name!r}; {hint(name, names)}available: {', '.join(names)}")


def require_known(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raise the error of `unknown` for the first name that is not among `known`."""
    for name in names:
        if name not in known:
            raise unknown(kind, name, known)


def first_line(error: BaseException) -> str:
    """Return the first line of another library's error, or the error's name where it says nothing."""
    return shorten(str(error), 200) or type(error).__name__


def optional(library: str, user: str, *, extra: str) -> Any:
    """Import a library that only `user` needs. Raises InputError, which names the extra, where it is missing."""
    try:
        return import_module(library)
    except ImportError:
        raise InputError(f"{user} needs {library}, which is not installed: pip install 'regbench[{extra}]'") from None
