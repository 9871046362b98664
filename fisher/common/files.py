"""Files that are written whole or not at all, and read only where they are files."""

import errno
import os
import secrets
import stat
from pathlib import Path

from fisher.common.errors import InputError, require

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")  # its byte-order marks


def _open_at_once(path: str, flags: int) -> int:
    """The opener of a file that is never waited for, as a pipe would be."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_regular(path: Path | str, most: int | None = None) -> bytes:
    """The bytes of a regular file, the first `most` where that is given.

    Raises OSError, also for a folder, a pipe or a device: none is waited for.
    """
    with open(path, "rb", buffering=0, opener=_open_at_once) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it must be a regular file", str(path))
        return file.readall() if most is None else file.read(min(most, found.st_size + 1))


def read_text(path: Path) -> str:
    """The file as text: UTF-8, with or without a byte-order mark, no NUL; InputError otherwise."""
    try:
        data = read_regular(path).removeprefix(_BOM)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        remedy = f"it looks like {'UTF-16' if data.startswith(_UTF16) else 'another encoding'}, save it as UTF-8"
        raise InputError(f"{path}, line {_line_at(data, error.start)}: is not UTF-8; {remedy}.") from None
    if (nul := data.find(b"\0")) >= 0:
        raise InputError(f"{path}, line {_line_at(data, nul)}: holds a NUL byte, so it is not a text file in UTF-8.")
    return text


def _line_at(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1


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
