"""Tasks and metrics by the names that people write."""

from collections.abc import Iterable

TASKS = {
    "cola": "CoLA",
    "sst2": "SST-2",
    "mrpc": "MRPC",
    "stsb": "STS-B",
    "qqp": "QQP",
    "mnli": "MNLI",
    "qnli": "QNLI",
    "rte": "RTE",
    "wnli": "WNLI",
}
METRICS = {
    "matthews": "Matthews correlation",
    "f1": "F1",
    "macro_f1": "macro F1",
    "spearman": "Spearman correlation",
    "pearson": "Pearson correlation",
    "combined": "mean of the task's metrics",
}
EMBEDDED = "pocket-"
NAMED = 2  # tasks that a title names; it counts more


def is_synthetic(task: str) -> bool:
    """Return whether a task is one of the embedded ones, which must never be taken for GLUE."""
    return task.startswith(EMBEDDED)


def task_title(task: str) -> str:
    """Return a task's name as people write it; a synthetic one says so."""
    if is_synthetic(task):
        name = task.removeprefix(EMBEDDED)
        return f"{EMBEDDED}{TASKS.get(name, name)} (synthetic)"
    return TASKS.get(task, task)


def tasks_title(tasks: Iterable[str]) -> str:
    """Name a few tasks, or count many and say whether they are synthetic."""
    known = dict.fromkeys(tasks)
    if len(known) <= NAMED:
        return ", ".join(map(task_title, known))
    return f"{len(known)} {'synthetic ' if all(map(is_synthetic, known)) else ''}tasks"


def measure(metric: str) -> str:
    """Return a metric's name as people write it."""
    return METRICS.get(metric, metric)
