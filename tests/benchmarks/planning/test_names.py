"""What is refused before torch is loaded, and what only looks like an unknown name."""

import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.planning.names import builtin_methods, check_names
from regularizers.registry import load_builtin, methods


def given(**values: Any) -> Namespace:
    plain = {"data_dir": None, "task_file": None, "offline": True, "tasks": None, "suite": None, "strategies": None}
    return Namespace(**(plain | {"plugin": [], "tune": 2} | values))  # of families the names alone are looked up


def test_every_method_has_a_file_of_its_name() -> None:
    load_builtin()
    ours = [name for name, cls in methods().items() if cls.__module__.startswith("regularizers.")]
    assert builtin_methods() == ours


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tasks": ["rtee"]}, "unknown task 'rtee'"),
        ({"suite": "glu"}, "unknown suite 'glu'"),
        ({"suite": "no.toml"}, "no.toml"),
        ({"task_file": "no.toml"}, "no.toml"),
        ({"strategies": ["none", "mixot(w_pre, 0.7)"]}, "unknown regularizer 'mixot'"),
        ({"strategies": ["dropout(0.1) + head:mixot(w_0, 0.7)"]}, "unknown regularizer 'mixot'"),
    ],
)
def test_a_name_that_nothing_has_is_refused(values: dict[str, Any], message: str, refusal: Any) -> None:
    assert refusal(check_names, given(**values)).startswith(message)


@pytest.mark.parametrize(
    "text",
    [
        "none",
        "bitfit + freeze(1)",
        'mixout("a + b(c).safetensors", 0.7)',
        "dropout(1e-1) + head:dropout(+0.2)",
        "((",
        "",
    ],
)
def test_what_is_no_unknown_name_is_left_to_the_parser(text: str) -> None:
    check_names(given(strategies=[text]))
    check_names(given(strategies=["mine(1)"], plugin=["mine.py"]))


@pytest.mark.parametrize(
    "command",
    [
        "benchmarks.run --suite glu",
        "benchmarks.run --tasks rtee",
        "benchmarks.run --strategies mixot(w_pre,0.7)",
        "benchmarks.fisher --task rtee --output F.safetensors",
        "benchmarks.speed --tasks rtee",
    ],
)
def test_a_refused_name_loads_no_torch(command: str) -> None:
    module, *flags = command.split()
    code = f"import sys, {module}{'.__main__' if module.endswith('speed') else ''} as m; code = m.main({flags}); "
    code += "sys.exit(100 * ('torch' in sys.modules) + code)"
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, timeout=600).returncode == 2
