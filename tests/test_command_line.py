"""`regbench`: every sub-command, what its --help says, and what it does not wait for."""

import argparse
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from benchmarks.__main__ import COMMANDS, main
from benchmarks.trial.environment import environment
from fisher.common.packages import requirements_of, version_of

ROOT = Path(__file__).parents[1]
HEAVY = {
    "torch",
    "transformers",
    "datasets",
    "accelerate",
    "pandas",
    "scipy",
    "sklearn",
    "matplotlib",
    "networkx",
    "ray",
}
SELDOM = {"datasets", "pandas", "sklearn", "matplotlib", "networkx", "ray", "peft"}  # which most trials do without
LOADED = """
import contextlib, io, sys
from benchmarks.__main__ import main
for words in ({words} + ["--help"], {words} + ["--no-such-flag"]):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        with contextlib.suppress(SystemExit):
            main(words)
"""


def parser_of(name: str) -> argparse.ArgumentParser:
    module = import_module(COMMANDS[name].module)
    return module.parsers()[name] if hasattr(module, "parsers") else module.main.parser()


def loaded_by(code: str, *words: str) -> tuple[set[str], str]:
    """The top-level modules that a fresh process has loaded after `code`, and what it said."""
    command = [sys.executable, "-c", f"{code}\nprint(*sys.modules)", *words]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return {module.partition(".")[0] for module in ran.stdout.split()}, ran.stderr


@pytest.mark.parametrize("name", [*COMMANDS, "fisher", "no-such-command"])
def test_help_and_a_refusal_load_no_heavy_library(name: str) -> None:
    loaded, _ = loaded_by(LOADED.format(words=name.split()))
    assert loaded & HEAVY == set()


def test_a_hyperparameter_out_of_range_is_refused_without_what_a_run_needs() -> None:
    code = "import sys; from benchmarks.__main__ import main; main(sys.argv[1:])"
    loaded, said = loaded_by(code, "run", "--strategies", "mixout(w_pre, 1.7)")
    assert "p of mixout must be in [0, 1), got 1.7" in said
    assert loaded & SELDOM == set()


def test_a_worker_loads_no_library_that_most_trials_do_without() -> None:
    loaded, _ = loaded_by("import sys, benchmarks.executors.worker, benchmarks.trial.trial")
    assert loaded & SELDOM == set()


@pytest.mark.parametrize("name", [name for name in COMMANDS if not name.startswith("list ")])
def test_every_flag_has_a_text_and_every_help_examples_and_exit_codes(name: str) -> None:
    parser = parser_of(name)
    assert parser.prog == f"regbench {name}"
    assert [action.dest for action in parser._actions if not action.help] == []
    assert parser.description
    assert re.search(r"^examples?:\n  regbench ", parser.epilog or "", re.M)
    assert re.search(r"^exit codes: 0 ", parser.epilog or "", re.M)


@pytest.fixture
def ended(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command prints that ends with exit code 0 by itself."""

    def shown(*words: str) -> str:
        with pytest.raises(SystemExit, match=r"^0$"):
            main([*words])
        return capsys.readouterr().out

    return shown


def test_without_a_command_all_are_listed(ended: Callable[..., str]) -> None:
    shown = ended()
    assert [name for name in COMMANDS if f"\n  {name} " not in shown] == []


def test_a_group_lists_its_own_commands(ended: Callable[..., str]) -> None:
    shown = ended("fisher", "--help")
    assert "  fisher landscape  " in shown and "  theory " not in shown


def test_what_is_installed_has_its_version_and_requirements() -> None:
    assert version_of("regbench")[0].isdigit()
    assert any(text.startswith("torch") for text in requirements_of("regbench"))


def test_a_checkout_that_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch, ended: Callable[..., str]) -> None:
    def missing(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr("fisher.common.packages.version", missing)
    monkeypatch.setattr("fisher.common.packages.requires", missing)
    assert ended("--version") == "regbench not installed\n"
    assert environment.__wrapped__(1)["datasets"] == "not installed"
    assert requirements_of("regbench") == []


@pytest.mark.parametrize(("words", "said"), [("rum", "'rum'; did you mean run?"), ("fisher reprot", "fisher report?")])
def test_an_unknown_command_gets_the_nearest(words: str, said: str, refused: Callable[..., str]) -> None:
    assert said in refused(main, *words.split())


def test_a_sub_command_is_the_function_of_its_module(printed: Callable[..., str], refused: Callable[..., str]) -> None:
    assert "pocket-rte" in printed(main, "list", "tasks")
    assert "lee20-table1" in refused(main, "compare", "nowhere", "--published", "lee20")


def test_the_documented_table_of_commands_is_complete() -> None:
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `regbench ([\w ]+)` \| `python -m ([\w. -]+)` \|", text, re.M))
    forms = {
        name: " ".join([command.module.removesuffix(".__main__"), *command.words]) for name, command in COMMANDS.items()
    }
    assert rows == forms


def test_a_shell_gets_completions(tmp_path: Path) -> None:
    pytest.importorskip("argcomplete", reason="a dependency of regbench that this environment lacks")
    line = "regbench fisher estimate --obj"
    environment = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    environment["_ARGCOMPLETE_STDOUT_FILENAME"] = str(tmp_path / "answers")
    subprocess.run([sys.executable, "-m", "benchmarks"], env=environment, cwd=ROOT, check=True)
    assert (tmp_path / "answers").read_text().split() == ["--objective"]
