"""Files that a reader of the leaderboard asked for: written whole or not at all."""

from pathlib import Path

from leaderboard.errors import InputError
from leaderboard.records import write_atomic
from leaderboard.text import escape


def write(folder: Path, name: str, content: str | bytes) -> None:
    """Write a file into a folder, which is made where it is missing. Raises InputError if the folder refuses it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / name, content.encode("utf-8") if isinstance(content, str) else content)
    except OSError as error:
        why = error.strerror or str(error)
        raise InputError(f"{name} cannot be written to {escape(str(folder))}: {why}") from None
