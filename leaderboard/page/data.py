"""What the page shows of `leaderboard.json`: numbers as the tables print them, tasks by their usual names, columns."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from leaderboard.records.methods import Methods
from leaderboard.render.text import fixed
from leaderboard.render.text import points as points_text
from leaderboard.render.text import quantity as quantity_text
from leaderboard.stats.significance import ALPHA

TASKS = {"cola": "CoLA", "sst2": "SST-2", "mrpc": "MRPC", "stsb": "STS-B", "qqp": "QQP"}
TASKS |= {"mnli": "MNLI", "qnli": "QNLI", "rte": "RTE", "wnli": "WNLI"}
METRICS = {"matthews": "Matthews correlation", "f1": "F1", "macro_f1": "macro F1", "spearman": "Spearman correlation"}
METRICS |= {"pearson": "Pearson correlation", "combined": "mean of the task's metrics"}

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")

Json = dict[str, Any]


def page_data(document: Mapping[str, Any], methods: Methods, records: str | None) -> Json:
    """Return what the scripts read; arguments as those of `leaderboard.page.html`."""
    return {
        **{key: document[key] for key in ("minimum_units", "wording", "problems")},
        "methods": methods,
        "records": records,
        "sections": [_section(section) for section in document["sections"]],
    }


# --- numbers as they are printed --------------------------------------------------------------------------------------


def points(value: float) -> float:
    """Return a fraction x 100 with one decimal."""
    return float(points_text(value))


def bound(value: float) -> float:
    """Return a bound of a difference x 100; one that rounds to 0 keeps its side as +-0.01."""
    rounded = points(value)
    return 0.01 * (1 if value > 0 else -1) if value and rounded == 0 else rounded


def share(value: float) -> int:
    """Return a rate in whole percent."""
    return int(fixed(100 * value, 0))


def p_value(value: float) -> float:
    """Return a p-value with three decimals, 0 below 0.001."""
    return 0 if value < 0.001 else float(fixed(value, 3))


_PRINTED: dict[str, Callable[[float], float]] = {
    **dict.fromkeys(("mean", "mean_low", "mean_high", "std", "max", "score", "floor", "difference"), points),
    **dict.fromkeys(("published_mean", "published_max", "gap", "published", "ours"), points),
    **dict.fromkeys(("low", "high", "gap_low", "gap_high"), bound),
    **dict.fromkeys(("failure_rate", "failure_low", "failure_high", "improvement"), share),
    **dict.fromkeys(("p", "p_holm"), p_value),
    **dict.fromkeys(("seconds", "relative_seconds", "passes"), lambda value: float(quantity_text(value))),
    **dict.fromkeys(("mean_rank", "critical_difference"), lambda value: float(fixed(value, 2))),
    "peak_memory": lambda value: round(value / 1e6),
    "fraction": lambda value: float(f"{100 * value:.6g}"),
    "deviation": lambda value: float(f"{value:.3g}"),
}


def _pick(source: Mapping[str, Any], keys: Iterable[str]) -> Json:
    """Return the values of those keys that there are, numbers as they are printed."""
    return {key: _shown(key, source[key]) for key in keys if key in source}


def _shown(key: str, value: Any) -> Any:
    return value if value is None or key not in _PRINTED else _PRINTED[key](value)


def pack(rows: Sequence[Mapping[str, Any]]) -> Json:
    """Return rows of the same keys as columns: a list with a value per row, or the value that all rows have."""
    keys = rows[0] if rows else ()
    return {"n": len(rows), **{key: _once([row[key] for row in rows]) for key in keys}}


def _once(values: list[Any]) -> Any:
    """Return the values, or the one that all have; a list among them is never taken for the column."""
    same = values and not isinstance(values[0], list) and all(value == values[0] for value in values)
    return values[0] if same else values


# --- sections ---------------------------------------------------------------------------------------------------------


def task_title(task: str) -> str:
    """Return a task's name as people write it; a synthetic one says so."""
    kind, _, name = task.rpartition("pocket-")
    return f"pocket-{TASKS.get(name, name)} (synthetic)" if kind == "" and task != name else TASKS.get(task, task)


