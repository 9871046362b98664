"""The benchmark command: that both ways agree, and what it writes."""

import json

import pytest

from fisher.bench import main
from fisher.estimation import bench


def test_a_small_run_agrees_and_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(bench.SIZES, "small", (1, 24, 2))
    path = tmp_path / "bench.json"
    assert main(["--length", "6", "--samples", "2", "--rounds", "1", "--output", str(path)]) == 0
    found = json.loads(path.read_text())
    assert found["largest_relative_difference"] < 1e-4
    for ratio in ("loop_over_batched", "loop_over_bound"):
        assert set(found[ratio]) == {"min", "median", "max"} and found[ratio]["min"] > 0


def test_memory_alone_needs_no_rounds(monkeypatch):
    monkeypatch.setitem(bench.SIZES, "small", (1, 24, 2))
    found = bench.measure("small", length=6, samples=2, rounds=0, batch_tokens=64)
    assert found["peak_memory"] >= 0 and "loop_over_batched" not in found


@pytest.mark.parametrize(
    "flag, value, sentence",
    [
        ("--length", "3", "--length must be at least 4, got 3"),
        ("--length", "513", "--length must be at most 512, got 513"),
        ("--samples", "1", "--samples must be at least 2, got 1"),
        ("--rounds", "-1", "--rounds must be at least 0, got -1"),
    ],
)
def test_bad_requests_have_their_sentence(flag, value, sentence, refused):
    assert refused(main, flag, value) == f"error: {sentence}\n"


def test_an_unwritable_output_is_said_before_any_work(tmp_path, refused):
    assert "must be a file to write, but it is a folder" in refused(main, "--output", tmp_path)
