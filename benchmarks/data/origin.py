"""Where the data of tasks come from, and the examples read from there, once per process."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.data.sources import Example, TaskData, load_task_data, load_test
from benchmarks.data.tasks import Task, find_task, task_from_file


@dataclass(frozen=True)
class Origin:
    """GLUE's folder, the file of a user's own task, and whether nothing may be fetched from the hub."""

    data_dir: str | None = None
    task_file: str | None = None
    offline: bool = False

    def absolute(self) -> "Origin":
        """The same origin, with paths that mean the same in every process."""
        data_dir, task_file = (path and str(Path(path).resolve()) for path in (self.data_dir, self.task_file))
        return Origin(data_dir, task_file, self.offline)

    def own(self) -> Task | None:
        """The user's own task."""
        return None if self.task_file is None else task_from_file(self.task_file)

    def task(self, name: str) -> Task:
        """A task by name, or the user's own where it is of that name."""
        return find_task(name, self.own())

    def load(self, name: str, dropped: Mapping[str, Sequence[int]] | None = None) -> TaskData:
        """The examples of a task without the dropped rows."""
        return load_data(self, name, tuple((part, tuple(rows)) for part, rows in sorted((dropped or {}).items())))

    def tests(self, name: str) -> dict[str, tuple[Example, ...]]:
        """The task's unlabelled test sets by name (`test`; MNLI also `mismatched`)."""
        task = self.task(name)
        parts = ("test", *(part for part, _, _ in task.files.extra))
        return {part: load_test(task, name=part, data_dir=self.data_dir, offline=self.offline) for part in parts}


@functools.lru_cache(maxsize=16)
def load_data(origin: Origin, name: str, dropped: tuple[tuple[str, tuple[int, ...]], ...]) -> TaskData:
    """The task's examples without the dropped rows of each part, read once per process."""
    task = origin.task(name)
    return load_task_data(task, data_dir=origin.data_dir, offline=origin.offline, dropped=dict(dropped))
