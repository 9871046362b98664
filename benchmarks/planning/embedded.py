"""A suite made for GLUE on the embedded model: every task is replaced by its embedded counterpart, and said so."""

import dataclasses
from collections.abc import Iterable

from benchmarks.data.tasks import TASKS
from benchmarks.planning.suite import Suite
from fisher.common.errors import require

OTHERS = {"sst2": "pocket-cola"}  # no counterpart of its own; both classify single sentences
SAMPLES = 500  # as in the suite `pocket`
PREFIX = "pocket-"


def embedded_task(task: str) -> str:
    """Return the embedded counterpart of a task. Raises InputError where it has none."""
    found = OTHERS.get(task, task if task.startswith(PREFIX) else PREFIX + task)
    known = [*OTHERS, *(name.removeprefix(PREFIX) for name in TASKS if name.startswith(PREFIX))]
    must = f"a suite on --model pocket must name tasks with an embedded counterpart ({', '.join(sorted(known))})"
    require(found in TASKS, must, task, "name the tasks with --tasks")
    return found


def on_pocket(suite: Suite) -> tuple[Suite, list[str]]:
    """The suite with embedded tasks, and what was changed, in words.

    The longest embedded example has 31 tokens, so the model's 40 positions cut nothing.
    """
    said = [f"{task} -> {embedded_task(task)}" for task in suite.every("tasks") if not task.startswith(PREFIX)]
    said = [f"--model pocket: synthetic tasks in place of GLUE: {', '.join(said)}"] if said else []
    variants = tuple(
        dataclasses.replace(v, values={k: _embedded_tasks(x) if k == "tasks" else x for k, x in v.values.items()})
        for v in suite.variants
    )
    return dataclasses.replace(suite, tasks=_embedded_tasks(suite.tasks), variants=variants), said


def on_own_corpus(suite: Suite) -> tuple[Suite, list[str]]:
    """The suite with Fisher scores from the embedded corpus, at most SAMPLES samples, and what was changed."""
    if not suite.fisher.corpus:
        return suite, []
    recipe = dataclasses.replace(suite.fisher, corpus="", samples=min(suite.fisher.samples, SAMPLES))
    said = f"--model pocket: Fisher scores from {recipe.samples} documents of the embedded corpus"
    return dataclasses.replace(suite, fisher=recipe), [said]


def _embedded_tasks(tasks: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(embedded_task, tasks)))
