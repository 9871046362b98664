"""A suite made for GLUE on the embedded model: every task is replaced by its embedded counterpart, and said so."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from benchmarks.request import Suite
from benchmarks.tasks import TASKS
from fisher.errors import InputError

OTHERS = {"sst2": "pocket-cola"}  # no counterpart of its own; both classify single sentences
SAMPLES = 500  # as in the suite `pocket`
PREFIX = "pocket-"


def stand_in(task: str) -> str:
    """The embedded task that stands in for a task. Raises InputError where none does."""
    found = OTHERS.get(task, task if task.startswith(PREFIX) else PREFIX + task)
    if found not in TASKS:
        known = [*OTHERS, *(name.removeprefix(PREFIX) for name in TASKS if name.startswith(PREFIX))]
        raise InputError(
            f"a suite on --model pocket must name tasks with an embedded counterpart ({', '.join(sorted(known))}), "
            f"got {task}; name the tasks with --tasks"
        )
    return found


def on_pocket(suite: Suite) -> tuple[Suite, list[str]]:
    """The suite for the embedded model, and what was changed, in words.

    Tasks are replaced; Fisher scores come from the embedded corpus, with at most SAMPLES samples. The longest embedded
    example has 31 tokens, so the model's 40 positions cut nothing.
    """
    said = [f"{task} -> {stand_in(task)}" for task in suite.every("tasks") if not task.startswith(PREFIX)]
    said = [f"--model pocket: synthetic tasks stand in, not GLUE: {', '.join(said)}"] if said else []
    recipe = suite.fisher
    if recipe.corpus:
        recipe = dataclasses.replace(recipe, corpus="", samples=min(recipe.samples, SAMPLES))
        said.append(f"--model pocket: Fisher scores from {recipe.samples} documents of the embedded corpus")
    variants = tuple(
        dataclasses.replace(v, values={k: _stand_ins(x) if k == "tasks" else x for k, x in v.values.items()})
        for v in suite.variants
    )
    return dataclasses.replace(suite, tasks=_stand_ins(suite.tasks), fisher=recipe, variants=variants), said


def _stand_ins(tasks: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(stand_in, tasks)))
