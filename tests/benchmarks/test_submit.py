"""Submissions to the evaluation server: the right restart, the right words, the right rows, or one sentence."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.data.sources import examples_hash, load_test
from benchmarks.data.tasks import TASKS, find_task
from benchmarks.submission import FILES, check, pack
from benchmarks.submit import main
from leaderboard.records.store import write_record

ROWS = {file.name: file.rows for file in FILES}
MIXOUT = "mixout(w_pre, 0.7)"
Write = Callable[..., Path]


def record(
    task: str, score: float, predictions: list[float], *, digest: str = "ab", part: str = "test", **changes: Any
) -> dict[str, Any]:
    """A record as a trial with predict_test writes it."""
    restart = changes.get("restart", 0)
    config = {
        "task": task,
        "strategy": MIXOUT,
        "fraction": 1.0,
        "restart": restart,
        "split_seed": 0,
        "seeds": {"init": restart},
        "protocol": {
            "name": "lee20",
            "metric": "primary",
            "data": "official",
            "selection": "last",
            "precision": "fp32",
        },
        "model": "bert-large-uncased",
        "weights": "ab",
        "split_hash": "cd",
        "dev_hash": "ef",
        "metric": TASKS[task].primary if task in TASKS else "accuracy",
        "methods": {},
        "fisher": None,
    }
    result = {
        "status": "ok",
        "reason": None,
        "score": score,
        "failed": False,
        "failed_by": None,
        "failed_plain": False,
        "floor": 0.0,
        "threshold": 0.0,
        "collapsed": False,
        "imputed": False,
        "epochs": [],
        "predictions": [],
        "seconds": {"total": 1.0},
        "peak_memory": None,
        "test": {part: {"predictions": predictions, "hash": digest}},
    }
    return {"config": config | changes, "result": result, "environment": {}}


@pytest.fixture
def run_folder(tmp_path: Path) -> Write:
    """A function that writes records into an output folder."""

    def write(*records: dict[str, Any]) -> Path:
        for item in records:
            write_record(tmp_path / "run" / "records", item)
        return tmp_path / "run"

    return write


def submitted(folder: Path, output: Path, *more: str) -> dict[str, list[str]]:
    """The lines of every file of the one zip that a folder makes."""
    assert main([str(folder), "--output", str(output), *more]) == 0
    (path,) = output.glob("*.zip")
    assert check(path) == []
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode().splitlines() for name in archive.namelist()}


def test_the_best_restart_on_dev_predicts_each_task(
    run_folder: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_folder(
        record("rte", 0.6, [0] * 3000, restart=0),
        record("rte", 0.7, [1] * 3000, restart=1),
        record("rte", 0.7, [0, 1] * 1500, restart=2),
        record("stsb", 0.8, [-1.0, 7.5, 2.123456] + [3.0] * 1376),
        record("cola", 0.4, [1] * 1063),
        record("mnli", 0.8, [2] * 9796),
    )
    files = submitted(folder, tmp_path / "out")
    assert files["RTE.tsv"][:2] == ["index\tprediction", "0\tnot_entailment"], "of equal scores the first restart"
    assert files["STS-B.tsv"][1:4] == ["0\t0.000000", "1\t5.000000", "2\t2.123456"], "clipped to [0, 5]"
    assert files["CoLA.tsv"][-1] == "1062\t1"
    assert files["MNLI-m.tsv"][1] == "0\tcontradiction"
    assert {name: len(lines) - 1 for name, lines in files.items()} == ROWS
    shown = capsys.readouterr().out
    assert "rte: restart 1, dev accuracy 70.0" in shown
    absent = "SST-2.tsv, MRPC.tsv, MNLI-mm.tsv, QNLI.tsv, QQP.tsv, WNLI.tsv, AX.tsv"
    assert f"constant prediction, because not run: {absent}" in shown


def test_the_files_are_those_that_the_server_asks_for() -> None:
    assert ROWS == {
        "CoLA.tsv": 1063,
        "SST-2.tsv": 1821,
        "MRPC.tsv": 1725,
        "STS-B.tsv": 1379,
        "MNLI-m.tsv": 9796,
        "MNLI-mm.tsv": 9847,
        "QNLI.tsv": 5463,
        "QQP.tsv": 390965,
        "RTE.tsv": 3000,
        "WNLI.tsv": 146,
        "AX.tsv": 1104,
    }
    words = {file.name: file.words for file in FILES}
    assert words["WNLI.tsv"] == words["MRPC.tsv"] == ("0", "1")
    assert words["QNLI.tsv"] == ("entailment", "not_entailment")
    assert words["AX.tsv"] == words["MNLI-mm.tsv"] == ("entailment", "neutral", "contradiction")


def test_one_zip_per_strategy_and_equal_predictions_give_equal_bytes(run_folder: Write, tmp_path: Path) -> None:
    folder = run_folder(record("rte", 0.6, [1] * 3000), record("rte", 0.6, [1] * 3000, strategy="none"))
    assert main([str(folder), "--output", str(tmp_path / "out")]) == 0
    first, second = sorted((tmp_path / "out").glob("*.zip"))
    assert first.name.startswith("mixout-w_pre-0.7-")
    assert second.name.startswith("none-")
    assert first.read_bytes() == second.read_bytes()
    assert main([str(folder), "--output", str(tmp_path / "one"), "--strategies", "none"]) == 0
    assert len(list((tmp_path / "one").glob("*.zip"))) == 1
    assert main([str(folder), "--output", str(tmp_path / "spelt"), "--strategies", "mixout(w_pre,0.70)", MIXOUT]) == 0
    assert [path.name for path in (tmp_path / "spelt").glob("*.zip")] == [first.name]


def test_predictions_of_another_test_file_are_refused(
    run_folder: Write, tmp_path: Path, refused: Callable[..., str]
) -> None:
    glue = tmp_path / "glue"
    (glue / "RTE").mkdir(parents=True)
    rows = [f"{index}\tfirst {index}\tsecond" for index in range(3000)]
    (glue / "RTE" / "test.tsv").write_text("\n".join(["index\tsentence1\tsentence2", *rows]) + "\n")
    digest = examples_hash(load_test(find_task("rte"), data_dir=glue))
    folder = run_folder(record("rte", 0.6, [1] * 3000, digest=digest))
    assert submitted(folder, tmp_path / "out", "--data-dir", str(glue))["RTE.tsv"][3000] == "2999\tnot_entailment"
    (glue / "RTE" / "test.tsv").write_text("\n".join(["index\tsentence1\tsentence2", *reversed(rows)]) + "\n")
    message = refused(main, str(folder), "--output", str(tmp_path / "no"), "--data-dir", str(glue))
    assert "the predictions for RTE.tsv are not of the test file in" in message
    assert not (tmp_path / "no").exists()


RTE = {"task": "rte", "score": 0.6, "predictions": [1] * 3000}


@pytest.mark.parametrize(
    ("changes", "flags", "message"),
    [
        ({}, ["--fraction", "0.5"], "no test predictions are there for 50 %"),
        ({}, ["--strategies", "none"], "for none; there are some for: mixout"),
        ({"model": "bert-base-uncased"}, [], "a submission must come from one model and protocol, got 2"),
        (
            {"predictions": [1] * 9},
            [],
            "RTE.tsv must have 3000 predictions, one per example of the official test set, got 9",
        ),
        ({"predictions": [2] * 3000}, [], "RTE.tsv must have class ids below 2 as predictions, got another"),
        ({"predictions": ["x"] * 3000}, [], "are damaged; run its trial again"),
        (
            {"task": "pocket-rte"},
            [],
            "no trial of a GLUE task has test predictions; run it with --set predict_test=true",
        ),
    ],
)
def test_what_cannot_be_submitted_is_one_sentence(
    changes: dict[str, Any],
    flags: list[str],
    message: str,
    run_folder: Write,
    tmp_path: Path,
    refused: Callable[..., str],
) -> None:
    others = [record(**RTE, restart=1)] if "model" in changes else []
    folder = run_folder(record(**RTE | changes), *others)
    assert message in refused(main, folder, "--output", tmp_path / "out", *flags)


def test_results_and_output_must_be_given(refused: Callable[..., str]) -> None:
    assert "RESULTS and --output DIR must be given" in refused(main)


def test_a_submission_mixes_no_shares(run_folder: Write, tmp_path: Path) -> None:
    folder = run_folder(record("rte", 0.6, [1] * 3000), record("cola", 0.9, [1] * 1063, fraction=0.1))
    assert set(submitted(folder, tmp_path / "out")["CoLA.tsv"][1:]) == {f"{i}\t0" for i in range(1063)}, "not mixed in"


@pytest.fixture(scope="module")
def constant() -> dict[str, bytes]:
    """The files of a valid submission without any trial."""
    content, _ = pack({})
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


HEAD = "index\tprediction\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("WNLI.tsv", None, "WNLI.tsv is missing"),
        ("extra.txt", "x", "'extra.txt' is no file of a submission"),
        ("WNLI.tsv", "id\tlabel\n", "WNLI.tsv, line 1: the header must be 'index TAB prediction', got 'id"),
        ("WNLI.tsv", HEAD + "0\t1\n", "WNLI.tsv: must have 146 rows below its header, got 1"),
        ("WNLI.tsv", HEAD + "1\t1\n" * 146, "WNLI.tsv, line 2: must be 0 TAB prediction, got '1"),
        ("WNLI.tsv", HEAD + "".join(f"{i}\tyes\n" for i in range(146)), "a prediction must be one of 0, 1, got 'yes'"),
        ("STS-B.tsv", HEAD + "".join(f"{i}\t5.5\n" for i in range(1379)), "must be a number in [0, 5], got '5.5'"),
        ("STS-B.tsv", HEAD + "".join(f"{i}\tnan\n" for i in range(1379)), "must be a number in [0, 5], got 'nan'"),
    ],
)
def test_the_validator_finds_what_the_server_would_refuse(
    name: str,
    text: str | None,
    message: str,
    constant: dict[str, bytes],
    tmp_path: Path,
    printed: Callable[..., str],
) -> None:
    kept = {entry: data for entry, data in constant.items() if entry != name}
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        for entry, data in (kept | ({} if text is None else {name: text.encode()})).items():
            archive.writestr(entry, data)
    assert message in printed(main, "--check", tmp_path / "bad.zip", code=1)


def test_the_validator_reads_what_is_no_zip(tmp_path: Path, printed: Callable[..., str]) -> None:
    (tmp_path / "no.zip").write_text("no")
    said = printed(main, "--check", tmp_path / "no.zip", tmp_path / "absent.zip", code=1)
    assert said.count("cannot be read as a zip") == 2
