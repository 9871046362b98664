"""The speed command measures what it says; how fast anything is, is no test."""

import itertools
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.executors.outcome import Outcome, Status
from benchmarks.speed import device, measure, steps, trials
from benchmarks.speed.__main__ import main, visible
from benchmarks.speed.bench import Bench
from benchmarks.speed.report import markdown
from benchmarks.speed.steps import CANDIDATES, RATIOS
from fisher.common.measure import in_turn, summary

HEAD = ("model", "machine", "torch", "transformers")
MIXED = ("mixout 0.9", "mixout 0.9, plain mixing")  # which the measurement of steps needs


def test_every_ratio_is_of_measured_candidates() -> None:
    assert {name for ratio in RATIOS for name in ratio} == set(CANDIDATES)


def test_a_summary_is_minimum_median_and_maximum() -> None:
    assert summary([3.0, 1.0, 8.0, 2.0]) == {"min": 1.0, "median": 2.5, "max": 8.0}


def test_times_are_those_of_the_clock() -> None:
    ticks = iter([0.0, 2.0, 10.0, 13.0])
    assert in_turn({"way": lambda: None}, 2, lambda: next(ticks)) == {"way": [2.0, 3.0]}


def test_measures_steps_trials_and_exactness(tmp_path: Path, printed: Callable[..., str]) -> None:
    output = tmp_path / "speed.json"
    request = ["--tasks", "pocket-cola", "--fraction", "0.02", "--batches", "1", "--trials", "--rounds", "1"]
    shown, found = printed(main, *request, "--output", output), json.loads(output.read_text())
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


