"""`regbench try` and `regbench predict` from a file to the answer, the model and predictions."""

import csv
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from benchmarks import choose, predict
from benchmarks.choosing.reading import read_own
from benchmarks.choosing.tournament import Tournament
from benchmarks.data.sources import load_task_data
from benchmarks.data.tasks import TASKS
from benchmarks.planning.plan import make_plan
from benchmarks.pocket import MODEL_DIR

WORDS = {"those": "far, away", "these": "far, away", "several": "many", "some": "many"}


def write_reviews(path: Path, count: int = 60) -> str:
    """Sentences of the embedded language in three classes, imbalanced, with commas in texts and labels."""
    texts = [example.texts[0] for example in load_task_data(TASKS["pocket-rte"]).train[:count]]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["review", "mood"])
        writer.writerows([text, WORDS.get(text.split()[0], "other")] for text in texts)
    return str(path)


def argv(folder: Path, *more: str) -> list[str]:
    file = write_reviews(folder / "reviews.csv")
    columns = ("--text", "review", "--label", "mood", "--model", "pocket", "--output", str(folder / "out"))
    return [file, *columns, *more]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--time", "5"), "--time must be a time such as 90s, 30m or 2h, got 5"),
        (("--time", "0s"), "--time must be a time such as 90s, 30m or 2h, got 0s"),
        (("--time", "5m", "--trials", "9"), "argument --trials: not allowed with argument --time"),
        (("--trials", "5", "--families", "sam"), "--trials must be at least 6 for 2 families (a configuration each"),
        (("--time", "0.001s", "--families", "sam"), "--time must be enough for one trial, about"),
        (("--families", "mixuot"), "unknown regularizer 'mixuot'; did you mean mixout?"),
        (("--lr", "1e-4", "1e-5"), "--lr must be two rates with 0 < LOW < HIGH, got 0.0001 1e-05"),
        (("--set", "epochs=2"), "--set must leave epochs alone, which is searched; use --epochs"),
        (("--lr", "-1", "1"), "--lr must be two rates with 0 < LOW < HIGH, got -1 1"),
        (("--slurm", "partition=gpu"), "--slurm must come with --executor slurm, got --executor local"),
        (("--set", "epoch=1"), "unknown protocol field 'epoch'; did you mean epochs?"),
        (("--model", "./absent"), "--model must be a hub id or an existing folder, got './absent'"),
    ],
)
def test_a_request_that_cannot_be_carried_out_is_refused(
    tmp_path: Path, refused: Callable[..., str], more: tuple[str, ...], message: str
) -> None:
    assert message in refused(choose.main, *argv(tmp_path, *more))


def test_a_dry_run_says_what_it_would_do(tmp_path: Path, printed: Callable[..., str]) -> None:
    out = printed(choose.main, *argv(tmp_path, "--trials", "60", "--families", "sam", "--dry-run"))
    assert "metric: macro_f1, chosen by the labels" in out and "60 rows, a fifth of them to test on" in out
    assert "families: none, sam" in out
    assert "round 1: 2 families x 1 configuration x 3 restarts = 6 trials, about" in out
    assert "until 60 trials are used" in out
    assert not (tmp_path / "out" / "records").exists()


def test_a_number_of_epochs_alone_is_given_and_not_searched(tmp_path: Path) -> None:
    words = argv(tmp_path, "--trials", "12", "--families", "sam", "--epochs", "2", "2")
    args = choose.main.parser().parse_args(words)
    tournament = Tournament(args, read_own(args, tmp_path / "out")[0], None)  # type: ignore[arg-type]
    grid = make_plan(tournament.ask(3, 2)).grid.values()
    epochs = {config.protocol.epochs for config in grid if config.floor is None}
    assert epochs == {2}


def test_accelerate_launch_is_refused(
    tmp_path: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose.variables, "processes", lambda: 2)
    assert "regbench try must run without accelerate launch" in refused(choose.main, *argv(tmp_path))


@pytest.mark.long
def test_from_a_file_to_the_answer_the_model_and_predictions(tmp_path: Path) -> None:
    """All rounds that the trials allow; the page compares with plain fine-tuning, as the answer does."""
    arguments = argv(
        tmp_path, "--trials", "14", "--families", "mixout(w_pre)", "--epochs", "8", "12", "--lr", "5e-4", "1e-3"
    )
    assert choose.main(arguments) == 0
    out = tmp_path / "out"
    assert {"answer.md", "index.html", "leaderboard.md", "model", "records"} <= {path.name for path in out.iterdir()}
    for file in ("answer.md", "leaderboard.md"):
        for floor in ("tfidf", "probe", "constant"):
            assert f"floor: {floor}" in (out / file).read_text(), "what fine-tuning has to beat stands in the table"
    assert "- restarts: 7, with 1 configuration per family" in (out / "answer.md").read_text()
    leaderboard = json.loads((out / "leaderboard.json").read_text())
    assert {cell["baseline"] for cell in leaderboard["sections"]} == {"none"}
    model = AutoModelForSequenceClassification.from_pretrained(out / "model")
    assert model.config.id2label == {0: "far, away", 1: "many", 2: "other"}
    assert "How it was chosen" in (out / "model" / "README.md").read_text()
    predictions = tmp_path / "predictions.csv"
    words = ["--input", str(tmp_path / "reviews.csv"), "--output", str(predictions)]
    assert predict.main([str(out / "model"), *words]) == 0
    rows = list(csv.DictReader(predictions.open()))
    assert len(rows) == 60 and set(rows[0]) == {"label", *(f"probability of {word}" for word in model.config.label2id)}
    for found in rows:
        shares = {word: float(found[f"probability of {word}"]) for word in model.config.label2id}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
        assert max(shares, key=lambda w: shares[w]) == found["label"]


