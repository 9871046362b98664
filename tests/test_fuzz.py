"""Everything that is parsed ends in a value or in one sentence, whatever it is given."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.data.tasks import task_from_file
from benchmarks.planning.suite_file import load_suite
from benchmarks.run import main
from fisher.common.errors import InputError

QUICK, MANY = 60, 20_000  # two targets: 40,000 inputs in the long form
COUNTS = [QUICK, pytest.param(MANY, marks=pytest.mark.long)]

WORDS = (
    "dropout",
    "mixout",
    "wdecay",
    "head",
    "none",
    "w_pre",
    "w_0",
    "0.1",
    "1e999",
    "nan",
    "-1",
    "true",
    "layers",
    "p",
)
PLAIN = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(max_size=12),
    st.dates(),
    st.sampled_from(WORDS),
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=6), inner, max_size=3),
    max_leaves=6,
)
SUITE_KEYS = (
    "tasks",
    "strategies",
    "fractions",
    "restarts",
    "split_seeds",
    "protocol",
    "model",
    "set",
    "fisher",
    "variant",
)
SUITE = {"tasks": ["pocket-rte"], "strategies": ["none"], "fractions": [0.1], "restarts": 2, "protocol": "lee20"}
TASK_KEYS = ("name", "train", "dev", "test", "text", "label", "labels", "regression", "metric", "x")
TASK = {"name": "own", "train": "a.csv", "dev": "a.csv", "text": ["t"], "label": "l", "labels": ["0", "1"]}
TABLES: dict[Callable[[str], object], Any] = {load_suite: (SUITE, SUITE_KEYS), task_from_file: (TASK, TASK_KEYS)}


def changed(base: dict[str, Any], keys: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    """A good table with some of its values, and some further ones, replaced by others."""
    return st.dictionaries(st.sampled_from(keys), VALUES, max_size=4).map(lambda more: base | more)


def fuzz(count: int, inputs: st.SearchStrategy[Any], check: Callable[[Any], None]) -> None:
    """Call `check` with `count` inputs."""
    quiet = list(HealthCheck)
    run = settings(max_examples=count, deadline=None, database=None, suppress_health_check=quiet)(given(inputs)(check))
    run()


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("read", TABLES)
def test_any_file_is_a_suite_or_a_task_or_a_sentence(read: Callable[[str], object], count: int, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,l\nx,0\n")
    path = tmp_path / "x.toml"

    def check(data: bytes) -> None:
        path.write_bytes(data)
        with contextlib.suppress(InputError):
            read(str(path))

    tables = changed(*TABLES[read]).map(lambda table: tomli_w.dumps(table).encode())
    fuzz(count, st.binary(max_size=80) | tables, check)


@pytest.mark.parametrize("flag", ["--suite", "--task-file"])
@pytest.mark.parametrize(
    "content",
    [
        b"restarts = " + b"9" * 5000,
        b"x = " + b"[" * 100_000,
        b"x = 1 # " + b"x" * 1_000_000,
        b'"\\u001b[2J" = 1',
        b"x = 2024-13-45",
    ],
    ids=["a number of 5,000 digits", "100,000 brackets", "a megabyte", "a terminal escape", "no date"],
)
def test_hostile_files_are_one_printable_sentence(
    tmp_path: Path, refused: Callable[..., str], flag: str, content: bytes
) -> None:
    (tmp_path / "x.toml").write_bytes(content)
    refused(main, flag, tmp_path / "x.toml", "--output", tmp_path / "out", "--dry-run")
