"""What the page shows of `leaderboard.json`: less than all, and what tuning chose."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median_low
from typing import Any

from leaderboard.records.methods import Methods
from leaderboard.render.json import plain
from leaderboard.tables.cells import PLACE

NOT_SHOWN = {"curves", "split", "failed_plain", "imputed", "collapsed", "expected_max", "iqm", "mean_not_failed"}
NOT_SHOWN |= {"seeds", "smallest_p", "failures_p", "failures_p_holm", "fit", "fitted", "ece", "brier", "nll"}
NOT_FACTS = ("protocol", "selection", "metric", "precision", "differs in")  # in the heading, and at the page's end
GROUPS = (
    "ranked",
    "planned with fewer restarts: shown, not ranked; compared on the restarts of both",
    "floors that fine-tuning has to beat: shown, not ranked",
    "same predictions as another strategy, and ranked as it",
    "restarts missing: shown, neither ranked nor compared",
)
NO_AXES = ("restart", "draw", "held_out", "score")

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")

Json = dict[str, Any]


def page_data(document: Mapping[str, Any], methods: Methods, records: str | None) -> Json:
    """Return what the scripts read; arguments as those of `leaderboard.page.html`."""
    shown: Json = plain(dict(document), NOT_SHOWN)
    for section in shown["sections"]:
        section["facts"] = {name: text for name, text in section["facts"].items() if name not in NOT_FACTS}
        choices = {(*_place(choice), choice["strategy"]): choice for choice in section.pop("tuning")}
        for cell in section["cells"]:
            for row in cell["rows"]:
                choice = choices.get((*_place(cell), row["strategy"]))
                row["tuning"] = choice and _tuning(choice)
                row["group"] = _group(row)
    return shown | {"methods": methods, "records": records, "groups": GROUPS}


def _group(row: Mapping[str, Any]) -> int:
    """Return which of `GROUPS` a row belongs to."""
    if row["ranked"] or row["same_as"] is not None:
        return 0 if row["ranked"] else 3
    if not row["complete"]:
        return 4
    return 1 if row["short"] else 2


def _place(item: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(item[key] for key in PLACE)


def _tuning(choice: Json) -> Json:
    """Return how a family was tuned, with the names of the tuned numbers and a text of what was chosen."""
    found = choice["chosen"]
    first = found[0] if found else {}
    axes = [key for key, value in first.items() if key not in NO_AXES and isinstance(value, (int, float))]
    strategies = [one["strategy"] for one in found if one["strategy"] != choice["strategy"]]
    said = [*(f"{key} {spread([one[key] for one in found])}" for key in axes), *strengths(strategies)]
    return choice | {"axes": axes, "said": "; ".join(said) or "\N{EN DASH}"}


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
