"""How every command of this package ends."""

import argparse
import subprocess
import sys

import pytest

from fisher.common.command import carry_out
from fisher.common.errors import InputError


def refuse(args):
    raise InputError("n must be even, got 3: add 1")


def interrupt(args):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "run, code, said",
    [
        (lambda args: None, 0, ""),
        (refuse, 2, "error: n must be even, got 3: add 1\n"),
        (interrupt, 130, "interrupted: go on later\n"),
    ],
)
def test_the_code_and_the_sentence(run, code, said, capsys):
    assert carry_out(argparse.ArgumentParser(), run, [], resumes="go on later") == code
    assert capsys.readouterr().err == said


def test_a_defect_of_the_program_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        carry_out(argparse.ArgumentParser(), lambda args: 1 / 0, [])


def test_a_reader_that_has_read_enough_is_no_error():
    """As `| head -1`: the pipe is closed before the text is written."""
    code = "import sys; sys.stdin.read(); from fisher.common.command import show; show('x' * 100_000); sys.exit(3)"
    ours = [sys.executable, "-c", code]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(ours, text=True, **pipes) as process:
        process.stdout.close()
        process.stdin.close()
        assert process.stderr.read() == ""
    assert process.returncode == 3
