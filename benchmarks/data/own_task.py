"""A user's own task, from a TOML file."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.data.readers import load_toml
from benchmarks.data.tasks import TASKS, Files, Task, key_of
from fisher.common.errors import named, require, require_known

CLASSIFICATION_METRICS: tuple[str, ...] = ("accuracy", "f1", "macro_f1", "matthews")
REGRESSION_METRICS: tuple[str, ...] = ("spearman", "pearson")
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
    table = load_toml(path, "a task file")
    with named(path):
        require_known("key", table, _KEYS)
        label, labels = _string(table, "label"), _labels(table.get("labels"), table.get("regression", False))
        dev, test = (_file(path, table, key) if key in table else None for key in ("dev", "test"))
        files = Files(str(path.parent), label, train=_file(path, table, "train"), dev=dev, test=test)
        text, metric = _text(table, label), _metric(table, labels)
        return Task(_name(table), text, labels, metric, files=files, kind="own", toml=path)


def _needed(table: Mapping[str, Any], key: str) -> Any:
    require(key in table, f"key {key!r} is missing.")
    return table[key]


def _string(table: Mapping[str, Any], key: str) -> str:
    value = _needed(table, key)
    require(isinstance(value, str) and value.strip(), f"{key} must be a non-empty text", repr(value))
    return str(value)


def _name(table: Mapping[str, Any]) -> str:
    name, known = _string(table, "name"), map(key_of, TASKS)
    made_of = "lower case letters, digits and single hyphens"
    require(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name), f"name must be {made_of}", repr(name))
    require(key_of(name) not in known, "name must not be that of a task this project knows", repr(name))
    return name


def _file(path: Path, table: Mapping[str, Any], key: str) -> str:
    value = _string(table, key)
    file = path.parent / value
    require(file.suffix.lower() in SUFFIXES, f"{key} must be a file ending in {', '.join(SUFFIXES)}", repr(value))
    lost = f"{key} must be a file relative to the task file, but {file} does not exist."
    require(os.path.isfile(file), lost)  # False for a name too long to be one
    return value


def _text(table: Mapping[str, Any], label: str) -> tuple[str, ...]:
    value = _needed(table, "text")
    names = [value] if isinstance(value, str) else value
    fit = _distinct_words(names) and len(names) in (1, 2) and label not in names
    require(fit, "text must be one or two column names other than the label's", repr(value))
    return tuple(names)


def _labels(labels: Any, regression: Any) -> tuple[str, ...] | None:
    require(isinstance(regression, bool), "regression must be true or false", repr(regression))
    require(
        regression == (labels is None), "give either labels = [...] or regression = true, not both and not neither."
    )
    if regression:
        return None
    several = _distinct_words(labels) and len(labels) >= 2
    require(several, "labels must be at least two different texts in quotes", repr(labels))
    return tuple(labels)


def _distinct_words(values: Any) -> bool:
    listed = isinstance(values, list) and all(isinstance(value, str) and value.strip() for value in values)
    return listed and len(set(values)) == len(values)


def _metric(table: Mapping[str, Any], labels: tuple[str, ...] | None) -> str:
    metric = _string(table, "metric")
    allowed = REGRESSION_METRICS if labels is None else CLASSIFICATION_METRICS
    if labels is not None and len(labels) > 2:
        allowed = tuple(name for name in allowed if name != "f1")  # F1 is that of class 1 of two
    require(metric in allowed, f"metric must be one of {', '.join(allowed)} for these labels", repr(metric))
    return metric
