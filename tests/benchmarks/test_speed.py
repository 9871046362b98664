"""The speed command measures what it says; how fast anything is, is no test."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.speed import commands
from benchmarks.speed.__main__ import main
from benchmarks.speed.report import markdown
from benchmarks.speed.steps import CANDIDATES, RATIOS
from fisher.common.errors import InputError
from fisher.common.measure import summary

HEAD = ("model", "machine", "torch", "transformers")


def test_every_ratio_is_of_measured_candidates() -> None:
    assert {name for ratio in RATIOS for name in ratio} == set(CANDIDATES)


def test_a_summary_is_minimum_median_and_maximum() -> None:
    assert summary([3.0, 1.0, 8.0, 2.0]) == {"min": 1.0, "median": 2.5, "max": 8.0}


def test_measures_steps_trials_and_exactness(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "speed.json"
    request = ["--tasks", "pocket-cola", "--fraction", "0.02", "--batches", "1", "--trials", "--rounds", "1"]
    assert main([*request, "--output", str(output)]) == 0
    shown, found = capsys.readouterr().out, json.loads(output.read_text())
    entry = found["tasks"]["pocket-cola"]
    assert set(entry["steps"]["milliseconds"]) == set(CANDIDATES)
    assert all(0 < value["min"] <= value["max"] for value in entry["steps"]["ratios"].values())
    assert all(value <= 1e-10 for value in entry["exact"].values())
    flops = entry["steps"]["flops_of_first_batch"]
    assert flops["mixout 0.9"] < flops["dropout"] < flops["dropout, stock"]
    assert entry["tokens"]["real"] < entry["tokens"]["padded"] <= entry["tokens"]["padded to max_length"]
    assert set(entry["trials"]["ratios"]) == {f"trainer, padded to {to} / ours" for to in ("the batch", "max_length")}
    shares = {name: value["median"] for name, value in entry["trials"]["evaluation_share"].items()}
    assert 0 < shares["ours, evaluated once"] < shares["ours"] < 1
    assert "mixout 0.9 / dropout" in shown and "fixed cost of a warm trial, s" in shown


def test_measures_commands_and_the_start_of_a_worker(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two commands of those it has stand for all."""
    every = commands.commands(tmp_path, demo=True)
    assert commands.DEMO in every and commands.DEMO not in commands.commands(tmp_path, demo=False)
    few = {name: every[name] for name in ("regbench run --help", "an unknown task refused")}
    monkeypatch.setattr(commands, "commands", lambda folder, demo: few)
    found = commands.measure(tmp_path, 1, demo=False)
    assert set(found["processor_seconds"]) == set(few) and set(found["seconds"]) == {*few, commands.WORKER}
    assert all(value["min"] > 0 for part in found.values() for value in part.values())
    text = markdown({"tasks": {}, "matmul": 1e9, "commands": found, **dict.fromkeys(HEAD, "x")})
    assert re.search(rf"{commands.WORKER} *\| [0-9.]+ \[[0-9.]+, [0-9.]+\] *\| *\|", text)


def test_a_command_that_ends_otherwise_is_no_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "commands", lambda folder, demo: {"help": (["run", "--help"], 2)})
    with pytest.raises(InputError, match="regbench run --help must exit with 2, got 0"):
        commands.measure(tmp_path, 1, demo=False)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (["--batches", "0"], "--batches must be at least 1, got 0"),
        (["--rounds", "0"], "--rounds must be at least 1, got 0"),
        (["--demo"], "--demo must go with --commands, got it alone"),
        (["--fraction", "1.5"], r"--fraction must be in \(0, 1\], got 1.5"),
        (["--tasks", "rte"], "--data-dir"),
    ],
)
def test_bad_requests(
    request_: list[str], message: str, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert re.search(message, refused(main, *request_, "--offline"))
