"""Files that a reader asked for, written whole or not at all, and those that runs leave beside their records."""

import json
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from fisher.common.errors import InputError
from leaderboard.records.schema import RecordError
from leaderboard.render.text import escape

MAX_BYTES = 4 * 1024 * 1024
T = TypeVar("T")


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that others see the old content or the new one, never a part, also after a power cut.

    Temporary file in the same folder, fsync, rename, fsync of the folder. Raises OSError.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # elsewhere a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write(folder: Path, name: str, content: str | bytes) -> None:
    """Write a file into a folder, which is made where it is missing. Raises InputError if the folder refuses it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / name, content.encode("utf-8") if isinstance(content, str) else content)
    except OSError as error:
        why = error.strerror or str(error)
        raise InputError(f"{name} cannot be written to {escape(str(folder))}: {why}") from None


def read_beside(
    results: Iterable[Path | str], name: str, value_of: Callable[[Any], T], wanted: str
) -> tuple[list[T], list[RecordError]]:
    """Return what the JSON file `name` of every run given says, and the files of which `value_of` makes nothing.

    A record or a `records` folder stands for the folder that the run wrote. wanted: what such a file must be.
    """
    values: list[T] = []
    faults = []
    for folder in dict.fromkeys(map(_folder_of, map(Path, results))):
        path = folder / name
        if not path.is_file():
            continue
        try:
            values.append(value_of(_json(path)))
            continue
        except OSError as error:
            why = f"cannot be read: {error.strerror}"
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            why = f"must be {wanted}"
        faults.append(RecordError(f"{escape(str(path))}: {why}", path))
    return values, faults


def _json(path: Path) -> Any:
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError
    return json.loads(data.decode("utf-8"))


def _folder_of(given: Path) -> Path:
    """Return the folder of a run for what stands for its records: itself, its `records` folder, or one of them."""
    folder = given if given.is_dir() else given.parent
    return folder.parent if folder.name == "records" else folder
