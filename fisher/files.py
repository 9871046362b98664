"""Files that are there whole or not at all."""

import os
from pathlib import Path

from fisher.errors import InputError


def write_atomically(path: Path, content: bytes) -> None:
    """Write to a temporary file beside `path`, flush it to the disk, rename it.

    Raises:
        InputError: the folder cannot be made or written, or the disk is full; nothing half-written stays behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True) if temporary.parent.is_dir() else None
        raise InputError(
            f"{path} cannot be written ({error.strerror or error}): choose another place or free some room"
        ) from error
