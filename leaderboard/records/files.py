"""Files that runs leave next to their records."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from fisher.common.text import escape
from leaderboard.records.schema import RecordError

MAX_BYTES = 4 * 1024 * 1024
T = TypeVar("T")


def read_companion(
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


def is_run(given: Path) -> bool:
    """Return whether a path stands for the folder of a run, and not for what `leaderboard.export` wrote."""
    return (_folder_of(given) / "records").is_dir()


def _folder_of(given: Path) -> Path:
    """Return the folder of a run for what stands for its records: itself, its `records` folder, or one of them."""
    folder = given if given.is_dir() else given.parent
    return folder.parent if folder.name == "records" else folder
