"""What a trial prints: a pipe that its slot reads, of which the last lines are kept and nothing is stored."""

import contextlib
import os
import secrets
import sys
import threading
from collections.abc import Iterator

CHUNK = 1 << 16
TAIL_BYTES, TAIL_LINES, TAIL_WIDTH = 16384, 40, 400


class Output:
    """The reading end, in the process that outlives the trial's, and `writing`, the descriptor of the other.

    That one stays open here too, so that the pipe has no end before `close` writes one: a trial may print nothing, die
    in the middle of a line, or leave processes behind that go on printing.
    """

    def __init__(self) -> None:
        self._pipe, self.writing = os.pipe()
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
        os.write(self.writing, self._end)
        self._reader.join()
        os.close(self.writing)
        os.close(self._pipe)
        lines = self._tail.decode("utf-8", errors="replace").splitlines()
        kept = [line for line in lines if not line.startswith("Extension modules:")]  # of Python's crash report
        return tuple(line[:TAIL_WIDTH] for line in kept[-TAIL_LINES:])


@contextlib.contextmanager
def captured(target: int) -> Iterator[None]:
    """Send what this process prints, native code included, to a descriptor, which is closed afterwards."""
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


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a closed stream is the trial's own affair
            stream.flush()
