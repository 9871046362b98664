"""Tasks as data: names, labels, scores, and the TOML file of a user's own task."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.data.tasks import TASKS, Task, find_task, task_from_file
from leaderboard.stats.metrics import METRICS


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("SST-2", "sst2"),
        ("STS-B", "stsb"),
        ("CoLA", "cola"),
        ("pocket-RTE", "pocket-rte"),
        ("Pocket_STS-B", "pocket-stsb"),
    ],
)
def test_a_task_is_found_whatever_the_case_and_hyphens(written: str, name: str) -> None:
    assert find_task(written).name == name


def test_an_unknown_task_is_refused_with_the_nearest_name_and_the_list(refusal: Callable[..., str]) -> None:
    every = f"available: {', '.join(TASKS)}"
    assert refusal(find_task, "mrcp") == f"unknown task 'mrcp'; did you mean mrpc? {every}"
    assert refusal(find_task, "zzzzzz") == f"unknown task 'zzzzzz'; {every}"


def test_primary_scores_are_those_of_the_protocol() -> None:
    assert {name: task.primary for name, task in TASKS.items()} == {
        "cola": "matthews",
        "sst2": "accuracy",
        "mrpc": "f1",
        "qqp": "f1",
        "stsb": "spearman",
        "mnli": "accuracy",
        "qnli": "accuracy",
        "rte": "accuracy",
        "wnli": "accuracy",
        "pocket-cola": "matthews",
        "pocket-rte": "accuracy",
        "pocket-mrpc": "f1",
        "pocket-stsb": "spearman",
    }


def test_class_ids_are_those_of_the_hub() -> None:
    """A user who compares predictions with the hub's labels must not find them swapped."""
    assert {name: TASKS[name].labels for name in ("rte", "qnli", "wnli", "mnli", "mrpc", "stsb")} == {
        "rte": ("entailment", "not_entailment"),
        "qnli": ("entailment", "not_entailment"),
        "wnli": ("not_entailment", "entailment"),
        "mnli": ("entailment", "neutral", "contradiction"),
        "mrpc": ("not_equivalent", "equivalent"),
        "stsb": None,
    }


@pytest.mark.parametrize("task", TASKS.values(), ids=str)
def test_every_task_is_consistent(task: Task) -> None:
    assert set((task.primary, *task.secondary)) <= set(METRICS)
    assert task.regression == (task.score_range == (0.0, 5.0))
    assert task.kind == ("embedded" if task.name.startswith("pocket-") else "glue")
    assert len(task.files.text or task.text) == len(task.text)
    assert task.files.codes is None or len(task.files.codes) == len(task.labels or ())


OWN = """
name = "reviews"
train = "train.csv"
dev = "dev.csv"
text = "review"
label = "mood"
labels = ["bad", "good"]
metric = "f1"
"""


def own_task(folder: Path, toml: str = OWN) -> Path:
    """A task file and the (empty) files that it names."""
    for name in ("train.csv", "dev.csv"):
        (folder / name).touch()
    path = folder / "task.toml"
    path.write_text(toml)
    return path


def test_an_own_task_is_read_relative_to_its_file(tmp_path: Path) -> None:
    task = task_from_file(own_task(tmp_path))
    assert (task.name, task.text, task.labels, task.primary) == ("reviews", ("review",), ("bad", "good"), "f1")
    assert task.kind == "own"
    assert Path(task.files.folder, task.files.train) == tmp_path / "train.csv"
    assert hash(task) == hash(task_from_file(tmp_path / "task.toml"))


def test_an_own_task_may_have_scores_and_no_dev_file(tmp_path: Path) -> None:
    toml = OWN.replace('labels = ["bad", "good"]', "regression = true").replace('"f1"', '"pearson"')
    task = task_from_file(own_task(tmp_path, toml.replace('dev = "dev.csv"\n', "")))
    assert task.regression and task.score_range is None
    assert task.files.dev is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "reviews"\n', "", "key 'name' is missing."),
        ('"reviews"', "3", "name must be a non-empty text, got 3"),
        ('"reviews"', '"My Reviews"', "name must be lower case letters, digits and single hyphens, got 'My Reviews'"),
        ('"reviews"', '"sst-2"', "name must not be that of a task this project knows, got 'sst-2'"),
        ('train = "train.csv"\n', "", "key 'train' is missing."),
        ('"train.csv"', '"train.xlsx"', "train must be a file ending in .csv, .tsv, .jsonl, got 'train.xlsx'"),
        (
            '"dev.csv"',
            '"lost.csv"',
            "dev must be a file relative to the task file, but {folder}/lost.csv does not exist.",
        ),
        ('text = "review"\n', "", "key 'text' is missing."),
        (
            '"review"',
            '["a", "b", "c"]',
            "text must be one or two column names other than the label's, got ['a', 'b', 'c']",
        ),
        ('"review"', '["mood"]', "text must be one or two column names other than the label's, got ['mood']"),
        ('"review"', "[1]", "text must be one or two column names other than the label's, got [1]"),
        ('"review"', "7", "text must be one or two column names other than the label's, got 7"),
        ('label = "mood"\n', "", "key 'label' is missing."),
        ('["bad", "good"]', "[0, 1]", "labels must be at least two different texts in quotes, got [0, 1]"),
        ('["bad", "good"]', '["x"]', "labels must be at least two different texts in quotes, got ['x']"),
        ('["bad", "good"]', '["x", "x"]', "labels must be at least two different texts in quotes, got ['x', 'x']"),
        (
            'labels = ["bad", "good"]\n',
            "",
            "give either labels = [...] or regression = true, not both and not neither.",
        ),
        (
            'labels = ["bad", "good"]',
            'labels = ["bad", "good"]\nregression = true',
            "give either labels = [...] or regression = true, not both and not neither.",
        ),
        ('labels = ["bad", "good"]', "regression = 1", "regression must be true or false, got 1"),
        ('metric = "f1"\n', "", "key 'metric' is missing."),
        (
            '"f1"',
            '"pearson"',
            "metric must be one of accuracy, f1, macro_f1, matthews for these labels, got 'pearson'",
        ),
        (
            '["bad", "good"]',
            '["a", "b", "c"]',
            "metric must be one of accuracy, macro_f1, matthews for these labels, got 'f1'",
        ),
        (
            'metric = "f1"',
            'metrics = "f1"',
            "unknown key 'metrics'; did you mean metric? available: "
            "name, train, dev, test, text, label, labels, regression, metric",
        ),
        ('name = "reviews"', "name = ", "a task file must be a TOML file: Invalid value (at line 2, column 8)."),
    ],
)
def test_a_bad_key_is_one_sentence_with_file_and_key(
    tmp_path: Path, old: str, new: str, message: str, refusal: Callable[..., str]
) -> None:
    assert old in OWN
    path = own_task(tmp_path, OWN.replace(old, new))
    assert refusal(task_from_file, path) == f"{path}: {message}".format(folder=tmp_path)