def test_measures_commands_and_the_start_of_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two commands of those it has stand for all."""
    every = measure.commands(tmp_path, demo=True)
    assert measure.DEMO in every and measure.DEMO not in measure.commands(tmp_path, demo=False)
    few = {name: every[name] for name in ("regbench run --help", "an unknown task refused")}
    monkeypatch.setattr(measure, "commands", lambda folder, demo: few)
    found = measure.time_commands(tmp_path, 1, demo=False)
    assert set(found["processor_seconds"]) == set(few) and set(found["seconds"]) == {*few, measure.WORKER}
    assert all(value["min"] > 0 for part in found.values() for value in part.values())
    text = markdown({"tasks": {}, "matmul": 1e9, "commands": found, **dict.fromkeys(HEAD, "x")})
    assert re.search(rf"{measure.WORKER} *\| [0-9.]+ \[[0-9.]+, [0-9.]+\] *\| *\|", text)


def test_a_command_that_ends_otherwise_is_no_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str]
) -> None:
    monkeypatch.setattr(measure, "commands", lambda folder, demo: {"help": (["run", "--help"], 2)})
    said = refusal(measure.time_commands, tmp_path, 1, demo=False)
    assert "regbench run --help must exit with 2, got 0" in said


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (["--batches", "-1"], "--batches must be at least 0, got -1"),
        (["--trials-per-device", "1", "0"], "--trials-per-device must be at least 1, got 0"),
        (["--precision", "fp16"], "precision must be one of fp32, bf16, got 'fp16'"),
        (["--compile"], "--compile must go with --device cuda, got it alone"),
        (["--rounds", "0"], "--rounds must be at least 1, got 0"),
        (["--demo"], "--demo must go with --commands, got it alone"),
        (["--fraction", "1.5"], "--fraction must be in (0, 1], got 1.5"),
        (["--tasks", "rte"], "--data-dir"),
        (
            ["--device", "cuda"],
            "--device cuda must have a GPU that torch can use, got none; leave --device out to measure the CPU",
        ),
    ],
)
def test_bad_requests(
    request_: list[str], message: str, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert message in refused(main, *request_, "--offline")


@pytest.mark.parametrize(
    ("before", "chosen", "within"),
    [(None, "cuda", "0"), ("5,7", "cuda", "5"), ("", "cuda", ""), (None, "cpu", ""), ("5,7", "cpu", "")],
)
def test_one_gpu_is_seen_on_cuda_and_none_on_the_cpu(
    before: str | None, chosen: str, within: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if before is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", before)
    with visible(chosen):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == within
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == before


def make_bench(folder: Path, **settings: Any) -> Bench:
    device.settle("cpu")
    return Bench("pocket", "pocket-cola", 0.02, folder, None, True, **settings)


def test_a_training_has_the_precision_that_is_asked_for(tmp_path: Path) -> None:
    training = make_bench(tmp_path, precision="bf16").training("dropout(0.1)")
    assert training.accelerator.mixed_precision == "bf16"
    training = make_bench(tmp_path).training("dropout(0.1)")
    assert training.accelerator.mixed_precision == "no"


def test_on_a_gpu_every_batch_warms_up_and_the_synchronized_clock_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: waits.append(time.perf_counter()))
    monkeypatch.setattr(steps, "CANDIDATES", {name: CANDIDATES[name] for name in ("dropout", "dropout, stock", *MIXED)})
    monkeypatch.setattr(steps, "RATIOS", (("dropout", "dropout, stock"),))
    bench = make_bench(tmp_path, device="cuda")
    count = len(bench.batches(2))
    found = steps.measure(bench, 2)
    assert found["batches"] == count and len(waits) == 2 * 2 * count * len(steps.CANDIDATES)
    waits.clear()
    ran: list[bool] = []
    monkeypatch.setattr(trials, "trainer_trial", lambda bench, length, compiled=False: ran.append(compiled))
    spent = iter([0.0, 30.0, 35.0])
    monkeypatch.setattr(trials, "compile_seconds", lambda: next(spent))
    assert set(trials.measure(bench, 1)["ratios"]) == {"trainer, padded to the batch / ours"}
    found = trials.measure_compiled(bench)
    assert set(found["seconds"]) == {"trainer, compiled, first", "trainer, compiled, second"}
    assert found["compile_seconds"] == {"first": 30.0, "second": 5.0}
    text = markdown({"tasks": {"rte": {"compiled": found}}, "matmul": 1e9, **dict.fromkeys(HEAD, "x")})
    assert re.search(r"compiling in the second compiled trial, s +\| 5.0 ", text)
    assert ran == [False, True, True] and waits


def test_throughput_counts_the_trials_after_the_workers_are_warm(tmp_path: Path) -> None:
    ticks = iter([0.0, 4.0, 24.0])
    found = trials.throughput(make_bench(tmp_path), 1, tmp_path, clock=lambda: next(ticks))["1"]
    assert (found["start_seconds"], found["seconds"], found["trials_per_hour"]) == (4.0, 20.0, 360.0)
    assert found["without_result"] == {} and found["reasons"] == []
    records = [json.loads(path.read_text()) for path in tmp_path.glob("throughput-pocket-cola-1/**/*.json")]
    trained = [(record["config"]["protocol"].get("steps", 0), record["config"]["restart"]) for record in records]
    assert sorted(trained) == [(0, 0), (0, 1), (2, 0)]


def test_throughput_tells_of_trials_without_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = iter([[Outcome(Status.OK)], [Outcome(Status.FAILED), Outcome(Status.OOM, "CUDA out of memory")]])
    monkeypatch.setattr(trials, "run_all", lambda *given: next(ended))
    ticks = itertools.count(0, 36)
    found = trials.throughput(make_bench(tmp_path), 1, tmp_path, clock=lambda: next(ticks))
    assert found["1"]["trials_per_hour"] == 100 and found["1"]["without_result"] == {"oom": 1}
    assert found["1"]["reasons"] == ["oom: CUDA out of memory"]
    text = markdown({"tasks": {"rte": {"throughput": found}}, "matmul": 1e9, **dict.fromkeys(HEAD, "x")})
    assert re.search(r"\| 1 +\| 100 an hour \(1 oom\) +\|", text)


def test_a_block_that_fails_is_told_and_the_others_are_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(bench: Bench, count: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(steps, "measure", fails)
    monkeypatch.setattr(trials, "execute", lambda *given: {"result": {"status": "oom", "reason": "memory"}})
    output = tmp_path / "speed.json"
    assert main(["--tasks", "pocket-cola", "--fraction", "0.02", "--trials", "--output", str(output)]) == 1
    found = json.loads(output.read_text())
    assert found["errors"] == {
        "pocket-cola, steps": "OutOfMemoryError: CUDA out of memory",
        "pocket-cola, trials": "InputError: a trial must have a result, got oom: memory",
    }
    assert set(found["tasks"]["pocket-cola"]) == {"tokens", "exact"}
    shown = capsys.readouterr()
    assert "Not measured: pocket-cola, steps: OutOfMemoryError: CUDA out of memory" in shown.out
    assert "Traceback" in shown.err and "float64 difference" in shown.err


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU to measure")
@pytest.mark.parametrize("flags", [[], ["--precision", "bf16", "--compile"]])
def test_measures_a_gpu(flags: list[str], tmp_path: Path) -> None:
    output = tmp_path / "speed.json"
    request = ["--tasks", "pocket-cola", "--fraction", "0.1", "--batches", "2", "--trials", "--rounds", "1"]
    on_gpu = ["--device", "cuda", "--trials-per-device", "1", "2"]
    assert main([*request, *on_gpu, *flags, "--output", str(output)]) == 0
    found = json.loads(output.read_text())
    entry = found["tasks"]["pocket-cola"]
    assert ("compiled" in entry) == ("--compile" in flags)
    assert torch.cuda.get_device_name() in found["machine"] and found["errors"] == {}
    assert all(value <= 1e-10 for value in entry["exact"].values())
    assert set(entry["trials"]["seconds"]) == {"ours", "ours, evaluated once", "trainer, padded to the batch"}
    assert all(figures["without_result"] == {} for figures in entry["throughput"].values())
