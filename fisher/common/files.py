"""Files that are there whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path

from fisher.common.errors import InputError


def write_atomically(path: Path, content: bytes) -> None:
    """Write to a temporary file next to `path`, flush it to the disk, rename it.

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
        with suppress(OSError):
            temporary.unlink()
        reason = error.strerror or str(error)
        raise InputError(f"{path} cannot be written ({reason}): choose another place or free some room") from error


def require_writable(path: Path) -> None:
    """Refuse an output that could not be written in the end, before any work is done."""
    if os.path.isdir(path):
        raise InputError(f"{path} must be a file to write, but it is a folder")
    probe = path.with_name(f".{path.name}.{os.getpid()}")
    write_atomically(probe, b"")
    probe.unlink()
