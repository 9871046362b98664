"""What CONTRIBUTING.md promises, done to the letter: ten lines are checked, run and ranked by three commands."""

import re
import shlex
from pathlib import Path

import pytest

from benchmarks.__main__ import main

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The first fenced block of a language."""
    match = re.search(rf"```{language}[^\n]*\n(.*?)```", TEXT, re.DOTALL)
    return match[1]


@pytest.mark.parametrize(("text", "most"), [(block("python"), 10), (TEXT, 60)], ids=["the regularizer", "one screen"])
def test_it_is_short(text, most):
    assert len([line for line in text.splitlines() if line.strip()]) <= most


def test_the_three_commands_check_run_and_rank_it(tmp_path, monkeypatch, capsys):
    """Every command of CONTRIBUTING.md, run in order in a folder outside the repository."""
    (tmp_path / "my.py").write_text(block("python"))
    monkeypatch.chdir(tmp_path)
    shown = {}
    for line in block("sh").strip().splitlines():
        program, *words = shlex.split(line)
        assert program == "regbench" and main(words) == 0
        shown[words[0]] = capsys.readouterr().out
    assert list(shown) == ["check", "run", "build"]
    assert "1 of 1 methods pass" in shown["check"]
    assert all(strategy in shown["build"] for strategy in ("my(0.1)", "none"))
