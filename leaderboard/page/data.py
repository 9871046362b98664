"""What the page shows of `leaderboard.json`: less than all, usual names of tasks and metrics, what tuning chose."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median_low
from typing import Any

from leaderboard.records.methods import Methods
from leaderboard.render.json import plain

TASKS = {"cola": "CoLA", "sst2": "SST-2", "mrpc": "MRPC", "stsb": "STS-B", "qqp": "QQP"}
TASKS |= {"mnli": "MNLI", "qnli": "QNLI", "rte": "RTE", "wnli": "WNLI"}
METRICS = {"matthews": "Matthews correlation", "f1": "F1", "macro_f1": "macro F1", "spearman": "Spearman correlation"}
METRICS |= {"pearson": "Pearson correlation", "combined": "mean of the task's metrics"}
NOT_SHOWN = ["curves", "split", "failed_plain", "imputed", "collapsed", "expected_max", "iqm", "mean_not_failed"]
NOT_SHOWN += ["smallest_p", "failures_p", "failures_p_holm", "fit", "fitted", "ece", "brier", "nll"]
PLACE = ("task", "metric", "data", "fraction", "size")
NO_AXES = ("restart", "draw", "held_out", "score")

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")

Json = dict[str, Any]


def page_data(document: Mapping[str, Any], methods: Methods, records: str | None) -> Json:
    """Return what the scripts read; arguments as those of `leaderboard.page.html`."""
    shown: Json = plain(dict(document), NOT_SHOWN)
    for section in shown["sections"]:
        choices = {(*_place(choice), choice["strategy"]): choice for choice in section.pop("tuning")}
        for cell in section["cells"]:
            cell |= {"title": _title(cell, section["cells"]), "measure": METRICS.get(cell["metric"], cell["metric"])}
            for row in cell["rows"]:
                choice = choices.get((*_place(cell), row["strategy"]))
                row["tuning"] = choice and _tuning(choice)
        titles, amounts = (dict.fromkeys(cell[key] for cell in section["cells"]) for key in ("title", "amount"))
        section["facts"]["tasks"] = f"{', '.join(titles)} at {', '.join(amounts)}"
    return shown | {"methods": methods, "records": records}


def _place(item: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(item[key] for key in PLACE)


def _title(cell: Mapping[str, Any], cells: Sequence[Mapping[str, Any]]) -> str:
    """Return a task's usual name, with the metric or dev set where the section holds several of one name."""
    others = [other for other in cells if other["task"] == cell["task"]]
    metrics, sets = ({other[key] for other in others} for key in ("metric", "data"))
    extra = [cell["metric"]] * (len(metrics) > 1) + [f"dev set {cell['data'][:8]}"] * (len(sets) > 1)
    return task_title(cell["task"]) + (f" ({', '.join(extra)})" if extra else "")


def task_title(task: str) -> str:
    """Return a task's name as people write it; a synthetic one says so."""
    kind, _, name = task.rpartition("pocket-")
    return f"pocket-{TASKS.get(name, name)} (synthetic)" if kind == "" and task != name else TASKS.get(task, task)


def _tuning(choice: Json) -> Json:
    """Return how a family was tuned, with the names of the tuned numbers and a text of what was chosen."""
    found = choice["chosen"]
    axes = [key for key, value in (found[0] if found else {}).items() if _is_axis(key, value)]
    strategies = [one["strategy"] for one in found if one["strategy"] != choice["strategy"]]
    said = [*(f"{key} {spread([one[key] for one in found])}" for key in axes), *strengths(strategies)]
    return choice | {"axes": axes, "said": "; ".join(said) or "\N{EN DASH}"}


def _is_axis(key: str, value: Any) -> bool:
    return key not in NO_AXES and isinstance(value, (int, float))


def spread(values: Sequence[float]) -> str:
    """Return the middle value that restarts chose, of an even number the lower, with the range where they differ."""
    low, middle, high = (f"{value:.3g}" for value in (min(values), median_low(values), max(values)))
    return middle if low == high else f"{middle} [{low}, {high}]"


def strengths(strategies: Sequence[str]) -> list[str]:
    """Return the strategies that restarts chose as one, its numbers as `spread`; else each with its count."""
    forms = {_NUMBER.sub("{}", text) for text in strategies}
    if len(forms) != 1:
        return [f"{text} ({count} x)" for text, count in Counter(strategies).most_common()]
    columns = zip(*([float(number) for number in _NUMBER.findall(text)] for text in strategies), strict=True)
    return [forms.pop().format(*map(spread, columns))]
