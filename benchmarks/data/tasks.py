"""The tasks as data: texts, label words, scores and where each part of a task lies.

The nine GLUE tasks [Wang et al. 2019, arXiv:1804.07461], the four embedded pocket tasks (synthetic, never GLUE) and a
user's own task from a TOML file. Class ids are those of the Hugging Face hub: the position of a word in `Task.labels`.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.data.readers import load_toml
from fisher.common.errors import InputError, unknown

HUB_DATASET = "nyu-mll/glue"


@dataclass(frozen=True)
class GlueFiles:
    """A task in the original GLUE release: one folder of tab-separated files, fields never quoted.

    `columns` names the columns of train and dev where those files have no header (CoLA); the test file always has one.
    `codes` are the words that stand for `Task.labels` in the files, where they differ.
    """

    folder: str
    text: tuple[str, ...]
    label: str
    codes: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    dev: str = "dev.tsv"
    test: str = "test.tsv"
    extra: tuple[tuple[str, str, str], ...] = ()  # (name, dev file, test file), e.g. MNLI's mismatched sections


@dataclass(frozen=True)
class HubColumns:
    """A task on the hub: configuration of `HUB_DATASET` and split names; the columns are `Task.text` and "label"."""

    config: str
    dev: str = "validation"
    test: str = "test"
    extra: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class OwnFiles:
    """A user's own task: the files that its TOML names, resolved against the TOML's folder."""

    toml: Path
    train: Path
    dev: Path
    test: Path | None
    label: str


@dataclass(frozen=True)
class Task:
    """What a trial must know about a task.

    `labels` are the class words, id = position; None means regression. `primary` ranks, `secondary` is reported;
    `score_range` is the official range of a regression task's scores (None: whatever the training file holds).
    """

    name: str
    text: tuple[str, ...]
    labels: tuple[str, ...] | None
    primary: str
    secondary: tuple[str, ...] = ()
    score_range: tuple[float, float] | None = None
    glue: GlueFiles | None = None
    hub: HubColumns | None = None
    own: OwnFiles | None = None

    @property
    def regression(self) -> bool:
        """True when the label is a number."""
        return self.labels is None

    @property
    def kind(self) -> Literal["glue", "embedded", "own"]:
        """Where the data may come from: GLUE's folder or the hub, the package itself, or the user's files."""
        if self.own is not None:
            return "own"
        return "glue" if self.glue is not None else "embedded"


_PAIR = ("sentence1", "sentence2")
_BINARY = ("0", "1")
_ENTAILMENT = ("entailment", "not_entailment")

_GLUE = (
    Task(
        name="cola",
        text=("sentence",),
        labels=("unacceptable", "acceptable"),
        primary="matthews",
        glue=GlueFiles(
            folder="CoLA",
            text=("sentence",),
            label="label",
            codes=_BINARY,
            columns=("source", "label", "mark", "sentence"),
        ),
        hub=HubColumns("cola"),
    ),
    Task(
        name="sst2",
        text=("sentence",),
        labels=("negative", "positive"),
        primary="accuracy",
        glue=GlueFiles(folder="SST-2", text=("sentence",), label="label", codes=_BINARY),
        hub=HubColumns("sst2"),
    ),
    Task(
        name="mrpc",
        text=_PAIR,
        labels=("not_equivalent", "equivalent"),
        primary="f1",
        secondary=("accuracy",),
        glue=GlueFiles(folder="MRPC", text=("#1 String", "#2 String"), label="Quality", codes=_BINARY),
        hub=HubColumns("mrpc"),
    ),
    Task(
        name="qqp",
        text=("question1", "question2"),
        labels=("not_duplicate", "duplicate"),
        primary="f1",
        secondary=("accuracy",),
        glue=GlueFiles(folder="QQP", text=("question1", "question2"), label="is_duplicate", codes=_BINARY),
        hub=HubColumns("qqp"),
    ),
    Task(
        name="stsb",
        text=_PAIR,
        labels=None,
        primary="spearman",
        secondary=("pearson",),
        score_range=(0.0, 5.0),
        glue=GlueFiles(folder="STS-B", text=_PAIR, label="score"),
        hub=HubColumns("stsb"),
    ),
    Task(
        name="mnli",
        text=("premise", "hypothesis"),
        labels=("entailment", "neutral", "contradiction"),
        primary="accuracy",
        glue=GlueFiles(
            folder="MNLI",
            text=_PAIR,
            label="gold_label",
            dev="dev_matched.tsv",
            test="test_matched.tsv",
            extra=(("mismatched", "dev_mismatched.tsv", "test_mismatched.tsv"),),
        ),
        hub=HubColumns(
            "mnli",
            dev="validation_matched",
            test="test_matched",
            extra=(("mismatched", "validation_mismatched", "test_mismatched"),),
        ),
    ),
    Task(
        name="qnli",
        text=("question", "sentence"),
        labels=_ENTAILMENT,
        primary="accuracy",
        glue=GlueFiles(folder="QNLI", text=("question", "sentence"), label="label"),
        hub=HubColumns("qnli"),
    ),
    Task(
        name="rte",
        text=_PAIR,
        labels=_ENTAILMENT,
        primary="accuracy",
        glue=GlueFiles(folder="RTE", text=_PAIR, label="label"),
        hub=HubColumns("rte"),
    ),
    Task(
        name="wnli",
        text=_PAIR,
        labels=("not_entailment", "entailment"),
        primary="accuracy",
        glue=GlueFiles(folder="WNLI", text=_PAIR, label="label", codes=_BINARY),
        hub=HubColumns("wnli"),
    ),
)


def _pocket(task: Task) -> Task:
    """The embedded task in the format and metrics of `task`."""
    return Task("pocket-" + task.name, task.text, task.labels, task.primary, task.secondary, task.score_range)


TASKS: dict[str, Task] = {task.name: task for task in _GLUE}
TASKS |= {f"pocket-{name}": _pocket(TASKS[name]) for name in ("cola", "rte", "mrpc", "stsb")}


def find_task(name: str) -> Task:
    """The task called `name`; case, hyphens and underscores do not matter ("SST-2" is sst2).

    Raises InputError, with the nearest name and the whole list, when there is none.
    """
    by_key = {_key(known): task for known, task in TASKS.items()}
    if task := by_key.get(_key(name)):
        return task
    raise unknown("task", name, TASKS)


def _key(name: str) -> str:
    return re.sub(r"[-_\s]", "", name).lower()


CLASSIFICATION_METRICS = ("accuracy", "f1", "matthews")
REGRESSION_METRICS = ("spearman", "pearson")
_KEYS = ("name", "train", "dev", "test", "text", "label", "labels", "regression", "metric")
_SUFFIXES = (".csv", ".tsv", ".jsonl")


def task_from_file(path: str | Path) -> Task:
    """A user's own task, described by a TOML file.

    Keys: `name` (lower case letters, digits, hyphens), `train`, `dev` and optionally `test` (CSV, TSV or JSONL,
    relative to the TOML file), `text` (one or two columns), `label` (a column), either `labels` (the class words, in
    the order of their ids) or `regression = true`, and `metric` (accuracy, f1, matthews; spearman, pearson). CSV may be
    quoted, TSV may not; both need a header line; a JSONL line is one object.

    Raises InputError that names the file and the key.
    """
    path = Path(path)
    table = _read_toml(path)
    for key in table:
        if key not in _KEYS:
            raise InputError(f"{path}: {unknown('key', key, _KEYS)}")
    labels = _own_labels(path, table)
    test = _own_file(path, table, "test") if "test" in table else None
    label = _string(path, table, "label")
    text = _own_text(path, table, label)
    files = OwnFiles(path, _own_file(path, table, "train"), _own_file(path, table, "dev"), test, label)
    return Task(_own_name(path, table), text, labels, _own_metric(path, table, labels), own=files)


def _read_toml(path: Path) -> dict[str, object]:
    try:
        return load_toml(path)
    except OSError as error:
        raise InputError(f"{path}: cannot read the task file ({error.strerror}).") from None
    except ValueError as error:
        raise InputError(f"{path}: not a valid TOML file ({error}).") from None


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
    if any(_key(name) == _key(known) for known in TASKS):
        raise InputError(f"{path}: name must not be that of a task this project knows, got {name!r}.")
    return name


def _own_file(path: Path, table: Mapping[str, object], key: str) -> Path:
    value = _string(path, table, key)
    file = path.parent / value
    if file.suffix.lower() not in _SUFFIXES:
        raise InputError(f"{path}: {key} must be a file ending in {', '.join(_SUFFIXES)}, got {value!r}.")
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
