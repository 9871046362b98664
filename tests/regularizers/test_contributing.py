"""What CONTRIBUTING.md promises, done to the letter: ten lines are checked, run and ranked by three commands."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()


def block(language: str) -> str:
    """The first fenced block of a language."""
    match = re.search(rf"```{language}[^\n]*\n(.*?)```", TEXT, re.DOTALL)
    assert match is not None
    return match[1]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory) -> dict[str, subprocess.CompletedProcess]:
    """Every command of CONTRIBUTING.md, run in order in a folder outside the repository."""
    folder = tmp_path_factory.mktemp("contributor")
    (folder / "my.py").write_text(block("python"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = {}
    for line in block("sh").strip().splitlines():
        program, *words = shlex.split(line)
        assert program == "python"
        done[words[1]] = subprocess.run(
            [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=900
        )
    return done


def test_the_regularizer_has_at_most_ten_lines():
    assert len([line for line in block("python").splitlines() if line.strip()]) <= 10


def test_there_are_three_commands(outputs):
    assert list(outputs) == ["regularizers", "benchmarks.run", "leaderboard.build"]


@pytest.mark.parametrize("command", ["regularizers", "benchmarks.run", "leaderboard.build"])
def test_the_command_succeeds(outputs, command):
    assert outputs[command].returncode == 0, outputs[command].stdout + outputs[command].stderr


def test_the_check_passes_and_the_leaderboard_ranks_both(outputs):
    assert "1 of 1 methods pass" in outputs["regularizers"].stdout
    for strategy in ("my(0.1)", "none"):
        assert strategy in outputs["leaderboard.build"].stdout


def test_it_fits_one_screen():
    assert len(TEXT.splitlines()) <= 60
