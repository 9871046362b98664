"""From trials to sections: what belongs together, under which header, against which baseline.

Trials are put into one *section* only if model, weights and every field of the protocol agree. A section has one *cell*
per task (its metric and dev set) and fraction, and a ranking over its cells. Trials of tuned families are arranged by
the rule that chooses between configurations: a section of tuned rows carries those of the other rules.
"""

import functools
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fisher.common.errors import InputError, hint
from fisher.common.text import escape, shorten
from leaderboard.records.identity import canonical
from leaderboard.stats.choosing import RULES
from leaderboard.tables.cells import PLACE, Cell, make_cell
from leaderboard.tables.choices import Choice, choice_of, choose
from leaderboard.tables.ensembles import seeds
from leaderboard.tables.names import is_synthetic, tasks_title
from leaderboard.tables.ranking import RankedStrategy, Ranking, rank
from leaderboard.tables.rows import Row
from leaderboard.tables.trials import VERSIONS, TrialRow, grouped

DEVLIN = tuple(f"dropout(0.1) + wdecay(0{decay})" for decay in (", 0.01", ", 0.01, form=coupled", "", ", form=coupled"))
BASELINES = (DEVLIN[0], "none")

Key = tuple[str, str, str, str]  # model, protocol, weights, rule


@dataclass(frozen=True)
class Section:
    """Everything that may be compared: one model, its weights, one protocol, one selection rule, one precision.

    `differs` names the protocol's fields (and weights) in which the sections of one leaderboard differ, `versions` the
    software and devices where not all trials agree, each with its value here. `splits` counts those of a cell, at most.
    rule: how configurations of its rows are chosen, empty where nothing is tuned; budget: from how many; others: the
    sections of the same trials by the other rules.
    """

    title: str
    model: str
    weights: str
    protocol: Mapping[str, Any]
    differs: Mapping[str, str]
    versions: Mapping[str, str]
    environment: Mapping[str, str]
    baseline: str | None
    splits: int
    cells: tuple[Cell, ...]
    ranking: Ranking
    rule: str = ""
    budget: int = 0
    others: Mapping[str, "Section"] = field(default_factory=dict)

    @property
    def heading(self) -> str:
        """The title with the tasks."""
        return f"{tasks_title(cell.task for cell in self.cells)}: {self.title}"

    @functools.cached_property
    def choices(self) -> tuple[tuple[Cell, Choice], ...]:
        """How each family of each cell was tuned."""
        return tuple(
            (cell, choice_of(row, self.by("default", cell, row), self.by("ensemble", cell, row)))
            for cell in (self.cells if self.budget else ())
            for row in cell.rows
        )

    @property
    def untuned(self) -> dict[str, RankedStrategy]:
        """The families over all cells without tuning; empty where nothing is tuned."""
        entries = self.others["default"].ranking.strategies if "default" in self.others else ()
        return {entry.strategy: entry for entry in entries}

    def by(self, rule: str, cell: Cell, row: Row) -> Row | None:
        """The row of the same family and cell by another rule, None where there is none."""
        others = self.others[rule].cells if rule in self.others else ()
        return next((other.row(row.strategy) for other in others if other.key == cell.key), None)

    def mean_by(self, rule: str, cell: Cell, row: Row) -> float:
        """The mean score of that row, NaN where there is none."""
        other = self.by(rule, cell, row)
        return other.mean if other else math.nan


def field_text(value: Any) -> str:
    """Return a protocol field's value as it is shown."""
    return shorten(value if isinstance(value, str) else canonical(value), 60)


