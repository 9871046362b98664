"""The tasks as data: texts, label words, scores and where each part of a task lies.

The nine GLUE tasks [Wang et al. 2019, arXiv:1804.07461], the four embedded pocket tasks (synthetic, never GLUE) and a
user's own task from a TOML file. Class ids are those of the Hugging Face hub: the position of a word in `Task.labels`.
"""

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fisher.common.errors import unknown

HUB_DATASET = "nyu-mll/glue"  # with a configuration of every task's name, and columns `Task.text` and "label"


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


def _pocket(task: Task) -> Task:
    """The embedded task in the format and metrics of `task`."""
    files = Files(task.name, "score" if task.regression else "label")
    return dataclasses.replace(task, name=f"pocket-{task.name}", files=files, kind="embedded")


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
