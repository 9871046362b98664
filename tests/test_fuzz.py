"""Everything that is parsed ends in a value or in one sentence, whatever it is given."""

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.data.own_task import task_from_file
from benchmarks.data.readers import read_table
from benchmarks.planning.suite_file import load_suite, override
from benchmarks.run import main
from fisher.common.errors import InputError
from leaderboard.records.schema import RecordError
from leaderboard.records.store import read_record, write_record
from regularizers.strategy import parse

QUICK, MANY = 60, 20_000  # five targets: 100,000 inputs in the long form
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
STRATEGIES = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from((*WORDS, "(", ")", ",", "+", "=", ":", '"', "\\", " ", "9" * 400)), max_size=16).map(
        "".join
    ),
    st.builds("{}({}, {}) + {}".format, *[st.sampled_from(WORDS)] * 4),
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


def changed(base: dict[str, Any], keys: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    """A good table with some of its values, and some further ones, replaced by others."""
    return st.dictionaries(st.sampled_from(keys), VALUES, max_size=4).map(lambda more: base | more)


def fuzz(count: int, inputs: st.SearchStrategy[Any], check: Callable[[Any], None]) -> None:
    """Call `check` with `count` inputs."""
    quiet = list(HealthCheck)
    run = settings(max_examples=count, deadline=None, database=None, suppress_health_check=quiet)(given(inputs)(check))
    run()


@pytest.mark.parametrize("count", COUNTS)
def test_any_text_is_a_strategy_or_a_sentence(count: int) -> None:
    def check(text: str) -> None:
        with contextlib.suppress(InputError):
            strategy = parse(text)
            assert parse(str(strategy)) == strategy

    fuzz(count, STRATEGIES, check)


@pytest.mark.parametrize("count", COUNTS)
def test_any_file_is_a_suite_or_a_sentence(count: int, tmp_path: Path) -> None:
    path = tmp_path / "suite.toml"

    def check(data: bytes) -> None:
        path.write_bytes(data)
        with contextlib.suppress(InputError):
            load_suite(str(path))

    fuzz(
        count,
        st.binary(max_size=80) | changed(SUITE, SUITE_KEYS).map(lambda table: tomli_w.dumps(table).encode()),
        check,
    )


@pytest.mark.parametrize("count", COUNTS)
def test_any_file_is_a_task_or_a_sentence(count: int, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,l\nx,0\n")
    path = tmp_path / "task.toml"

    def check(data: bytes) -> None:
        path.write_bytes(data)
        with contextlib.suppress(InputError):
            task_from_file(path)

    fuzz(
        count, st.binary(max_size=80) | changed(TASK, TASK_KEYS).map(lambda table: tomli_w.dumps(table).encode()), check
    )


@pytest.mark.parametrize("count", COUNTS)
def test_any_table_is_rows_or_a_sentence(count: int, tmp_path: Path) -> None:
    cells = st.lists(st.sampled_from(("t", "l", "\t", ",", "\n", "\r", '"', "{", "}", "\0", "\ufeff", '{"t":1,"l":2}')))
    data = st.binary(max_size=60) | cells.map(lambda parts: "".join(parts).encode())

    def check(given: tuple[bytes, str]) -> None:
        path = tmp_path / f"table.{given[1]}"
        path.write_bytes(given[0])
        with contextlib.suppress(InputError):
            assert all(len(row.cells) == 2 for row in read_table(path, ["t", "l"]))

    fuzz(count, st.tuples(data, st.sampled_from(("tsv", "csv", "jsonl"))), check)


@pytest.mark.parametrize("count", COUNTS)
def test_any_damaged_record_is_a_sentence_that_can_be_printed(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    path = write_record(tmp_path, RECORD)
    whole = path.read_bytes()

    def check(damage: tuple[int, int, bytes]) -> None:
        at, length, by = damage
        path.write_bytes(whole[: at % len(whole)] + by + whole[at % len(whole) + length :])
        try:
            assert read_record(path)["config"] == RECORD["config"], "what is read is what was written"
        except RecordError as error:
            assert str(error).isprintable()

    fuzz(count, st.tuples(st.integers(0, 5000), st.integers(0, 50), st.binary(max_size=8)), check)


@pytest.mark.parametrize(
    "assignment", ["lr=" + "9" * 5000, "epochs=" + "9" * 5000, "fisher_samples=" + "9" * 5000, "=", "lr=\x1b[2J"]
)
def test_assignments_are_values_or_sentences(assignment: str) -> None:
    with pytest.raises(InputError):
        override(load_suite("pocket"), {}, [assignment])


@pytest.mark.parametrize("kind", ["suite", "task"])
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
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, content: bytes
) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    argv = ["--suite", str(path)] if kind == "suite" else ["--task-file", str(path)]
    assert main([*argv, "--output", str(tmp_path / "out"), "--dry-run"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.removesuffix("\n").isprintable()


@pytest.mark.parametrize("kind", ["suite", "task"])
def test_a_pipe_in_place_of_a_file_does_not_block(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    os.mkfifo(tmp_path / "x.toml")
    argv = ["--suite", str(tmp_path / "x.toml")] if kind == "suite" else ["--task-file", str(tmp_path / "x.toml")]
    assert main([*argv, "--output", str(tmp_path / "out"), "--dry-run"]) == 2
    assert "must be a regular file" in capsys.readouterr().err


def test_nothing_in_the_project_unpickles() -> None:
    """Records, suites, tasks, scores and states are data; torch's own files are read as weights only."""
    root = Path(__file__).parents[1]
    for package in ("benchmarks", "regularizers", "fisher", "leaderboard"):
        for path in (root / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert (
                "import pickle" not in text
                and "allow_pickle=True" not in text
                and "eval(" not in text.replace(".eval(", "")
            )
            in_memory = path.name == "conformance.py"  # it loads a model that it has just saved into a buffer
            assert in_memory or "weights_only=False" not in text, f"{path} reads more than weights"


@pytest.mark.parametrize("name", ["../../escape", "/etc/escape", "a/b", "..", "a\x00b", "\x1b]0;x\x07", "con\nfig"])
def test_no_name_leads_out_of_the_records_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    config = RECORD["config"] | {"task": name, "model": name, "strategy": name}
    path = write_record(tmp_path / "records", RECORD | {"config": config})
    assert path.parent == tmp_path / "records" and path.name.isprintable()
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


RECORD: dict[str, Any] = json.loads(
    """{"config": {"task": "rte", "strategy": "none", "fraction": 0.1, "restart": 0, "split_seed": 0, "seeds": {},
    "protocol": {"name": "lee20", "metric": "primary", "data": "official", "selection": "last", "precision": "fp32"},
    "model": "m", "weights": "w", "split_hash": "s", "dev_hash": "d", "metric": "accuracy", "methods": {},
    "fisher": null}, "result": {"status": "killed", "reason": "x", "score": null, "failed": null}, "environment": {}}"""
)
