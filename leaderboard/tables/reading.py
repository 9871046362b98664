"""From records to trials: one flat row each, of several records of one trial the one that counts."""

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from fisher.common.text import shorten
from leaderboard.records.identity import dump
from leaderboard.records.labels import Labels
from leaderboard.records.logits import decode_logits
from leaderboard.records.plan import Plan, place_of
from leaderboard.records.schema import RESULTS, RecordError, trained_as
from leaderboard.tables.trials import CUT_ANEW, VERSIONS, TrialRow, short

# What else stands in a config is about the strategy itself: versions of its methods, the recipe of its Fisher scores.
_PLACED = {"task", "strategy", "fraction", "restart", "split_seed", "seeds", "protocol", "model", "weights"}
_PLACED |= {"split_hash", "train_hash", "dev_hash", "metric", "size", "tuning", "floor"}


def trials(
    records: Iterable[Mapping[str, Any]], plan: Plan | None = None, labels: Labels | None = None
) -> tuple[list[TrialRow], list[RecordError]]:
    """Return one row per trial, in an order that depends on the trials alone, and the trials whose records disagree.

    Of several records of one trial (several folders given) one with a result is used; if their results differ, none is.
    """
    by_id: dict[str, list[TrialRow]] = {}
    for record in records:
        by_id.setdefault(record["id"], []).append(_row(record, plan or {}, labels or {}))
    rows, problems = [], []
    for name, candidates in sorted(by_id.items()):
        if len(candidates) == 1:
            rows += candidates
            continue
        done = [row for row in candidates if row.has_result]
        if len({row.outcome for row in done}) > 1:
            problems.append(RecordError(f"{name}: {len(done)} records of this trial disagree; none of them is used"))
            continue
        rows.append(min(done or candidates, key=lambda row: (row.status != "skipped", row.checksum)))
    return _labelled(rows), problems


def _versions(environment: Mapping[str, Any]) -> dict[str, str]:
    """Return what a trial ran with: `VERSIONS`, and the commit of this project."""
    git = _object(environment.get("git"))
    commit = str(git.get("commit") or "unknown")[:12] + (" with changes" if git.get("dirty") else "")
    return {name: str(environment.get(name, "unknown")) for name in VERSIONS} | {"commit": commit}


def _row(record: Mapping[str, Any], plan: Plan, labels: Labels) -> TrialRow:
    config, result = record["config"], record["result"]
    place = place_of(config)
    key = [config.get(name) for name in ("restart", "split_seed", "split_hash", "train_hash", "dev_hash")]
    return TrialRow(
        id=record["id"],
        checksum=record["checksum"],
        model=config["model"],
        weights=config["weights"],
        protocol=place[2],
        task=config["task"],
        metric=config["metric"],
        data=kind if (kind := config["protocol"]["data"]) in CUT_ANEW else config["dev_hash"],
        fraction=float(config["fraction"]),
        strategy=config["tuning"]["family"] if "tuning" in config else config["strategy"],
        size=_size(config),
        variant=_variant(config),
        restart=config["restart"],
        planned=plan.get(place, 0),
        split_seed=config["split_seed"],
        split=config["split_hash"],
        train=config.get("train_hash", ""),
        key=repr([*key, sorted(config["seeds"].items())]),
        status=result["status"],
        reason=shorten(result["reason"], 160) if result["reason"] else "",
        about=_about(record),
        versions=_versions(record["environment"]),
        **(_numbers(result) if result["status"] in RESULTS else {}),
        **(_tuning(config, result) if "tuning" in config else {}),
        **(_outputs(config, result, labels) if config["dev_hash"] in labels else {}),
    )


def _variant(config: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in config.items() if name not in _PLACED}
    return _short_of(msgspec.json.encode(rest, order="sorted"))


@functools.lru_cache(maxsize=1000)
def _short_of(text: bytes) -> str:
    """Return what `short` makes of the canonical JSON of a value, by the JSON that is written fastest."""
    return short(dump(msgspec.json.decode(text)))


def _size(config: Mapping[str, Any]) -> str:
    names = {"examples": "n = {}", "per_class": "{} per class"}
    return next((names[kind].format(count) for kind, count in config.get("size", {}).items()), "")


