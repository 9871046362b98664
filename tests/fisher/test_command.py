"""How every command ends."""

import subprocess
import sys

import pytest

from fisher.common.command import Command
from fisher.common.errors import InputError


def no_flags(parser):
    pass


def refuse(args):
    raise InputError("n must be even, got 3\x1b: add 1")


def interrupt(args):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "run, resumes, code, said",
    [
        (lambda args: None, False, 0, ""),
        (lambda args: 1, False, 1, ""),
        (refuse, False, 2, "error: n must be even, got 3\\x1b: add 1\n"),
        (interrupt, False, 130, "Interrupted.\n"),
        (interrupt, True, 130, "Interrupted. Run the same command again to resume.\n"),
    ],
)
def test_the_code_and_the_sentence(run, resumes, code, said, capsys):
    assert Command("regbench x", None, no_flags, run, resumes)([]) == code
    assert capsys.readouterr().err == said


def test_a_defect_of_the_program_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        Command("regbench x", None, no_flags, lambda args: 1 / 0)([])


def test_the_docstring_is_the_help(capsys):
    command = Command("regbench x", "Do x.\n\nexamples:\n  regbench x   # twice\n", no_flags, refuse)
    with pytest.raises(SystemExit):
        command(["--help"])
    shown = capsys.readouterr().out
    assert shown.startswith("usage: regbench x") and "Do x.\n" in shown and shown.endswith("  regbench x   # twice\n")


def test_a_reader_that_has_read_enough_is_no_error():
    """As `| head -1`: the pipe is closed before the text is written."""
    code = (
        "import sys; sys.stdin.read(); from fisher.common.command import Command; "
        "sys.exit(Command('x', None, lambda parser: None, lambda args: print('x' * 100_000))([]))"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], text=True, **pipes) as process:
        process.stdout.close()
        process.stdin.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_any_script_is_shown_on_any_terminal():
    code = (
        "import sys; from fisher.common.command import Command; "
        "sys.exit(Command('x', None, lambda parser: None, lambda args: print('\\u00e9'))([]))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, env={"PYTHONIOENCODING": "ascii"})
    assert (ran.returncode, ran.stdout) == (0, b"\\xe9\n")
