"""A user's own rows: what is found is said, and what cannot be used is refused in one sentence."""

import argparse
import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest

from benchmarks.choosing.reading import read_own, task_name
from benchmarks.data.sources import TaskData

TEXTS = [f'item {number}, "quoted"' for number in range(40)]


def write_csv(path: Path, labels: Sequence[object], texts: Sequence[str] = TEXTS, **columns: Sequence[str]) -> str:
    """A CSV file with the columns text and label, and others."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", *columns, "label"])
        writer.writerows(zip(texts, *columns.values(), labels, strict=True))
    return str(path)


def asked(file: Path | str, text: Sequence[str], label: str, dev: str | None = None, **more: Any) -> argparse.Namespace:
    """The flags of the data, as the command line reads them."""
    rest: dict[str, Any] = {"labels": [], "regression": False, "metric": None, "offline": False, "drop_rows": []}
    return argparse.Namespace(file=str(file), text=text, label=label, dev=dev, **rest | more)


def read(
    folder: Path, column: Sequence[object], texts: Sequence[str] = TEXTS, **more: Any
) -> tuple[TaskData, tuple[str, str]]:
    file = write_csv(folder / "my reviews.csv", column, texts)
    return read_own(asked(file, **{"text": ("text",), "label": "label"} | more), folder / "out")


def test_classes_metric_and_rows_are_found_and_said(tmp_path: Path) -> None:
    data, found = read(tmp_path, ["good"] * 20 + ["bad"] * 11 + ["so, so"] * 9)
    assert found == (
        "the label column 'label' holds 3 classes: bad (11), good (20), so, so (9)",
        "metric: macro_f1, chosen by the labels; --metric names another",
    )
    assert data.task.labels == ("bad", "good", "so, so") and data.task.name == "my-reviews"
    assert data.train[3].texts == (TEXTS[3],) and data.train[3].label == 1
    assert data.dev == () and data.warnings == ()
    written = (tmp_path / "out" / "task.toml").read_text()
    assert written.startswith('name = "my-reviews"\nmetric = "macro_f1"'), "an ordinary task file"


def test_two_classes_are_scored_by_accuracy_unless_a_metric_is_named(tmp_path: Path) -> None:
    assert read(tmp_path, [0, 1] * 20)[0].task.primary == "accuracy"
    data, found = read(tmp_path, [0, 1] * 20, metric="macro_f1")
    assert data.task.primary == "macro_f1" and found[1] == "metric: macro_f1"


def test_many_numbers_are_scores(tmp_path: Path) -> None:
    data, found = read(tmp_path, [number / 10 for number in range(40)])
    assert data.task.regression and data.task.primary == "spearman"
    assert found[0] == "the label column 'label' holds 40 different numbers: scores"


@pytest.mark.parametrize(
    ("more", "labels"), [({"labels": ("3", "2", "1")}, ("3", "2", "1")), ({"regression": True}, None)]
)
def test_few_numbers_are_what_the_user_says(
    tmp_path: Path, more: dict[str, Any], labels: tuple[str, ...] | None, refusal: Callable[..., str]
) -> None:
    stars = ([1, 2, 3] * 14)[:40]
    assert refusal(read, tmp_path, stars) == (
        "the label column 'label' holds 3 different numbers, which may be classes or scores; say which: "
        "--labels 1 2 3, or --regression"
    )
    assert read(tmp_path, stars, **more)[0].task.labels == labels


TWO = ["a", "b"] * 20


@pytest.mark.parametrize(
    ("column", "more", "message"),
    [
        (TWO, {"label": "mood"}, "the header must name column 'mood' once, found not at all in ['text', 'label']"),
        (TWO, {"text": ("text", "title")}, "the header must name column 'title' once"),
        (TWO, {"text": ("text", "label")}, "--text must name one or two columns, none of them twice"),
        (TWO, {"text": ("text", "text")}, "--text must name one or two columns, none of them twice"),
        (TWO, {"text": ("a", "b", "c")}, "--text must name one or two columns, none of them twice"),
        (TWO, {"labels": ("a", "a")}, "--labels must be at least two different texts"),
        (["a"] * 40, {}, "the label column 'label' must hold at least two classes, got only 'a' in"),
        ([""] * 40, {}, "the label column 'label' must hold at least two classes, got no label in"),
        (["a"] * 39 + ["b"], {}, "got 1 of 'b'; label more or leave it out"),
        (TWO, {"labels": ("a", "b", "c")}, "got 0 of 'c'; label more or leave it out"),
        (["good"] * 3 + ["4.5"] * 37, {}, "got both: 'good' in line 2 and '4.5' in line 5; correct them"),
        ([f"w{n}" for n in range(40)], {}, "must hold classes or scores, got 40 words in 40 rows"),
        ([*TWO[:39], ""], {}, "line 41: unknown label '', expected one of a, b"),
        (TWO, {"labels": ("a", "b"), "regression": True}, "--labels and --regression exclude each other"),
        (TWO, {"metric": "spearman"}, "--metric must be one of accuracy, f1, macro_f1, matthews for these labels"),
        (TWO, {"dev": "absent.csv"}, "absent.csv: no such file; the dev rows must be a file or"),
        (TWO, {"drop_rows": ("2,41",)}, "--drop-rows must be TASK:PART:NUMBERS"),
        (TWO, {"dev": "dev.xlsx"}, "the dev file must end in .csv, .tsv, .jsonl, got dev.xlsx"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(
    tmp_path: Path, column: list[str], more: dict[str, Any], message: str, refusal: Callable[..., str]
) -> None:
    assert message in refusal(read, tmp_path, column, **more)


def test_rows_that_a_refusal_names_can_be_left_out(tmp_path: Path, refusal: Callable[..., str]) -> None:
    column, texts = [*TWO[:39], "mixed"], ["", *TEXTS[1:]]
    assert "--drop-rows my-reviews:train:2,41" in refusal(read, tmp_path, column, texts, labels=("a", "b"))
    data, found = read(tmp_path, column, texts, drop_rows=("my-reviews:train:2,41",))
    assert len(data.train) == 38 and found[0].endswith("holds 2 classes: a (19), b (19)")


def test_a_row_of_another_number_of_columns_can_be_left_out(tmp_path: Path, refusal: Callable[..., str]) -> None:
    """Whatever is wrong with a row, the refusal says how to go on without it."""
    file = tmp_path / "rows.csv"
    file.write_text(Path(write_csv(file, TWO)).read_text() + "a row cut short\n")
    expected = (
        f"{file}, line 42: expected 2 columns, found 1. Correct them or leave them out: --drop-rows rows:train:42"
    )
    assert refusal(read_own, asked(file, ("text",), "label"), tmp_path) == expected
    data, _ = read_own(asked(file, ("text",), "label", drop_rows=["rows:train:42"]), tmp_path)
    assert len(data.train) == 40


def test_five_rows_are_too_few(tmp_path: Path, refusal: Callable[..., str]) -> None:
    said = refusal(read, tmp_path, TWO[:5], TEXTS[:5])
    assert said.endswith("must have at least 20 rows, to fit on, to choose by and to score on, got 5")


def test_a_label_of_dev_alone_is_refused(tmp_path: Path, refusal: Callable[..., str]) -> None:
    dev = write_csv(tmp_path / "dev.csv", ["a", "mixed"], ["x", "y"])
    assert f"{dev}, line 3: the label 'mixed' must be one of those in" in refusal(read, tmp_path, TWO, dev=dev)


def test_mixed_types_of_json_lines_are_refused(tmp_path: Path, refusal: Callable[..., str]) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"t": f"text {n}", "y": "good" if n else 3}) + "\n" for n in range(30)))
    said = refusal(read_own, asked(file, ("t",), "y"), tmp_path)
    assert "got both: 'good' in line 2 and '3' in line 1" in said


def test_a_user_is_warned_of_copies_rare_classes_and_constant_columns(tmp_path: Path) -> None:
    texts = ["the same"] * 2 + TEXTS[2:]
    labels = ["rare"] * 5 + ["a", "b"] * 17 + ["a"]
    file = write_csv(tmp_path / "train.csv", labels, texts, topic=["tea"] * 40)
    dev = write_csv(tmp_path / "dev.csv", ["a", "b"], [TEXTS[7], "new"], topic=["tea", "tea"])
    question = asked(file, ("text", "topic"), "label")
    rare = "the class 'rare' has 5 rows; below 8 little can be said about it"
    constant = "the column 'topic' is constant: every row holds 'tea'"
    repeated = "1 rows repeat the text of another: copies can be in the training and in the test part"
    assert read_own(question, tmp_path)[0].warnings == (repeated, rare, constant)
    both = "1 texts are in both files: their scores say nothing about new texts"
    assert read_own(asked(file, ("text", "topic"), "label", dev), tmp_path)[0].warnings == (both, rare, constant)


def test_a_saved_data_set_is_read_with_its_class_names_and_splits(tmp_path: Path, refusal: Callable[..., str]) -> None:
    features = datasets.Features({"t": datasets.Value("string"), "y": datasets.ClassLabel(names=["no", "yes"])})
    parts = {
        name: datasets.Dataset.from_dict({"t": [f"{name} {n}" for n in range(40)], "y": [0, 1] * 20}, features)
        for name in ("train", "validation")
    }
    file, out = str(tmp_path / "set"), tmp_path / "out"
    datasets.DatasetDict(parts).save_to_disk(file)
    data, _ = read_own(asked(file, ("t",), "y"), out)
    assert data.task.labels == ("no", "yes") and len(data.dev) == 40
    assert data.train[1].texts == ("train 1",) and data.train[1].label == 1
    assert "unknown column 'z'" in refusal(read_own, asked(file, ("z",), "y"), out)
    assert "unknown split 'test'" in refusal(read_own, asked(file, ("t",), "y", "test"), out)


def test_what_is_neither_file_nor_data_set_is_refused(tmp_path: Path, refusal: Callable[..., str]) -> None:
    said = refusal(read_own, asked(tmp_path, ("t",), "y", offline=True), tmp_path / "out")
    assert "must be a file ending in .csv, .tsv, .jsonl, or a Hugging Face data set" in said


@pytest.mark.parametrize(
    ("file", "name"),
    [("a/My Data_1.csv", "my-data-1"), ("sst-2.csv", "own-sst-2"), ("??.csv", "own"), ("x/set", "set")],
)
def test_a_task_is_named_after_its_file(file: str, name: str) -> None:
    assert task_name(file) == name
