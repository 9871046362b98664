"""From records to trials: one flat line each, of several records of one trial the one that counts."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import Any

from leaderboard.records.identity import canonical
from leaderboard.records.plan import Plan, place_of
from leaderboard.records.schema import RESULTS, RecordError
from leaderboard.render.text import shorten

VERSIONS = ("regbench", "torch", "transformers", "python", "device")

# What else stands in a config is about the strategy itself: versions of its methods, the recipe of its Fisher scores.
_PLACED = {"task", "strategy", "fraction", "restart", "split_seed", "seeds", "protocol", "model", "weights"}
_PLACED |= {"split_hash", "dev_hash", "metric"}
_OUTCOME = ("status", "score", "failed", "failed_plain", "imputed")
_SECTION = ("model", "weights", "protocol", "strategy")  # where the variants of a strategy share a name
_CELL = ("task", "metric", "data")
Line = dict[str, Any]


def short(text: str) -> str:
    """Return eight digits that stand for a text."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:8]


def grouped(lines: list[Line], *keys: str) -> list[tuple[Any, list[Line]]]:
    """Return (value or values of `keys`, lines) in sorted order; the lines keep theirs."""
    groups: dict[Any, list[Line]] = {}
    for line in lines:
        groups.setdefault(tuple(line[key] for key in keys) if len(keys) > 1 else line[keys[0]], []).append(line)
    return sorted(groups.items())


def trials(records: Iterable[Mapping[str, Any]], plan: Plan | None = None) -> tuple[list[Line], list[RecordError]]:
    """Return one line per trial, in an order that depends on the trials alone, and the trials whose records disagree.

    plan: `planned` of a line is the number of restarts that it gives the trial's strategy there, 0 where it says none.
    Of several records of one trial (several folders given) one with a result is used; if their results differ, none is.
    """
    by_id: dict[str, list[Line]] = {}
    for record in records:
        by_id.setdefault(record["id"], []).append(_line(record, plan or {}))
    lines, problems = [], []
    for name, candidates in sorted(by_id.items()):
        with_result = [line for line in candidates if line["status"] in RESULTS]
        if len({tuple(line[key] for key in _OUTCOME) for line in with_result}) > 1:
            problems.append(
                RecordError(f"{name}: {len(with_result)} records of this trial disagree; none of them is used")
            )
            continue
        lines.append(min(with_result or candidates, key=lambda line: (line["status"] != "skipped", line["checksum"])))
    return _labelled(lines), problems


def _line(record: Mapping[str, Any], plan: Plan) -> Line:
    config, result = record["config"], record["result"]
    place = place_of(config)
    unit = [config[key] for key in ("restart", "split_seed", "split_hash", "dev_hash")]
    return {
        "id": record["id"],
        "checksum": record["checksum"],
        "model": config["model"],
        "weights": config["weights"],
        "protocol": place[2],
        "task": config["task"],
        "metric": config["metric"],
        "data": "pooled" if config["protocol"]["data"] == "pooled" else config["dev_hash"],
        "fraction": float(config["fraction"]),
        "strategy": config["strategy"],
        "variant": short(canonical({key: value for key, value in config.items() if key not in _PLACED})),
        "restart": config["restart"],
        "planned": plan.get(place, 0),
        "split_seed": config["split_seed"],
        "split": config["split_hash"],
        "unit": repr([*unit, sorted(config["seeds"].items())]),
        "status": result["status"],
        "reason": shorten(result["reason"] or "", 160),
        **_numbers(result),
        "about": _about(record),
        **{key: str(record["environment"].get(key, "unknown")) for key in VERSIONS},
    }


def _numbers(result: Mapping[str, Any]) -> dict[str, Any]:
    if result["status"] not in RESULTS:
        nothing = dict.fromkeys(("score", "floor", "deviation", "seconds", "peak_memory"), math.nan)
        return {**nothing, **dict.fromkeys(("failed", "failed_plain", "imputed", "collapsed"), False), "failed_by": ""}
    memory, deviation = result["peak_memory"], result.get("deviation")
    return {
        "score": float(result["score"]),
        "failed": result["failed"],
        "failed_plain": result["failed_plain"],
        "failed_by": result["failed_by"] or "",
        "imputed": result["imputed"],
        "collapsed": result["collapsed"],
        "floor": float(result["floor"]),
        "deviation": float(deviation) if isinstance(deviation, (int, float)) else math.nan,
        "seconds": float(result["seconds"]["total"]),
        "peak_memory": math.nan if memory is None else float(memory),
    }


def _about(record: Mapping[str, Any]) -> str:
    """Return what the record says of its strategy as canonical JSON: versions of methods, Fisher recipe, modules."""
    config, touched = record["config"], record["result"].get("touched")
    known = {"strategy": config["strategy"], "methods": config["methods"], "fisher": config["fisher"]}
    return canonical(known | {"touched": touched if isinstance(touched, dict) else {}})


def _labelled(lines: list[Line]) -> list[Line]:
    """Name a strategy's variants apart where one table would hold several (two Fisher recipes, two method versions)."""
    variants: dict[tuple[Any, ...], set[str]] = {}
    for line in lines:
        variants.setdefault(tuple(line[key] for key in (*_SECTION, *_CELL)), set()).add(line["variant"])
    marked = {key[: len(_SECTION)] for key, found in variants.items() if len(found) > 1}
    return [
        line | {"strategy": f"{line['strategy']} (variant {line['variant']})"}
        if tuple(line[key] for key in _SECTION) in marked
        else line
        for line in lines
    ]
