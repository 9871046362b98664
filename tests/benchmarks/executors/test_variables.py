"""The environment decides nothing: variables of launchers and of arithmetic are refused by name or dropped."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import fisher, run_suite, verify
from benchmarks.executors.variables import ADDRESS, LAUNCH, clean_worker, is_launch, settle
from benchmarks.run import main
from benchmarks.speed import __main__ as speed
from benchmarks.theory import __main__ as theory

ROOT = Path(__file__).parents[3]
OURS = {"PATH": "/bin", "OMP_NUM_THREADS": "3", "CUDA_VISIBLE_DEVICES": "1", "HF_HOME": "/cache"}
SET = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
LAUNCHED = {**dict.fromkeys(LAUNCH, "2"), **dict.fromkeys(ADDRESS, "x")}


@pytest.mark.parametrize("name", LAUNCH)
@pytest.mark.parametrize("value", ["3", "-1", "two"])
def test_a_left_over_variable_of_a_launch_is_refused_by_name(name: str, value: str, refusal: Any) -> None:
    environ = {**OURS, name: value}
    expected = f"^{name}={value} must not be set without torchrun .* unset {name}, "
    assert re.search(expected, refusal(settle, environ))
    assert environ == {**OURS, name: value}


@pytest.mark.parametrize("missing", [*LAUNCH, *ADDRESS])
def test_most_of_a_launch_is_none(missing: str, refusal: Any) -> None:
    """With all but one, torch would wait for the others for days."""
    assert is_launch(LAUNCHED)
    for value in ({}, {missing: ""}):
        environ = {key: text for key, text in LAUNCHED.items() if key != missing} | value
        assert not is_launch(environ)
        assert "=2 must not be set without torchrun or accelerate launch" in refusal(settle, environ)


@pytest.mark.parametrize(
    "found",
    [
        *({name: ""} for name in (*LAUNCH, *ADDRESS)),
        {"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "head", "MASTER_PORT": "29500"},
        {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1", "PMI_SIZE": "2", "MV2_COMM_WORLD_SIZE": "2"},
        {"ACCELERATE_MIXED_PRECISION": "no", "ACCELERATE_USE_FSDP": "false", "ACCELERATE_DYNAMO_BACKEND": "NO"},
        {"ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "1", "NVIDIA_TF32_OVERRIDE": "0"},
        {"ONEDNN_DEFAULT_FPMATH_MODE": "STRICT", "CUBLAS_WORKSPACE_CONFIG": ":0:0"},
    ],
    ids=str,
)
def test_what_says_nothing_is_dropped(found: dict[str, str]) -> None:
    environ = {**OURS, **found}
    settle(environ)
    assert environ == {**OURS, **SET}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ACCELERATE_MIXED_PRECISION", "bf16"),
        ("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4"),
        ("ACCELERATE_GRADIENT_CLIPPING", "0.1"),
        ("ACCELERATE_TORCH_DEVICE", "meta"),
        ("ACCELERATE_DYNAMO_BACKEND", "INDUCTOR"),
        ("ACCELERATE_DYNAMO_USE_FULLGRAPH", "1"),
        ("ACCELERATE_USE_FSDP", "true"),
        ("ACCELERATE_USE_DEEPSPEED", "True"),
        ("ACCELERATE_USE_MEGATRON_LM", "true"),
        ("ACCELERATE_FP8_BACKEND", "TE"),
        ("ACCELERATE_DOWNCAST_BF16", "1"),
        ("NVIDIA_TF32_OVERRIDE", "1"),
        ("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "1"),
        ("HIPBLASLT_ALLOW_TF32", "1"),
        ("ONEDNN_DEFAULT_FPMATH_MODE", "BF16"),
        ("DNNL_DEFAULT_FPMATH_MODE", "ANY"),
        ("XLA_USE_BF16", "1"),
    ],
)
@pytest.mark.parametrize("launched", [False, True])
def test_what_changes_the_arithmetic_is_refused_by_name_and_no_worker_has_it(
    name: str, value: str, launched: bool, refusal: Any
) -> None:
    environ = {**OURS, **(LAUNCHED if launched else {}), name: value}
    assert refusal(settle, environ).startswith(f"{name}={value} must not be set: it would change results")
    clean_worker(1, environ)
    assert environ.keys() == {*OURS, *SET, "TOKENIZERS_PARALLELISM", "MKL_NUM_THREADS"}
    assert environ["OMP_NUM_THREADS"] == environ["MKL_NUM_THREADS"] == "1"


def test_a_launch_keeps_its_variables() -> None:
    harmless = {"ACCELERATE_USE_CPU": "True", "ACCELERATE_DYNAMO_MODE": "default"}
    environ = {**LAUNCHED, **harmless, "ACCELERATE_MIXED_PRECISION": "no"}
    settle(environ)
    assert environ == {**LAUNCHED, **harmless, **SET}


@pytest.mark.parametrize(
    ("command", "flags", "variable", "why"),
    [
        (main, ["--output", "OUT"], "RANK=3", "without torchrun"),
        (fisher.main, ["--task", "pocket-rte", "--output", "F"], "NVIDIA_TF32_OVERRIDE=1", ": it would change results"),
        (speed.main, [], "NVIDIA_TF32_OVERRIDE=1", ": it would change results"),
        (theory.main, ["--output", "DIR"], "NVIDIA_TF32_OVERRIDE=1", ": it would change results"),
        (verify.main, ["RESULTS", "--rerun", "1"], "NVIDIA_TF32_OVERRIDE=1", ": it would change results"),
    ],
)
def test_every_command_that_computes_refuses_in_one_sentence(
    command: Any, flags: list[str], variable: str, why: str, monkeypatch: pytest.MonkeyPatch, refused: Any
) -> None:
    monkeypatch.setenv(*variable.split("="))
    assert re.match(f"error: {variable} must not be set ?{why}", refused(command, *flags))


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        (main, ["--tasks", "pocket-rte", "--strategies", "none", "--output", "file/out"]),
        (fisher.main, ["--task", "pocket-rte", "--output", "file/scores"]),
        (theory.main, ["--output", "file"]),
    ],
)
def test_an_output_that_cannot_be_written_is_said_before_any_work(
    command: Any, flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert re.search("cannot be written|must be a folder that can be written", refused(command, *flags))
    assert (tmp_path / "file").read_text() == ""


def test_a_script_needs_no_guard(tmp_path: Path) -> None:
    """Its workers do not import it: what it prints is printed once."""
    script = tmp_path / "script.py"
    script.write_text(
        "from benchmarks import run_suite\n"
        "print('imported')\n"
        "results = run_suite('smoke', tasks=['pocket-rte'], strategies=['none'], restarts=1, fractions=[0.02],\n"
        "                    set=['epochs=1'], output='out')\n"
        "print(len(results.to_frame()), results.best(), 'pocket-RTE' in results.tables())\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script)]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("imported") == 1
    assert ran.stdout.endswith("1 {('pocket-rte', 0.02): 'none'} True\n")


def test_an_argument_of_run_suite_is_a_flag_of_the_command(refusal: Any) -> None:
    assert "unknown argument 'restart'; did you mean restarts?" in refusal(run_suite, "smoke", restart=3)
