"""Files that are written whole or not at all, and read only where they are files."""

import errno
import os
import secrets
import stat
from pathlib import Path

from fisher.common.errors import InputError, require


def read_regular(path: Path) -> bytes:
    """The bytes of a regular file. Raises OSError, also for a folder, a pipe or a device: none is waited for."""
    file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        mode = os.fstat(file).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it must be a regular file", str(path))
        with open(file, "rb", closefd=False) as stream:
            return stream.read()
    finally:
        os.close(file)


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


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file atomically into a folder that is made where it is missing.

    Raises:
        InputError: the folder cannot be made or written, or the disk is full; nothing half-written stays behind.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content.encode("utf-8") if isinstance(content, str) else content)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path} cannot be written ({reason}): choose another place or free some room") from None


def require_writable(path: Path) -> None:
    """Refuse an output that could not be written in the end, before any work is done."""
    require(not os.path.isdir(path), f"{path} must be a file to write, but it is a folder")
    probe = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write_file(probe, b"")
    except InputError as error:
        raise InputError(str(error).replace(probe.name, path.name)) from None
    probe.unlink()
