"""What trials print: the tail of it, whatever they print, however they end, and nothing on the disk."""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.executors.output import TAIL_BYTES, Output

ROOT = Path(__file__).parents[3]
CAPTURED = """
import ctypes, faulthandler, os, subprocess, sys
from pathlib import Path
from benchmarks.executors.output import captured
faulthandler.enable(all_threads=False)
with captured(Path(sys.argv[1])):
    {line}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def printed(line: str) -> tuple[int, tuple[str, ...]]:
    """Exit code and output of a process that does `line` while what it prints is captured."""
    output = Output()
    done = subprocess.run([sys.executable, "-c", CAPTURED.format(line=line), str(output.path)], cwd=ROOT)
    return done.returncode, output.close()


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", ()),
        (b"no end of line", ("no end of line",)),
        (b"first\n" + b"\xff" * 90_000 + b"\n" + b"line\n" * 100, ("line",) * 40),
        (b"x" * 100_000, ("x" * 400,)),
        (b"Extension modules: torch\nlast\n", ("last",)),
    ],
)
def test_the_tail_is_short_text_whatever_was_printed(folder: Path, content: bytes, lines: tuple[str, ...]) -> None:
    output = Output()
    with output.path.open("wb") as pipe:
        pipe.write(content)
    assert output.close() == lines
    assert not list(folder.iterdir())


def test_a_trial_that_never_began_has_printed_nothing(folder: Path) -> None:
    assert Output().close() == ()
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("line", "code", "last"),
    [
        ("print('last words')", 0, "last words"),
        ("print('last words', flush=True); os._exit(7)", 7, "last words"),
        ("os.system('echo from a program')", 0, "from a program"),
        ("[os.write(2, b'x' * 2**20) for _ in range(64)]; os.write(1, b'\\nend')", 0, "end"),
    ],
)
def test_what_a_process_and_its_programs_print_is_captured(folder: Path, line: str, code: int, last: str) -> None:
    returncode, lines = printed(line)
    assert (returncode, lines[-1]) == (code, last)
    assert sum(map(len, lines)) < TAIL_BYTES and not list(folder.iterdir())


def test_the_report_of_a_crash_comes_after_all_that_was_printed() -> None:
    returncode, lines = printed("[print('line', n) for n in range(100_000)]; ctypes.string_at(0)")
    assert returncode == -11
    at = lines.index("Fatal Python error: Segmentation fault")
    assert lines[at - 2 : at] == ("line 99998", "line 99999")


def test_a_program_that_is_left_behind_and_goes_on_printing_holds_up_nobody(
    folder: Path, await_that: Callable[..., None], ended: Callable[[int], bool]
) -> None:
    """It is ended by its next line, as every program is that prints to nobody."""
    returncode, lines = printed(f"Path({str(folder / 'pid')!r}).write_text(str(subprocess.Popen(['yes']).pid))")
    assert (returncode, set(lines)) == (0, {"y"})
    await_that(lambda: ended(int((folder / "pid").read_text())))
