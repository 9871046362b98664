"""A user's labelled texts as a task: files or Hugging Face data sets, kind of label and metric found and said.

What is found is written as a task file, so that everything after is an ordinary run on an own task.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from benchmarks.data.readers import FaultyRows, Row, parse_dropped, read_table
from benchmarks.data.sources import TaskData, load_task_data
from benchmarks.data.tasks import SUFFIXES, TASKS, key_of, task_from_file
from fisher.common.errors import InputError, first_line, require, require_known, unknown
from fisher.common.files import write_file

TASK_FILE = "task.toml"
FEWEST_ROWS = 20
FEW_ROWS = 8  # of a class, below which its part in test and holdout is one or two rows
MOST_CLASSES = 20  # different numbers that may be classes; more are scores
DEV_SPLITS = ("validation", "dev", "valid")


def read_own(asked: argparse.Namespace, folder: Path) -> tuple[TaskData, tuple[str, str]]:
    """Write the task file into `folder` (and a data set as JSON lines); return its examples, and what was found.

    asked: the flags of `regbench try`, of which those of the data count. Raises InputError.
    """
    require(
        len(set(asked.text)) <= 2 and len(asked.text) <= len({*asked.text} - {asked.label}),
        "--text must name one or two columns, none of them twice or the label's",
        ", ".join(asked.text),
    )
    parts = locate(asked, folder)
    name = task_name(asked.file)
    dropped = parse_dropped(asked.drop_rows).get(name, {})
    cells = {}
    for part, path in parts.items():
        faults = FaultyRows(str(path), option=f"{name}:{part}")
        cells[part] = read_table(path, [asked.label], faults, dropped=dropped.get(part, ()))
        faults.refuse()
    require(
        len(cells["train"]) >= FEWEST_ROWS,
        f"{asked.file} must have at least {FEWEST_ROWS} rows, to fit on, to choose by and to score on",
        len(cells["train"]),
    )
    labels, found = find_labels(asked, cells)
    default = "spearman" if labels is None else "accuracy" if len(labels) == 2 else "macro_f1"
    metric = asked.metric or default
    content: dict[str, Any] = {"name": name, "metric": metric, "label": asked.label}
    content |= {part: str(path.resolve()) for part, path in parts.items()} | {"text": list(asked.text)}
    content |= {"regression": True} if labels is None else {"labels": list(labels)}
    toml = folder / TASK_FILE
    write_file(toml, tomli_w.dumps(content))
    try:
        task = task_from_file(toml)
    except InputError as error:  # of a file that the user has not written
        raise InputError(f"--{str(error).removeprefix(f'{toml}: ')}") from None
    data = load_task_data(task, dropped=dropped)
    chosen = f"metric: {metric}" + ("" if asked.metric else ", chosen by the labels; --metric names another")
    return dataclasses.replace(data, warnings=(*data.warnings, *warnings_of(data))), (found, chosen)


def task_name(file: str) -> str:
    """A name for the task, of lower-case letters, digits and hyphens."""
    name = re.sub(r"[^a-z0-9]+", "-", Path(file).name.rpartition(".")[0].lower() or Path(file).name.lower()).strip("-")
    known = {key_of(task) for task in TASKS}
    return f"own-{name}".rstrip("-") if not name or key_of(name) in known else name


# --- where the rows are -----------------------------------------------------------------------------------------------


def locate(asked: argparse.Namespace, folder: Path) -> dict[str, Path]:
    """The files of train and, where there is one, dev; a data set is written as JSON lines first."""
    if Path(asked.file).suffix.lower() in SUFFIXES:
        named = {"train": asked.file, "dev": asked.dev}
        return {part: require_file(part, file) for part, file in named.items() if file is not None}
    splits = load_splits(asked)
    train = "train" if "train" in splits else next(iter(splits))
    dev = asked.dev or next((name for name in DEV_SPLITS if name in splits), None)
    if dev is not None and Path(dev).suffix.lower() in SUFFIXES:
        return {"train": write_rows(folder, "train", splits[train], asked), "dev": require_file("dev", dev)}
    if dev is not None and dev not in splits:
        raise unknown("split", dev, splits)
    chosen = {"train": train} | ({"dev": dev} if dev else {})
    return {part: write_rows(folder, part, splits[split], asked) for part, split in chosen.items()}


def require_file(part: str, file: str) -> Path:
    """The path of a file that is there. Raises InputError."""
    path = Path(file)
    require(path.suffix.lower() in SUFFIXES, f"the {part} file must end in {', '.join(SUFFIXES)}", file)
    require(os.path.isfile(path), f"{file}: no such file; the {part} rows must be a file or a Hugging Face data set")
    return path


def load_splits(asked: argparse.Namespace) -> Mapping[str, Any]:
    """The splits of a Hugging Face data set, saved in a folder or named by its id. Raises InputError."""
    import datasets

    from benchmarks.data.sources import offline_hub

    try:
        with offline_hub(asked.offline):
            local = os.path.isdir(asked.file)
            found = datasets.load_from_disk(asked.file) if local else datasets.load_dataset(asked.file)
    except Exception as error:  # whatever its HTTP library, its cache or its parsers raise
        reason = first_line(error).rstrip(".")
        raise InputError(
            f"{asked.file!r} must be a file ending in {', '.join(SUFFIXES)}, or a Hugging Face data set (a saved "
            f"folder or an id): {reason}"
        ) from error
    return found if isinstance(found, dict) else {"train": found}


def write_rows(folder: Path, part: str, rows: Any, asked: argparse.Namespace) -> Path:
    """One split as JSON lines with the columns asked for, classes by their names. Raises InputError."""
    wanted = (*asked.text, asked.label)
    require_known("column", wanted, rows.column_names)
    names = getattr(rows.features[asked.label], "names", None)
    lines = []
    for row in rows.select_columns(list(wanted)).with_format(None):
        label = row[asked.label]
        own = {asked.label: names[label]} if names and isinstance(label, int) and label >= 0 else {}
        lines.append(json.dumps({**row, **own}, ensure_ascii=False))
    path = folder / "data" / f"{part}.jsonl"
    write_file(path, "\n".join(lines) + "\n")
    return path


# --- what the labels are ----------------------------------------------------------------------------------------------


def find_labels(asked: argparse.Namespace, cells: Mapping[str, Sequence[Row]]) -> tuple[tuple[str, ...] | None, str]:
    """The class words, or None for scores, and a sentence about them. Raises InputError where the data cannot tell."""
    column = f"the label column {asked.label!r}"
    require(
        not (asked.regression and asked.labels),
        "--labels and --regression exclude each other: labels are either classes or scores",
    )
    if asked.regression:
        return None, f"{column} holds scores, as --regression says"
    counts = Counter(word_of(row.cells[0]) for row in cells["train"])
    counts.pop("", None)  # an example without a label is refused by the line it is on
    words = tuple(asked.labels) or classes_of(column, cells["train"], counts)
    if words is None:
        return None, f"{column} holds {len(counts)} different numbers: scores"
    check_classes(asked, column, words, counts, cells.get("dev", ()))
    listed = ", ".join(f"{word} ({counts[word]})" for word in words)
    return words, f"{column} holds {len(words)} classes: {listed}"


def word_of(cell: object) -> str:
    """A cell of the label column as a class word, empty where there is none."""
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else json.dumps(cell)


def is_number(word: str) -> bool:
    """Whether a word is a finite number."""
    try:
        return math.isfinite(float(word)) and "_" not in word
    except ValueError:
        return False


def classes_of(column: str, rows: Sequence[Row], counts: Mapping[str, int]) -> tuple[str, ...] | None:
    """The classes that the words are, None for scores. Raises InputError where words cannot say what they are."""
    numbers = [word for word in counts if is_number(word)]
    if numbers and len(numbers) < len(counts):
        one = {is_number(word): (row.line, word) for row in reversed(rows) if (word := word_of(row.cells[0]))}
        (line, word), (other, number) = one[False], one[True]
        raise InputError(
            f"{column} must hold words or numbers, got both: {word!r} in line {line} and {number!r} in line {other}; "
            "correct them, or name the classes with --labels"
        )
    if not numbers or len(counts) <= 2:
        require(
            len(counts) <= len(rows) / 4,
            f"{column} must hold classes or scores",
            f"{len(counts)} words in {len(rows)} rows",
        )
        return tuple(sorted(counts, key=float if numbers else str))
    if len(counts) > MOST_CLASSES:
        return None
    listed = " ".join(sorted(counts, key=float))
    raise InputError(
        f"{column} holds {len(counts)} different numbers, which may be classes or scores; say which: "
        f"--labels {listed}, or --regression"
    )


def check_classes(
    asked: argparse.Namespace, column: str, words: Sequence[str], counts: Mapping[str, int], dev: Sequence[Row]
) -> None:
    """Raise InputError unless there are two classes, two rows of each, and dev has no other."""
    only = f"only {words[0]!r}" if words else "no label"
    require(len(words) >= 2, f"{column} must hold at least two classes", f"{only} in {asked.file}")
    for word in words:
        require(
            counts.get(word, 0) >= 2,
            f"every class must have at least two rows in {asked.file}",
            f"{counts.get(word, 0)} of {word!r}",
            "label more or leave it out",
        )
    for row in dev:
        if (word := word_of(row.cells[0])) and word not in words:
            raise InputError(
                f"{asked.dev}, line {row.line}: the label {word!r} must be one of those in {asked.file} "
                f"({', '.join(map(repr, words))}), which nothing could learn otherwise"
            )


# --- what the rows are like -------------------------------------------------------------------------------------------


def warnings_of(data: TaskData) -> list[str]:
    """What a user should know before trusting a score: copies, rare classes, constant columns."""
    train = [example.texts for example in data.train]
    dev = [example.texts for example in data.dev]
    found = []
    if copies := len(set(train) & set(dev)):
        found.append(f"{copies} texts are in both files: their scores say nothing about new texts")
    if not dev and (copies := len(train) - len(set(train))):
        found.append(f"{copies} rows repeat the text of another: copies can be in the training and in the test part")
    counts = Counter(example.label for example in data.train)
    for number, word in enumerate(data.task.labels or ()):
        if counts[number] < FEW_ROWS:
            found.append(f"the class {word!r} has {counts[number]} rows; below {FEW_ROWS} little can be said about it")
    for at, name in enumerate(data.task.text):
        if len({texts[at] for texts in train}) == 1:
            found.append(f"the column {name!r} is constant: every row holds {train[0][at][:40]!r}")
    return found
