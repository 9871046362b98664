"""`regbench`: every sub-command, what its --help says, and what it does not wait for."""

import argparse
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.__main__ import COMMANDS, main

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
LOADED = """
import contextlib, io, sys
from benchmarks.__main__ import main
for words in ({words} + ["--help"], {words} + ["--no-such-flag"]):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        with contextlib.suppress(SystemExit):
            main(words)
print(*sys.modules)
"""


def parser_of(name: str) -> argparse.ArgumentParser:
    module = import_module(COMMANDS[name].module)
    return module.parsers()[name] if hasattr(module, "parsers") else module.main.parser()


@pytest.mark.parametrize("name", [*COMMANDS, "fisher", "no-such-command"])
def test_help_and_a_refusal_load_no_heavy_library(name: str) -> None:
    code = LOADED.format(words=name.split())
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {module.partition(".")[0] for module in ran.stdout.split()}
    assert loaded & HEAVY == set()


def test_a_hyperparameter_out_of_range_is_refused_without_what_a_run_needs() -> None:
    code = "import sys; from benchmarks.__main__ import main; main(sys.argv[1:]); print(*sys.modules)"
    words = ["run", "--strategies", "mixout(w_pre, 1.7)"]
    ran = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {module.partition(".")[0] for module in ran.stdout.split()}
    assert "p of mixout must be in [0, 1), got 1.7" in ran.stderr
    assert loaded & {"datasets", "pandas", "sklearn", "matplotlib", "networkx", "ray", "peft"} == set()


def test_a_worker_loads_no_library_that_most_trials_do_without() -> None:
    code = "import sys, benchmarks.executors.worker, benchmarks.trial.trial; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {module.partition(".")[0] for module in ran.stdout.split()}
    assert loaded & {"datasets", "pandas", "sklearn", "matplotlib", "networkx", "ray", "peft"} == set()


@pytest.mark.parametrize("name", [name for name in COMMANDS if not name.startswith("list ")])
def test_every_flag_has_a_text_and_every_help_examples_and_exit_codes(name: str) -> None:
    parser = parser_of(name)
    assert parser.prog == f"regbench {name}"
    assert [action.dest for action in parser._actions if not action.help] == []
    assert parser.description
    assert re.search(r"^examples?:\n  regbench ", parser.epilog or "", re.M)
    assert re.search(r"^exit codes: 0 ", parser.epilog or "", re.M)


def test_without_a_command_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([])
    shown = capsys.readouterr().out
    assert end.value.code == 0
    assert [name for name in COMMANDS if f"\n  {name} " not in shown] == []


def test_a_group_lists_its_own_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fisher", "--help"])
    shown = capsys.readouterr().out
    assert "  fisher landscape  " in shown and "  theory " not in shown


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
