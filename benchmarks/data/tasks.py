"""The tasks as data: texts, label words, scores and where each part of a task lies.

The nine GLUE tasks [Wang et al. 2019, arXiv:1804.07461], the four embedded pocket tasks (synthetic, never GLUE) and a
user's own task from a TOML file. Class ids are those of the Hugging Face hub: the position of a word in `Task.labels`.
"""

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.pocket import TASKS_DIR
from fisher.common.errors import unknown

HUB_DATASET = "nyu-mll/glue"


@dataclass(frozen=True)
class GlueFiles:
    """A task as the original GLUE release lays it out: one folder of tab-separated files, fields never quoted.

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
    """A user's own task: the files that its TOML names, resolved against the TOML's folder; dev and test may lack."""

    toml: Path
    train: Path
    dev: Path | None
    test: Path | None
    label: str


@dataclass(frozen=True)
class Task:
    """What a trial must know about a task.

    `labels` are the class words, id = position; None means regression. `primary` ranks, `secondary` is reported;
    `score_range` is the official range of a regression task's scores (None: whatever the training file holds);
    `shipped` holds the task's folder where the package brings it along.
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
    shipped: Path | None = None

    @property
    def regression(self) -> bool:
        """True when the label is a number."""
        return self.labels is None

    @property
    def outputs(self) -> int:
        """Outputs of a classifier: one per class, or the one value of a regression."""
        return 1 if self.labels is None else len(self.labels)

    @property
    def kind(self) -> Literal["glue", "embedded", "own"]:
        """Where the data may come from: GLUE's folder or the hub, the package itself, or the user's files."""
        if self.own is not None:
            return "own"
        return "glue" if self.shipped is None else "embedded"


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
    files = GlueFiles(folder=task.name, text=task.text, label="score" if task.regression else "label")
    return dataclasses.replace(task, name=f"pocket-{task.name}", glue=files, hub=None, shipped=TASKS_DIR)


class _Tasks(dict[str, Task]):
    """Tasks by name; case, hyphens and underscores of a name that is asked for do not matter ("SST-2" is sst2)."""

    def __missing__(self, name: str) -> Task:
        """Raise InputError, with the nearest name and the whole list, for no task's name."""
        by_key = {key_of(known): task for known, task in self.items()}
        if task := by_key.get(key_of(name)):
            return task
        raise unknown("task", name, self)


TASKS = _Tasks({task.name: task for task in _GLUE})
TASKS |= {f"pocket-{name}": _pocket(TASKS[name]) for name in ("cola", "rte", "mrpc", "stsb")}


def find_task(name: str, own: Task | None = None) -> Task:
    """The task called `name`, as `TASKS` knows it, or the user's `own`. Raises InputError when there is none."""
    return own if own and own.name == name else TASKS[name]


def key_of(name: str) -> str:
    """Return what two spellings of a name share."""
    return re.sub(r"[-_\s]", "", name).lower()
