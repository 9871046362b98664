"""The house keeps its floors apart: imports go one way only; and what no module of it may do."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HARMLESS = {"Random", "getstate"}  # a generator of its own; reading the state draws nothing
ALLOWED = {
    "benchmarks": ("benchmarks", "regularizers", "fisher", "leaderboard"),
    "regularizers": ("regularizers", "fisher"),
    "fisher": ("fisher",),
    "leaderboard": ("leaderboard", "fisher.common"),
}


def sources(package: str) -> Iterator[tuple[Path, str, list[ast.AST]]]:
    """The files of a package, their text and all that stands in it."""
    for path in (ROOT / package).rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        yield path, text, list(ast.walk(ast.parse(text)))


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_go_one_way(package: str) -> None:
    below = tuple(f"{allowed}." for allowed in ALLOWED[package])
    for path, _, nodes in sources(package):
        names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
        ours = {name for name in names if name.split(".")[0] in ALLOWED}
        wrong = sorted(name for name in ours if not f"{name}.".startswith(below))
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


@pytest.mark.parametrize("package", ALLOWED)
def test_no_module_uses_pythons_or_numpys_global_random_state(package: str) -> None:
    """Global draws would unpair restarts; a generator of its own is fine."""
    for path, _, nodes in sources(package):
        attributes = [node for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
        drawn = {node.attr for node in attributes if node.value.id == "random"}
        assert drawn <= HARMLESS, f"{path.name} draws from random.{drawn - HARMLESS}"


@pytest.mark.parametrize("package", ALLOWED)
def test_no_module_unpickles(package: str) -> None:
    """Records, suites, tasks, scores and states are data; torch's own files are read as weights only."""
    for path, text, _ in sources(package):
        in_memory = path.name == "conformance.py"  # it loads a model that it has just saved into a buffer
        ways = ["import pickle", "allow_pickle=True", "eval("] + ["weights_only=False"] * (not in_memory)
        assert not [way for way in ways if way in text.replace(".eval(", "")], f"{path} reads more than data"
