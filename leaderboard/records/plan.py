"""How many restarts were planned: `plan.json`, which a run writes next to its records.

    [{"model", "weights", "protocol": {...}, "cells": [{"task", "fraction", "restarts": {"none": 5, ...}}]}, ...]

A strategy that was planned with 5 restarts next to others of 12 is whole with 5; without a plan it lacks 7. The plan is
its author's word and can only widen: of several that name a strategy the largest number counts.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from leaderboard.records.files import read_companion
from leaderboard.records.grouping import protocol_of, run_name
from leaderboard.records.schema import MAX_RESTARTS, RecordError

PLAN = "plan.json"

PlanKey = tuple[str, str, str, str, float, str]  # model, weights, protocol as canonical JSON, task, fraction, strategy
Plan = dict[PlanKey, int]


def place_of(config: Mapping[str, Any]) -> PlanKey:
    """Return what a number of restarts is planned for."""
    head = (config["model"], config["weights"], protocol_of(config))
    return (*head, config["task"], float(config["fraction"]), run_name(config))


def plan_of(configs: Iterable[Mapping[str, Any]]) -> Plan:
    """Return the plan of a grid of trials: in every place restarts 0..n-1."""
    counts: dict[tuple[Any, ...], tuple[Mapping[str, Any], int]] = {}
    for config in configs:
        places = (config[name] for name in ("model", "weights", "task", "fraction"))
        key = (id(config["protocol"]), *places, run_name(config))
        _, known = counts.get(key, (config, 0))
        counts[key] = config, max(known, 1 + config["restart"])
    return joined({place_of(config): count} for config, count in counts.values())


def expected(planned: Iterable[int], restarts: Iterable[int], most: int) -> int:
    """Return how many restarts a strategy of a cell must have: as planned, or more if it ran more.

    planned and restarts: those numbers of its trials, planned 0 without a plan: then it is `most`, those of the cell.
    """
    number = max(planned)
    return max(number, 1 + max(restarts)) if number else most


def joined(plans: Iterable[Plan]) -> Plan:
    """Return the widest of several plans."""
    widest: Plan = {}
    for plan in plans:
        for place, count in plan.items():
            widest[place] = max(count, widest.get(place, 0))
    return widest


def read_plan(results: Iterable[Path | str]) -> tuple[Plan, list[RecordError]]:
    """Return the widest plan in the folders given, and the `plan.json` that are none.

    A record or a `records` folder stands for the folder that the run wrote.
    """
    wanted = "a list of {model, weights, protocol, cells}, each cell with task, fraction and the restarts "
    plans, faults = read_companion(results, PLAN, _plan_in, f"{wanted}(1 to {MAX_RESTARTS}) of every strategy")
    return joined(plans), faults


def encode_plan(plan: Plan) -> bytes:
    """Return the file's bytes: the same plan gives the same."""
    groups: dict[tuple[str, str, str], dict[tuple[str, float], dict[str, int]]] = {}
    for (model, weights, protocol, task, fraction, strategy), count in sorted(plan.items()):
        cells = groups.setdefault((model, weights, protocol), {})
        cells.setdefault((task, fraction), {})[strategy] = count
    content = [
        {
            "model": model,
            "weights": weights,
            "protocol": json.loads(protocol),
            "cells": [
                {"task": task, "fraction": fraction, "restarts": counts} for (task, fraction), counts in cells.items()
            ],
        }
        for (model, weights, protocol), cells in groups.items()
    ]
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode("utf-8")


def _plan_in(content: Any) -> Plan:
    plan = joined(_blocks(content))
    encode_plan(plan)  # refuses what is no text, such as half of a surrogate pair
    return plan


def _blocks(content: Any) -> Iterable[Plan]:
    """Yield what each line of a plan says; raises one of the errors of a wrong shape."""
    if not isinstance(content, list):
        raise TypeError
    for block in content:
        for cell in block["cells"]:
            for strategy, count in cell["restarts"].items():
                place = place_of(block | cell | {"strategy": strategy})
                texts = all(isinstance(part, str) for part in place[:4])
                if not texts or type(count) is not int or not 1 <= count <= MAX_RESTARTS or not 0 < place[4] <= 1:
                    raise ValueError
                yield {place: count}