def _tuning(config: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the place of a trial in the tuning of its family."""
    tuning, held = config["tuning"], result.get("holdout")
    names = () if "floor" in config else tuning["axes"]  # nothing of a floor is trained at a rate or in steps
    axes = {name: config["protocol"][name] for name in names if name in config["protocol"]}
    return {
        "rule": "default" if tuning["holdout"] is None else "holdout",
        "draw": tuning["draw"],
        "held_out": math.nan if held is None else float(held["score"]),
        "config": {"strategy": trained_as(config["strategy"], config.get("floor")), **axes},
        "is_floor": "floor" in config,
    }


def _outputs(config: Mapping[str, Any], result: Mapping[str, Any], labels: Labels) -> dict[str, Any]:
    """Return what a trial puts out on the dev set, and the labels there; nothing of a default, which is not joined."""
    untuned = "tuning" in config and config["tuning"]["holdout"] is None
    if untuned or "floor" in config or config["metric"] == "combined":
        return {}
    found = {"labels": labels[config["dev_hash"]]}
    if result["status"] not in RESULTS or result["imputed"]:
        return found
    try:
        if result.get("logits") is not None:
            return found | {"outputs": decode_logits(result["logits"]).astype(np.float16)}
        values = np.array(result["predictions"])
        return found | ({"outputs": values} if values.dtype.kind == "f" and values.ndim == 1 else {})
    except ValueError:
        return found


def _numbers(result: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: result[name] for name in ("failed", "failed_plain", "imputed", "collapsed")},
        "score": float(result["score"]),
        "floor": float(result["floor"]),
        "failed_by": result["failed_by"] or "",
        "deviation": _float(result.get("deviation")),
        "seconds": float(result["seconds"]["total"]),
        "peak_memory": _float(result["peak_memory"]),
        "predictions": _predictions(result["predictions"]),
        **_fit(result),
    }


def _fit(result: Mapping[str, Any]) -> dict[str, float]:
    """Return what records say of fit, calibration and passes; those made before them say nothing."""
    fit, calibration = (_object(result.get(name)) for name in ("fit", "calibration"))
    forgot = _object(result.get("forgetting"))
    measure, score = fit.get("accuracy", fit.get("spearman")), fit.get("score")
    return {
        "fit": _float(measure),
        "gap": math.nan if score is None else float(score) - float(result["score"]),
        **{name: _float(calibration.get(name)) for name in ("ece", "brier", "nll")},
        "passes": _float(_object(result.get("passes")).get("forward")),
        "forgetting": _float(forgot.get("after")) - _float(forgot.get("before")),
    }


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _float(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan


def _predictions(values: list[Any]) -> NDArray[Any]:
    """Return predictions as a small array: class ids as whole numbers, others as floats; none where they are not."""
    try:
        array = np.array(values)
        if array.dtype.kind in "bi":
            numbers: NDArray[Any] = array.astype(np.int32)
        else:
            with np.errstate(over="ignore"):
                numbers = array.astype(np.float32)
    except (ValueError, TypeError, OverflowError):
        return np.empty(0)
    whole = numbers.dtype.kind == "i" or np.isfinite(numbers).all()
    return numbers if numbers.ndim == 1 and whole else np.empty(0)


def _about(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the record says of its strategy: versions of methods, Fisher recipe, modules."""
    config, touched = record["config"], record["result"].get("touched")
    known = {"strategy": config["strategy"], "methods": config["methods"], "fisher": config["fisher"]}
    return known | {"touched": touched if isinstance(touched, dict) else {}}


def _labelled(rows: list[TrialRow]) -> list[TrialRow]:
    """Name a strategy's variants apart where one table would hold several (two Fisher recipes, two method versions)."""
    variants: dict[tuple[str, ...], set[str]] = {}
    for row in rows:
        variants.setdefault((*row.section, row.task, row.metric, row.data), set()).add(row.variant)
    marked = {key[:4] for key, found in variants.items() if len(found) > 1}
    if not marked:
        return rows
    return [
        replace(row, strategy=f"{row.strategy} (variant {row.variant})") if row.section in marked else row
        for row in rows
    ]
