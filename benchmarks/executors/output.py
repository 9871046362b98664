"""What a trial prints: a named pipe that its slot reads, of which the last lines are kept and nothing is stored."""

import contextlib
import os
import secrets
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

CHUNK = 1 << 16
TAIL_BYTES, TAIL_LINES, TAIL_WIDTH = 16384, 40, 400


class Output:
    """The reading end, in the process that outlives the trial's; raises OSError where no pipe can be made.

    The pipe is opened for writing too, so that it has no end before `close` writes one: a trial may print nothing, die
    in the middle of a line, or leave processes behind that go on printing.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="regbench-"), "output")
        os.mkfifo(self.path, 0o600)
        self._pipe = os.open(self.path, os.O_RDWR)
        self._end = secrets.token_bytes(16)
        self._tail = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        ended = b""
        while not ended:
            printed, ended, _ = (self._tail + os.read(self._pipe, CHUNK)).partition(self._end)
            self._tail = printed[-TAIL_BYTES:]

    def close(self) -> tuple[str, ...]:
        """The last lines of what was printed until now, bounded in number and width; none if there were none."""
        os.write(self._pipe, self._end)
        self._reader.join()
        os.close(self._pipe)
        _remove(self.path)
        lines = self._tail.decode("utf-8", errors="replace").splitlines()
        kept = [line for line in lines if not line.startswith("Extension modules:")]  # of Python's crash report
        return tuple(line[:TAIL_WIDTH] for line in kept[-TAIL_LINES:])


@contextlib.contextmanager
def captured(path: Path) -> Iterator[None]:
    """Send what this process prints, native code included, into the pipe of that name, which is gone from then on."""
    target = os.open(path, os.O_WRONLY)
    _remove(path)
    kept = os.dup(1), os.dup(2)
    _flush()
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        yield
    finally:
        _flush()
        for number, old in zip((1, 2), kept, strict=True):
            os.dup2(old, number)
            os.close(old)
        os.close(target)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
        path.parent.rmdir()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a closed stream is the trial's own affair
            stream.flush()