def _section(section: Mapping[str, Any]) -> Json:
    kept = ("title", "model", "weights", "protocol", "differs", "versions", "baseline", "splits", "verdict", "budget")
    cells = section["cells"]
    return {
        **_pick(section, (*kept, "environment")),
        "strategies": [about | {"methods": sorted(about["methods"])} for about in section["strategies"]],
        "ranking": _ranking(section["ranking"]),
        "cells": [_cell(cell, cells, section) for cell in cells],
        "published": [
            table | {"matches": [_match(match) for match in table["matches"]]} for table in section["published"]
        ],
    }


def _ranking(ranking: Mapping[str, Any]) -> Json:
    kept = ("cells", "tasks", "units", "critical_difference", "groups", "groups_test", "unranked")
    return _pick(ranking, kept) | {
        group: [_ranked(entry) for entry in ranking[group]] for group in ("strategies", "short")
    }


def _ranked(entry: Mapping[str, Any]) -> Json:
    shares = {key: None if entry[key] is None else share(entry[key]) for key in ("low", "high")}
    kept = ("rank", "strategy", "same", "mean_rank", "wins", "improvement", "p_holm", "failed", "restarts")
    return _pick(entry, (*kept, "relative_seconds")) | shares | {"significant": _significant(entry["p_holm"])}


def _significant(p: float | None) -> bool:
    """Return whether a p-value is below alpha before it is rounded for print."""
    return p is not None and p < ALPHA


def _key(cell: Mapping[str, Any]) -> str:
    return " ".join((cell["task"], cell["metric"], cell["data"][:8]))


def _cell(cell: Mapping[str, Any], cells: Sequence[Mapping[str, Any]], section: Mapping[str, Any]) -> Json:
    labels = [about["label"] for about in section["strategies"]]
    others = [other for other in cells if other["task"] == cell["task"]]
    metrics, sets = ({other[key] for other in others} for key in ("metric", "data"))
    extra = [cell["metric"]] * (len(metrics) > 1) + [f"dev set {cell['data'][:8]}"] * (len(sets) > 1)
    top = max((row["mean"] for row in cell["rows"] if row["ranked"]), default=None) if cell["learned"] else None
    tuning = {choice["strategy"]: choice for choice in section["tuning"] if _is_in(choice, cell)}
    rows = [
        _row(row, labels) | _tuned(tuning.get(row["strategy"]), row) | {"best": row["ranked"] and row["mean"] == top}
        for row in cell["rows"]
    ]
    return {
        **_pick(cell, ("fraction", "size", "synthetic", "learned", "undertrained", "reach")),
        "key": _key(cell),
        "title": task_title(cell["task"]) + (f" ({', '.join(extra)})" if extra else ""),
        "metric": METRICS.get(cell["metric"], cell["metric"]),
        "rows": rows,
        "pairs": _pairs(cell["pairs"]),
    }


def _row(row: Mapping[str, Any], labels: list[str]) -> Json:
    kept = (
        "restarts",
        "expected",
        "complete",
        "short",
        "ranked",
        "mean",
        "mean_low",
        "mean_high",
        "std",
        "max",
        "tier",
    )
    more = (
        "failed",
        "failure_rate",
        "failure_low",
        "failure_high",
        "seconds",
        "relative_seconds",
        "peak_memory",
        "passes",
    )
    return {
        "strategy": labels.index(row["strategy"]),
        "same_as": None if row["same_as"] is None else labels.index(row["same_as"]),
        **_pick(row, (*kept, *more, "notes")),
        "floor": _is_floor(row),
        "comparison": row["comparison"] and _comparison(row["comparison"]),
        "trials": _trials(row["trials"]),
    }


def _comparison(found: Mapping[str, Any]) -> Json:
    return _pick(found, ("restarts", "units", "difference", "low", "high", "p", "p_holm", "too_few", "significant"))