@pytest.mark.long
def test_scores_and_a_dev_file_go_through_the_whole_tournament(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = load_task_data(TASKS["pocket-stsb"])
    for part, rows in (("train", data.train[:60]), ("dev", data.dev[:30])):
        with (tmp_path / f"{part}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["one", "other", "closeness"])
            writer.writerows([*example.texts, example.label] for example in rows)
    request = [str(tmp_path / "train.csv"), "--dev", str(tmp_path / "dev.csv"), "--text", "one", "other"]
    request += ["--label", "closeness", "--regression", "--model", "pocket", "--output", str(tmp_path / "out")]
    limits = ["--trials", "12", "--families", "ema(0.9)", "--epochs", "8", "12", "--lr", "5e-4", "1e-3"]
    assert choose.main([*request, *limits]) == 0
    told = capsys.readouterr()
    assert "holds scores, as --regression says" in told.out and "metric: spearman, chosen by the labels" in told.out
    answer = (tmp_path / "out" / "answer.md").read_text()
    assert "- test: the dev file" in answer and "- holdout: about 15 of the 60 other rows" in answer
    assert "`floor: constant` | `constant(1)` | 0.0 | 0.0" in answer, "a constant has no correlation"
    assert "with scores; the text is `one` and `other`. " in (tmp_path / "out" / "model" / "README.md").read_text()
    predictions = tmp_path / "predictions.csv"
    words = [str(tmp_path / "out" / "model"), "--input", str(tmp_path / "dev.csv"), "--output", str(predictions)]
    assert predict.main(words) == 0
    rows = list(csv.DictReader(predictions.open()))
    assert len(rows) == 30 and all(-2 < float(row["score"]) < 7 for row in rows)
    warnings = told.err.splitlines()
    assert len(warnings) == len(set(warnings)), "no warning is said twice"


ABOUT = {"text": ["review"], "labels": ["no", "yes"], "max_length": 40}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """The folder of a model of two classes, untrained."""
    folder = tmp_path / "model"
    AutoModelForSequenceClassification.from_pretrained(MODEL_DIR, num_labels=2).save_pretrained(folder)
    AutoTokenizer.from_pretrained(MODEL_DIR).save_pretrained(folder)
    (folder / predict.ABOUT).write_text(json.dumps(ABOUT))
    return folder


def test_predictions_are_those_of_the_model_row_by_row(tmp_path: Path, saved: Path) -> None:
    file = write_reviews(tmp_path / "new.csv", 70)
    header, *rows = predict.predict(saved, Path(file))
    assert header == ["label", "probability of no", "probability of yes"] and len(rows) == 70
    classify = pipeline("text-classification", model=str(saved), top_k=None)
    with open(file, newline="") as lines:
        texts = [line["review"] for line in csv.DictReader(lines)]
    with torch.inference_mode():
        for found, scores in zip(rows, classify(texts), strict=True):
            shares = {score["label"]: score["score"] for score in scores}
            assert found[1:] == pytest.approx([shares["LABEL_0"], shares["LABEL_1"]], abs=1e-4)


NO_ABOUT = "but it holds no usable regbench.json"
REFUSED: list[tuple[dict[str, str], dict[str, Any], str]] = [
    ({"model": "{folder}/absent"}, {}, "must be the folder of a model made by regbench try, and is no folder"),
    ({"model": "{folder}"}, {}, NO_ABOUT),
    ({"--input": "x.xlsx"}, {}, "--input must be a file ending in .csv, .tsv, .jsonl, got x.xlsx"),
    ({"--output": "{folder}"}, {}, "must be a file to write, but it is a folder"),
    *(
        ({}, about, NO_ABOUT)
        for about in (
            {"text": 3},
            {"text": []},
            {"text": "review"},
            {"labels": [1, 2]},
            {"max_length": "x"},
            {"max_length": 0},
        )
    ),
    (
        {},
        {"labels": ["a", "b", "c"]},
        "must have one output for each label of regbench.json, got 2 for ['a', 'b', 'c']",
    ),
]


@pytest.mark.parametrize(("words", "about", "message"), REFUSED)
def test_what_is_no_model_of_try_and_what_it_cannot_predict_is_refused(
    tmp_path: Path, saved: Path, refused: Callable[..., str], words: dict[str, str], about: dict[str, Any], message: str
) -> None:
    (saved / predict.ABOUT).write_text(json.dumps(ABOUT | about))
    plain = {"model": saved, "--input": write_reviews(tmp_path / "new.csv", 3), "--output": tmp_path / "p.csv"}
    asked = plain | {flag: text.format(folder=tmp_path) for flag, text in words.items()}
    model = asked.pop("model")
    assert message in refused(predict.main, model, *itertools.chain(*asked.items()))


def test_a_model_without_its_tokenizer_is_refused(tmp_path: Path, saved: Path, refused: Callable[..., str]) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (saved / name).unlink()
    file = write_reviews(tmp_path / "new.csv", 3)
    assert "tokenizer" in refused(predict.main, saved, "--input", file, "--output", tmp_path / "p.csv")