def _differing(parts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the keys whose values are not the same in all mappings."""
    keys = sorted({key for part in parts for key in part})
    return [key for key in keys if len({canonical(part[key]) if key in part else "" for part in parts}) > 1]


def _identity(key: tuple[str, str, str]) -> dict[str, Any]:
    model, protocol, weights = key
    return json.loads(protocol) | {"model": model, "weights": weights[:12]}


def _titles(keys: list[Key]) -> list[str]:
    """Return `model, protocol` for each section, and the fields that tell it from others of that name."""
    parts = [_identity(key[:3]) for key in keys]
    titles = []
    for part, key in zip(parts, keys, strict=True):
        namesakes = [other for other in parts if (other["model"], other["name"]) == (part["model"], part["name"])]
        fields = [f"{key} {field_text(part.get(key, 'not set'))}" for key in _differing(namesakes)]
        tuned = ["tuned"] if key[3] == "holdout" else []
        titles.append(", ".join([part["model"], f"protocol {part['name']}", *tuned, *fields]))
    return titles


def choose_baseline(strategies: Iterable[str], wanted: str | None) -> str | None:
    """Return the strategy that costs and differences refer to: the wanted one, else Devlin's, else `none`."""
    present = {_squeezed(strategy): strategy for strategy in strategies}
    return next(
        (present[_squeezed(name)] for name in ([wanted] if wanted else BASELINES) if _squeezed(name) in present), None
    )


def _reference(strategies: set[str], baseline: str | None) -> str | None:
    """Return what strategies are compared with besides the baseline: Devlin's recipe or a family of it, else `none`."""
    return next((name for name in (*DEVLIN, "none") if name in strategies - {baseline}), None)


def _squeezed(strategy: str) -> str:
    return "".join(strategy.split()).lower()


def _check_baseline(strategies: Iterable[str], wanted: str | None) -> None:
    present = sorted(set(strategies))
    if wanted is not None and choose_baseline(present, wanted) is None:
        near, shown = escape(hint(wanted, present, cutoff=0.5)), "; ".join(escape(name) for name in present[:20])
        raise InputError(
            f"the baseline must be a strategy of the records, got '{escape(wanted)}'; {near}available: {shown}"
        )


def sections(trials: list[TrialRow], *, baseline: str | None = None) -> tuple[Section, ...]:
    """Arrange trials into sections that never mix models, weights or protocols, each with its cells and ranking.

    Raises InputError if `baseline` is no strategy of the trials.
    """
    _check_baseline((trial.strategy for trial in trials), baseline)
    trials = choose(trials)
    groups = dict(grouped(trials, "model", "protocol", "weights", "rule"))
    keys = sorted((key for key in groups if _leads(key, groups)), key=lambda key: _order(key[0], groups[key]))
    fields = _differing([_identity(key[:3]) for key in keys])
    versions = [name for name in VERSIONS if len(_counts(trials, name)) > 1]
    return tuple(
        replace(
            _section(key[:3], groups[key], title, fields, versions, baseline),
            others={
                other: _section(key[:3], some, title, fields, versions, baseline)
                for other, some in _others(key, groups).items()
            },
        )
        for key, title in zip(keys, _titles(keys), strict=True)
    )


def _order(model: str, trials: list[TrialRow]) -> tuple[bool, str, int]:
    """Sort real tasks before synthetic ones, then by model; of one model the protocol with most trials comes first."""
    return all(is_synthetic(trial.task) for trial in trials), model, -len(trials)


def _leads(key: Key, groups: Mapping[Key, Any]) -> bool:
    """Whether trials have a section of their own: without tuning, by holdout, or where nothing is chosen by holdout."""
    return key[3] in ("", "holdout") or (key[3] == "default" and (*key[:3], "holdout") not in groups)


def _others(key: Key, groups: Mapping[Key, list[TrialRow]]) -> dict[str, list[TrialRow]]:
    """Return the trials of the same strategies by the other rules that there are."""
    others = [rule for rule in RULES if key[3] == "holdout" != rule]
    found = {rule: groups.get((*key[:3], rule), []) for rule in others} | {"seeds": seeds(groups[key])}
    return {rule: trials for rule, trials in found.items() if trials}


def _section(
    key: tuple[str, str, str],
    trials: list[TrialRow],
    title: str,
    fields: list[str],
    versions: list[str],
    wanted: str | None,
) -> Section:
    identity, (model, protocol, weights) = _identity(key), key
    baseline = choose_baseline({trial.strategy for trial in trials}, wanted)
    cells = tuple(make_cell(place, group, baseline) for place, group in grouped(trials, *PLACE))
    return Section(
        title=title,
        model=model,
        weights=weights,
        protocol=json.loads(protocol),
        differs={name: field_text(identity.get(name, "not set")) for name in fields if name not in ("model", "name")},
        versions={name: _tally(_counts(trials, name)) for name in versions},
        environment={name: _tally(_counts(trials, name)) for name in (*VERSIONS, "commit")},
        baseline=baseline,
        splits=max(len({trial.split for row in cell.rows for trial in row.trials}) for cell in cells),
        cells=cells,
        ranking=rank(cells, baseline, _reference({trial.strategy for trial in trials}, baseline)),
        rule=trials[0].rule,
        budget=max(trial.budget for trial in trials),
    )


def _counts(trials: Iterable[TrialRow], name: str) -> Counter[str]:
    """Count the trials with a result per version of one of `VERSIONS`."""
    return Counter(trial.versions[name] for trial in trials if trial.has_result)


def _tally(counts: Counter[str]) -> str:
    if len(counts) == 1:
        return next(iter(counts))
    told = (f"{value} ({count} of {counts.total()} trials)" for value, count in sorted(counts.items()))
    return ", ".join(told) or "no result"