def _pairs(pairs: Mapping[str, list[Any]]) -> Json:
    """Return the columns as they are printed; what all pairs share stands once."""
    columns = {key: [_shown(key, value) for value in values] for key, values in pairs.items()}
    columns["significant"] = [_significant(p) for p in pairs["p_holm"]]
    return {"n": len(pairs["a"]), **{key: _once(values) for key, values in columns.items()}}


def _trials(trials: Sequence[Mapping[str, Any]]) -> Json:
    kept = ("id", "restart", "split_seed", "status", "reason", "score", "floor", "failed_by", "deviation", "seconds")
    return pack([_pick(trial, kept) for trial in trials])


def _match(match: Mapping[str, Any]) -> Json:
    kept = ("strategy", "restarts", "mean", "max", "published_mean", "published_max", "gap", "gap_low", "gap_high")
    found = match["direction"]
    direction = found and _pick(found, ("published", "ours", "low", "high", "verdict", "significant"))
    return {"key": _key(match), **_pick(match, ("fraction", *kept)), "direction": direction}


# --- tuning -----------------------------------------------------------------------------------------------------------


def _is_in(choice: Mapping[str, Any], cell: Mapping[str, Any]) -> bool:
    return all(choice[key] == cell[key] for key in ("task", "metric", "data", "fraction", "size"))


def _tuned(choice: Mapping[str, Any] | None, row: Mapping[str, Any]) -> Json:
    """Return what a row says of the tuning of its family: nothing where it was not tuned."""
    if choice is None:
        return {}
    found = choice["chosen"]
    shown = zip(found, choice["configurations"], strict=True)
    numeric = [key for key, value in (found[0] if found else {}).items() if _is_axis(key, value)]
    axes = {} if _is_floor(row) else {key: [one[key] for one in found] for key in numeric}
    strategies = [one["strategy"] for one in found if one["strategy"] != choice["strategy"]]
    said = [*(f"{key} {spread(values)}" for key, values in axes.items()), *strengths(strategies)]
    tuning = {
        "curve": [_points(value) for value in choice["curve"]],
        "oracle": _points(choice["oracle"][-1]) if found else None,
        "agreement": None if choice["agreement"] is None else float(fixed(choice["agreement"], 2)),
        "found_best": None if choice["found_best"] is None else share(choice["found_best"]),
        "axes": axes,
        "chosen": "; ".join(said) or "\N{EN DASH}",
        "configurations": pack([line for pair in shown for line in _configurations(*pair)]),
    }
    return {"default": _points(choice["default"]), "tuning": tuning}


def _is_axis(key: str, value: Any) -> bool:
    return key not in ("restart", "draw", "held_out", "score") and isinstance(value, (int, float))


def _is_floor(row: Mapping[str, Any]) -> bool:
    return row["full"] and not row["ranked"] and row["same_as"] is None


def _points(value: float | None) -> float | None:
    return None if value is None else points(value)


def _configurations(one: Mapping[str, Any], scores: Iterable[tuple[float | None, float]]) -> Iterator[Json]:
    """Yield the configurations of a restart that have a holdout score, and whether they were chosen."""
    for draw, (held, score) in enumerate(scores):
        if held is not None:
            place = {"restart": one["restart"], "draw": draw, "chosen": draw == one["draw"]}
            yield place | {"held": points(held), "score": points(score)}


def spread(values: Sequence[float]) -> str:
    """Return the median of what restarts chose, with lowest and highest where they differ."""
    low, middle, high = (f"{value:.3g}" for value in (min(values), median(values), max(values)))
    return middle if low == high else f"{middle} [{low}, {high}]"


def strengths(strategies: Sequence[str]) -> list[str]:
    """Return the strategies that restarts chose as one, its numbers as `spread`; else each with its count."""
    forms = {_NUMBER.sub("{}", text) for text in strategies}
    if len(forms) != 1:
        return [f"{text} ({count} x)" for text, count in Counter(strategies).most_common()]
    columns = zip(*([float(number) for number in _NUMBER.findall(text)] for text in strategies), strict=True)
    return [forms.pop().format(*map(spread, columns))]
