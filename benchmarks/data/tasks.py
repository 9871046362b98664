"""The tasks as data: texts, label words, scores and where each part of a task lies.

The nine GLUE tasks [Wang et al. 2019, arXiv:1804.07461], the four embedded pocket tasks (synthetic, never GLUE) and a
user's own task from a TOML file. Class ids are those of the Hugging Face hub: the position of a word in `Task.labels`.
"""

import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.data.readers import load_toml
from fisher.common.errors import named, require, require_known, unknown

HUB_DATASET = "nyu-mll/glue"  # with a configuration of every task's name, and columns `Task.text` and "label"
CLASSIFICATION_METRICS: tuple[str, ...] = ("accuracy", "f1", "macro_f1", "matthews")
REGRESSION_METRICS: tuple[str, ...] = ("spearman", "pearson")
_KEYS = ("name", "train", "dev", "test", "text", "label", "labels", "regression", "metric")
SUFFIXES = (".csv", ".tsv", ".jsonl")


@dataclass(frozen=True)
class Files:
    """The files of a task and their columns; a GLUE task's are tab-separated, and their fields never quoted.

    folder: where they lie in the data folder, of one's own task the folder of its TOML; text: the columns of the texts,
    where they are not called `Task.text`; codes: the words that stand for `Task.labels`, where they differ; columns:
    all columns of train and dev where those files have no header (CoLA; the test file always has one); extra: further
    dev and test sets. One's own task may lack dev and test.
    """

    folder: str = ""
    label: str = ""
    text: tuple[str, ...] = ()
    codes: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    train: str = "train.tsv"
    dev: str | None = "dev.tsv"
    test: str | None = "test.tsv"
    extra: tuple[tuple[str, str, str], ...] = ()  # (name, dev file, test file), e.g. MNLI's mismatched sections

    def name(self, part: str, labelled: bool) -> str | None:
        """The file of a part of the data; of a further set that of dev or test."""
        names = {"train": self.train, "dev": self.dev, "test": self.test}
        return (names | {name: dev if labelled else test for name, dev, test in self.extra})[part]


@dataclass(frozen=True)
class Task:
    """What a trial must know about a task.

    `labels` are the class words, id = position; None means regression. `primary` ranks, `secondary` is reported;
    `score_range` is the official range of a regression task's scores (None: whatever the training file holds). `kind`
    says where the data may come from: GLUE's folder or the hub, the package itself, or the user's files, which `toml`
    names.
    """

    name: str
    text: tuple[str, ...]
    labels: tuple[str, ...] | None
    primary: str
    secondary: tuple[str, ...] = ()
    score_range: tuple[float, float] | None = None
    files: Files = Files()
    kind: Literal["glue", "embedded", "own"] = "glue"
    toml: Path | None = None

    @property
    def regression(self) -> bool:
        """True when the label is a number."""
        return self.labels is None

    @property
    def outputs(self) -> int:
        """Outputs of a classifier: one per class, or the one value of a regression."""
        return 1 if self.labels is None else len(self.labels)


_PAIR = ("sentence1", "sentence2")
_BINARY = ("0", "1")
_ENTAILMENT = ("entailment", "not_entailment")

_GLUE = (
    Task(
        name="cola",
        text=("sentence",),
        labels=("unacceptable", "acceptable"),
        primary="matthews",
        files=Files("CoLA", "label", codes=_BINARY, columns=("source", "label", "mark", "sentence")),
    ),
    Task(
        name="sst2",
        text=("sentence",),
        labels=("negative", "positive"),
        primary="accuracy",
        files=Files("SST-2", "label", codes=_BINARY),
    ),
    Task(
        name="mrpc",
        text=_PAIR,
        labels=("not_equivalent", "equivalent"),
        primary="f1",
        secondary=("accuracy",),
        files=Files("MRPC", "Quality", text=("#1 String", "#2 String"), codes=_BINARY),
    ),
    Task(
        name="qqp",
        text=("question1", "question2"),
        labels=("not_duplicate", "duplicate"),
        primary="f1",
        secondary=("accuracy",),
        files=Files("QQP", "is_duplicate", codes=_BINARY),
    ),
    Task(
        name="stsb",
        text=_PAIR,
        labels=None,
        primary="spearman",
        secondary=("pearson",),
        score_range=(0.0, 5.0),
        files=Files("STS-B", "score"),
    ),
    Task(
        name="mnli",
        text=("premise", "hypothesis"),
        labels=("entailment", "neutral", "contradiction"),
        primary="accuracy",
        files=Files(
            "MNLI",
            "gold_label",
            text=_PAIR,
            dev="dev_matched.tsv",
            test="test_matched.tsv",
            extra=(("mismatched", "dev_mismatched.tsv", "test_mismatched.tsv"),),
        ),
    ),
    Task(
        name="qnli",
        text=("question", "sentence"),
        labels=_ENTAILMENT,
        primary="accuracy",
        files=Files("QNLI", "label"),
    ),
    Task(
        name="rte",
        text=_PAIR,
        labels=_ENTAILMENT,
        primary="accuracy",
        files=Files("RTE", "label"),
    ),
    Task(
        name="wnli",
        text=_PAIR,
        labels=("not_entailment", "entailment"),
        primary="accuracy",
        files=Files("WNLI", "label", codes=_BINARY),
    ),
)


class _Tasks(dict[str, Task]):
    """Tasks by name; case, hyphens and underscores of a name that is asked for do not matter ("SST-2" is sst2)."""

    def __missing__(self, name: str) -> Task:
        """Raise InputError, with the nearest name and the whole list, for no task's name."""
        by_key = {key_of(known): task for known, task in self.items()}
        if task := by_key.get(key_of(name)):
            return task
        raise unknown("task", name, self)


TASKS = _Tasks({task.name: task for task in _GLUE})
TASKS |= {  # the embedded tasks, in the format and metrics of GLUE's
    f"pocket-{name}": dataclasses.replace(TASKS[name], name=f"pocket-{name}", files=Files(name, label), kind="embedded")
    for name, label in (("cola", "label"), ("rte", "label"), ("mrpc", "label"), ("stsb", "score"))
}


def find_task(name: str, own: Task | None = None) -> Task:
    """The task called `name`, as `TASKS` knows it, or the user's `own`. Raises InputError when there is none."""
    return own if own and own.name == name else TASKS[name]


def key_of(name: str) -> str:
    """Return what two spellings of a name share."""
    return re.sub(r"[-_\s]", "", name).lower()


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
    of_classes = [name for name in CLASSIFICATION_METRICS if name != "f1" or len(labels or ()) == 2]  # F1: of class 1
    allowed = REGRESSION_METRICS if labels is None else of_classes
    require(metric in allowed, f"metric must be one of {', '.join(allowed)} for these labels", repr(metric))
    return metric
