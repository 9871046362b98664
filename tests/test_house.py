"""The house keeps its floors apart: imports go one way only."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("benchmarks", "regularizers", "fisher", "leaderboard")
HARMLESS = ("Random", "getstate")  # a generator of its own; reading the state draws nothing
ALLOWED = {
    "benchmarks": {"benchmarks", "regularizers", "fisher", "leaderboard"},
    "regularizers": {"regularizers", "fisher"},
    "fisher": {"fisher"},
    "leaderboard": {"leaderboard", "fisher"},  # of fisher only fisher.common, see below
}


def imported(path: Path) -> set[str]:
    """Top-level names that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_one_way(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        ours = imported(path) & set(PACKAGES)
        assert ours <= ALLOWED[package], f"{path.relative_to(ROOT)} imports {sorted(ours - ALLOWED[package])}"


def test_no_module_uses_pythons_or_numpys_global_random_state() -> None:
    """Global draws would unpair restarts; a generator of its own is fine."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "random":
                    assert node.attr in HARMLESS, f"{path.name} draws from random.{node.attr}"


def test_the_leaderboard_takes_only_the_common_floor_of_fisher() -> None:
    for path in (ROOT / "leaderboard").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fisher"):
                assert node.module.startswith("fisher.common"), f"{path.name} imports {node.module}"
