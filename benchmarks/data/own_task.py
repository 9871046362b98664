"""A user's own task, from a TOML file."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from benchmarks.data.readers import load_toml
from benchmarks.data.tasks import TASKS, OwnFiles, Task, key_of
from fisher.common.errors import InputError, unknown

CLASSIFICATION_METRICS = ("accuracy", "f1", "macro_f1", "matthews")
REGRESSION_METRICS = ("spearman", "pearson")
_KEYS = ("name", "train", "dev", "test", "text", "label", "labels", "regression", "metric")
SUFFIXES = (".csv", ".tsv", ".jsonl")


def task_from_file(path: str | Path) -> Task:
    """A user's own task, described by a TOML file.

    Keys: `name` (lower case letters, digits, hyphens), `train`, optionally `dev` and `test` (CSV, TSV or JSONL,
    relative to the TOML file), `text` (one or two columns), `label` (a column), either `labels` (the class words, in
    the order of their ids) or `regression = true`, and `metric` (accuracy, f1, macro_f1, matthews; spearman, pearson).
    CSV may be quoted, TSV may not; both need a header line; a JSONL line is one object. A task without `dev` is
    scored on parts of `train` (data=resampled).

    Raises InputError that names the file and the key.
    """
    path = Path(path)
    table: Mapping[str, object] = load_toml(path, "a task file")
    for key in table:
        if key not in _KEYS:
            raise InputError(f"{path}: {unknown('key', key, _KEYS)}")
    labels = _own_labels(path, table)
    dev, test = (_own_file(path, table, key) if key in table else None for key in ("dev", "test"))
    label = _string(path, table, "label")
    text = _own_text(path, table, label)
    files = OwnFiles(path, _own_file(path, table, "train"), dev, test, label)
    return Task(_own_name(path, table), text, labels, _own_metric(path, table, labels), own=files)


def _string(path: Path, table: Mapping[str, object], key: str) -> str:
    value = table.get(key)
    if value is None:
        raise InputError(f"{path}: key {key!r} is missing.")
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{path}: {key} must be a non-empty text, got {value!r}.")
    return value


def _own_name(path: Path, table: Mapping[str, object]) -> str:
    name = _string(path, table, "name")
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise InputError(f"{path}: name must be lower case letters, digits and single hyphens, got {name!r}.")
    if any(key_of(name) == key_of(known) for known in TASKS):
        raise InputError(f"{path}: name must not be that of a task this project knows, got {name!r}.")
    return name


def _own_file(path: Path, table: Mapping[str, object], key: str) -> Path:
    value = _string(path, table, key)
    file = path.parent / value
    if file.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: {key} must be a file ending in {', '.join(SUFFIXES)}, got {value!r}.")
    if not os.path.isfile(file):  # False for a name too long to be one
        raise InputError(f"{path}: {key} must be a file relative to the task file, but {file} does not exist.")
    return file


def _own_text(path: Path, table: Mapping[str, object], label: str) -> tuple[str, ...]:
    value = table.get("text")
    if value is None:
        raise InputError(f"{path}: key 'text' is missing.")
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not _distinct_words(names) or len(names) not in (1, 2) or label in names:
        raise InputError(f"{path}: text must be one or two column names other than the label's, got {value!r}.")
    return tuple(names)


def _own_labels(path: Path, table: Mapping[str, object]) -> tuple[str, ...] | None:
    regression, labels = table.get("regression", False), table.get("labels")
    if not isinstance(regression, bool):
        raise InputError(f"{path}: regression must be true or false, got {regression!r}.")
    if regression == (labels is not None):
        raise InputError(f"{path}: give either labels = [...] or regression = true, not both and not neither.")
    if regression:
        return None
    if not isinstance(labels, list) or not _distinct_words(labels) or len(labels) < 2:
        raise InputError(f"{path}: labels must be at least two different texts in quotes, got {labels!r}.")
    return tuple(labels)


def _distinct_words(values: list[object]) -> bool:
    return all(isinstance(value, str) and value.strip() for value in values) and len(set(values)) == len(values)


def _own_metric(path: Path, table: Mapping[str, object], labels: tuple[str, ...] | None) -> str:
    metric = _string(path, table, "metric")
    allowed: tuple[str, ...] = REGRESSION_METRICS if labels is None else CLASSIFICATION_METRICS
    if labels is not None and len(labels) > 2:
        allowed = tuple(name for name in allowed if name != "f1")  # F1 is that of class 1 of two
    if metric not in allowed:
        raise InputError(f"{path}: metric must be one of {', '.join(allowed)} for these labels, got {metric!r}.")
    return metric
