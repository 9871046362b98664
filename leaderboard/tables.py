"""From records to tables: what belongs together, what is complete, and what may be ranked.

Trials are put into one *section* only if model, weights and every field of the protocol agree. A section has one *cell*
per task (its metric and dev set) and fraction; a cell has one row per strategy. Strategies are compared on the same
units: a unit is one restart with its split, dev set and seeds. A cell expects every unit that any of its strategies
has, and restarts 0..n-1 without gaps; a row that lacks one is shown, marked and not ranked.
"""

import difflib
import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from leaderboard import statistics
from leaderboard.errors import InputError
from leaderboard.records import ERRORS, RESULTS, RecordError, canonical
from leaderboard.text import escape, percent, ranges, shorten

BASELINES = ("dropout(0.1) + wdecay(0, 0.01)", "none")
VERSIONS = ("regbench", "torch", "transformers", "python", "device")
COST_COLUMNS = ("seconds", "relative_seconds", "peak_memory")

# What else stands in a config is about the strategy itself: versions of its methods, the recipe of its Fisher scores.
_PLACED = {"task", "strategy", "fraction", "restart", "split_seed", "seeds", "protocol", "model", "weights"}
_PLACED |= {"split_hash", "dev_hash", "metric"}
Line = dict[str, Any]
_OUTCOME = ("status", "score", "failed", "failed_plain", "imputed")


def is_synthetic(task: str) -> bool:
    """Return whether a task is one of the embedded ones, which must never be taken for GLUE."""
    return task.startswith("pocket-")


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:8]


# --- trials -----------------------------------------------------------------------------------------------------------


def trials(records: Iterable[Mapping[str, Any]]) -> tuple[pd.DataFrame, list[RecordError]]:
    """Return one line per trial, in an order that depends on the trials alone, and the trials whose records disagree.

    Of several records of one trial (several folders given) one with a result is used; if their results differ, none is.
    """
    by_id: dict[str, list[Line]] = {}
    for record in records:
        by_id.setdefault(record["id"], []).append(_line(record))
    lines, problems = [], []
    for name, candidates in sorted(by_id.items()):
        with_result = [line for line in candidates if line["status"] in RESULTS]
        if len({tuple(line[key] for key in _OUTCOME) for line in with_result}) > 1:
            problems.append(
                RecordError(f"{name}: {len(with_result)} records of this trial disagree; none of them is used")
            )
            continue
        lines.append(min(with_result or candidates, key=lambda line: (line["status"] != "skipped", line["checksum"])))
    frame = pd.DataFrame(lines)
    return (frame.assign(strategy=_labels(frame)) if lines else frame), problems


def _line(record: Mapping[str, Any]) -> Line:
    config, result = record["config"], record["result"]
    unit = [config[key] for key in ("restart", "split_seed", "split_hash", "dev_hash")]
    return {
        "id": record["id"],
        "checksum": record["checksum"],
        "model": config["model"],
        "weights": config["weights"],
        "protocol": canonical(config["protocol"]),
        "task": config["task"],
        "metric": config["metric"],
        "data": "pooled" if config["protocol"]["data"] == "pooled" else config["dev_hash"],
        "fraction": float(config["fraction"]),
        "strategy": config["strategy"],
        "variant": _short(canonical({key: value for key, value in config.items() if key not in _PLACED})),
        "restart": config["restart"],
        "split_seed": config["split_seed"],
        "unit": repr([*unit, sorted(config["seeds"].items())]),
        "status": result["status"],
        "reason": shorten(result["reason"] or "", 160),
        **_numbers(result),
        **{key: str(record["environment"].get(key, "unknown")) for key in VERSIONS},
    }


def _numbers(result: Mapping[str, Any]) -> dict[str, Any]:
    if result["status"] not in RESULTS:
        nothing = dict.fromkeys(("score", "seconds", "peak_memory"), math.nan)
        return {**nothing, **dict.fromkeys(("failed", "failed_plain", "imputed"), False)}
    memory = result["peak_memory"]
    return {
        "score": float(result["score"]),
        "failed": result["failed"],
        "failed_plain": result["failed_plain"],
        "imputed": result["imputed"],
        "seconds": float(result["seconds"]["total"]),
        "peak_memory": math.nan if memory is None else float(memory),
    }


def _labels(frame: pd.DataFrame) -> list[str]:
    """Name a strategy's variants apart where one table would hold several (two Fisher recipes, two method versions)."""
    table = ["model", "weights", "protocol", "task", "metric", "data", "strategy"]
    several = frame.groupby(table)["variant"].transform("nunique") > 1
    section = ["model", "weights", "protocol", "strategy"]
    marked = several.groupby([frame[key] for key in section]).transform("any")
    lines = zip(frame["strategy"], frame["variant"], marked, strict=True)
    return [f"{strategy} (variant {variant})" if mark else strategy for strategy, variant, mark in lines]


# --- cells ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One strategy in one cell; scores are fractions, undefined numbers are NaN.

    expected = restarts (with a result) + missing (no record) + errors + skipped.
    """

    strategy: str
    restarts: int
    expected: int
    missing: int
    errors: int
    skipped: int
    mean: float
    std: float
    max: float
    failed: int
    failed_plain: int
    failure_low: float
    failure_high: float
    mean_not_failed: float
    imputed: int
    seconds: float
    relative_seconds: float
    peak_memory: float
    notes: tuple[str, ...] = field(default=())

    @property
    def complete(self) -> bool:
        """Whether the row has a result for every expected restart, so that it may be ranked."""
        return self.restarts == self.expected > 0

    @property
    def failure_rate(self) -> float:
        """Failed runs as a share of the restarts with a result."""
        return self.failed / self.restarts if self.restarts else math.nan


@dataclass(frozen=True)
class Cell:
    """One task (with its metric and dev set) at one fraction: rows by falling mean, those not ranked last."""

    task: str
    metric: str
    data: str
    fraction: float
    rows: tuple[Row, ...]

    @property
    def ranked(self) -> tuple[Row, ...]:
        """The rows that may be compared."""
        return tuple(row for row in self.rows if row.complete)

    def row(self, strategy: str | None) -> Row | None:
        """Return the row of a strategy, None if the cell has none."""
        return next((row for row in self.rows if row.strategy == strategy), None)


def _unit_names(lines: Iterable[Line]) -> dict[str, str]:
    """Name each unit by its restart, and by more where one restart number stands for several units."""
    fields = {line["unit"]: (line["restart"], line["split_seed"]) for line in lines}
    restarts, pairs = Counter(restart for restart, _ in fields.values()), Counter(fields.values())
    names = {}
    for unit, (restart, split_seed) in fields.items():
        name = str(restart) if restarts[restart] == 1 else f"{restart} with split seed {split_seed}"
        names[unit] = name if pairs[restart, split_seed] == 1 else f"{name} (data or seeds {_short(unit)})"
    gaps = set(range(max(restarts))) - restarts.keys()
    return names | {f"gap {restart}": str(restart) for restart in gaps}


def _join(names: Iterable[str]) -> str:
    listed = list(names)
    numbers = [int(name) for name in listed if name.isdecimal()]
    others = sorted(name for name in listed if not name.isdecimal())
    text = "; ".join(([ranges(numbers)] if numbers else []) + others)
    return f"restart{'s' if len(listed) > 1 else ''} {text}"


def _notes(lines: list[Line], units: dict[str, str]) -> tuple[str, ...]:
    """Say in one sentence each what is missing, skipped, ended in an error or was imputed."""
    groups: dict[tuple[int, str], list[str]] = {}
    for unit in units.keys() - {line["unit"] for line in lines}:
        groups.setdefault((0, "no record: not ranked"), []).append(units[unit])
    for line in lines:
        if line["status"] not in RESULTS:
            text = f"{line['status']}{': ' if line['reason'] else ''}{line['reason']}"
            groups.setdefault((1, text), []).append(units[line["unit"]])
        elif line["imputed"]:
            text = "training diverged, the floor counts as score (imputed)"
            groups.setdefault((2, text), []).append(units[line["unit"]])
    return tuple(f"{_join(where)}: {text}" for (_, text), where in sorted(groups.items()))


def _row(strategy: str, lines: list[Line], units: dict[str, str]) -> Row:
    done = [line for line in lines if line["status"] in RESULTS]
    scores, failures = [line["score"] for line in done], [line["failed"] for line in done]
    low, high = statistics.wilson(sum(failures), len(done))
    return Row(
        strategy=strategy,
        restarts=len(done),
        expected=len(units),
        missing=len(units) - len(lines),
        errors=sum(line["status"] in ERRORS for line in lines),
        skipped=sum(line["status"] == "skipped" for line in lines),
        mean=statistics.mean(scores),
        std=statistics.std(scores),
        max=statistics.maximum(scores),
        failed=sum(failures),
        failed_plain=sum(line["failed_plain"] for line in done),
        failure_low=low,
        failure_high=high,
        mean_not_failed=statistics.mean_not_failed(scores, failures),
        imputed=sum(line["imputed"] for line in done),
        seconds=statistics.mean([line["seconds"] for line in done]),
        relative_seconds=math.nan,
        peak_memory=statistics.maximum([line["peak_memory"] for line in done]),
        notes=_notes(lines, units),
    )


def _cell(key: tuple[str, str, str, float], lines: list[Line], baseline: str | None) -> Cell:
    units = _unit_names(lines)
    rows = [_row(strategy, group, units) for strategy, group in _grouped(lines, "strategy")]
    base = next((row.seconds for row in rows if row.strategy == baseline), math.nan)
    if base > 0:
        rows = [replace(row, relative_seconds=row.seconds / base) for row in rows]
    rows.sort(key=lambda row: (not row.complete, -row.mean if row.restarts else math.inf, row.strategy))
    task, metric, data, fraction = key
    return Cell(task, metric, data, fraction, tuple(rows))


def _grouped(lines: list[Line], *keys: str) -> list[tuple[Any, list[Line]]]:
    """Return (value or values of `keys`, lines) in sorted order; the lines keep theirs."""
    groups: dict[Any, list[Line]] = {}
    for line in lines:
        groups.setdefault(tuple(line[key] for key in keys) if len(keys) > 1 else line[keys[0]], []).append(line)
    return sorted(groups.items())


# --- ranking ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A strategy over all cells of a section.

    `difference` is the mean over cells of (its mean - the baseline's), a fraction; `relative_seconds` the ratio of the
    sums over cells of seconds per trial. Both are NaN without a ranked baseline.
    """

    place: int
    strategy: str
    mean_rank: float
    wins: int
    difference: float
    failed: int
    restarts: int
    relative_seconds: float


@dataclass(frozen=True)
class Ranking:
    """Mean ranks of the strategies that are complete in all cells, and why the others are not ranked."""

    places: tuple[Place, ...]
    unranked: tuple[tuple[str, str], ...]


def _why_unranked(strategy: str, cells: tuple[Cell, ...]) -> str | None:
    reasons = []
    for cell in cells:
        row = cell.row(strategy)
        if row is None or not row.complete:
            got = "no trial" if row is None else f"{row.restarts} of {row.expected} restarts"
            reasons.append(f"{got} at {cell.task} {percent(cell.fraction)}")
    more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return f"{reasons[0]}{more}" if reasons else None


def rank(cells: tuple[Cell, ...], baseline: str | None) -> Ranking:
    """Rank strategies by their mean rank over cells: in each, 1 for the best mean, ties share the average rank."""
    reasons = {row.strategy: _why_unranked(row.strategy, cells) for cell in cells for row in cell.rows}
    unranked = tuple(sorted((name, why) for name, why in reasons.items() if why is not None))
    names = sorted(name for name, why in reasons.items() if why is None)
    if not names:
        return Ranking((), unranked)
    table = {name: [row for cell in cells for row in cell.rows if row.strategy == name] for name in names}
    ranks = statistics.mean_ranks([[table[name][i].mean for name in names] for i in range(len(cells))])
    best = [max(table[name][i].mean for name in names) for i in range(len(cells))]
    base = table.get(baseline or "", [])
    entries = [
        Place(place, name, mean_rank, **_over_cells(table[name], base, best))
        for place, name, mean_rank in zip(statistics.places(ranks), names, ranks, strict=True)
    ]
    return Ranking(tuple(sorted(entries, key=lambda entry: (entry.place, entry.strategy))), unranked)


def _over_cells(rows: list[Row], base: list[Row], best: list[float]) -> dict[str, Any]:
    pairs = list(zip(rows, base, strict=bool(base)))
    cost = sum(other.seconds for _, other in pairs)
    return {
        "wins": sum(row.mean == top for row, top in zip(rows, best, strict=True)),
        "difference": statistics.mean([row.mean - other.mean for row, other in pairs]),
        "failed": sum(row.failed for row in rows),
        "restarts": sum(row.restarts for row in rows),
        "relative_seconds": sum(row.seconds for row in rows) / cost if cost > 0 else math.nan,
    }


# --- sections ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Section:
    """Everything that may be compared: one model, its weights, one protocol, one selection rule, one precision.

    `differs` names the protocol's fields (and weights) in which the sections of one leaderboard differ, `versions` the
    software and devices where not all trials agree, each with its value here.
    """

    title: str
    model: str
    weights: str
    protocol: Mapping[str, Any]
    differs: Mapping[str, str]
    versions: Mapping[str, str]
    baseline: str | None
    cells: tuple[Cell, ...]
    ranking: Ranking


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


def _titles(keys: list[tuple[str, str, str]]) -> list[str]:
    """Return `model, protocol` for each section, and the fields that tell it from others of that name."""
    parts = [_identity(key) for key in keys]
    titles = []
    for part in parts:
        namesakes = [other for other in parts if (other["model"], other["name"]) == (part["model"], part["name"])]
        fields = [f"{key} {field_text(part.get(key, 'not set'))}" for key in _differing(namesakes)]
        titles.append(", ".join([part["model"], f"protocol {part['name']}", *fields]))
    return titles


def choose_baseline(strategies: Iterable[str], wanted: str | None) -> str | None:
    """Return the strategy that costs and differences refer to: the wanted one, else Devlin's, else `none`."""
    present = {_squeezed(strategy): strategy for strategy in strategies}
    return next(
        (present[_squeezed(name)] for name in ([wanted] if wanted else BASELINES) if _squeezed(name) in present), None
    )


def _squeezed(strategy: str) -> str:
    return "".join(strategy.split()).lower()


def _check_baseline(strategies: Iterable[str], wanted: str | None) -> None:
    present = sorted(set(strategies))
    if wanted is None or choose_baseline(present, wanted) is not None:
        return
    close = difflib.get_close_matches(wanted, present, n=1, cutoff=0.5)
    hint = f"did you mean '{escape(close[0])}'? " if close else ""
    shown = "; ".join(escape(name) for name in present[:20])
    raise InputError(
        f"the baseline must be a strategy of the records, got '{escape(wanted)}'; {hint}Available: {shown}"
    )


def sections(frame: pd.DataFrame, *, baseline: str | None = None) -> tuple[Section, ...]:
    """Arrange trials into sections that never mix models, weights or protocols, each with its cells and ranking.

    Raises InputError if `baseline` is no strategy of the trials.
    """
    _check_baseline(frame["strategy"], baseline)
    lines = [{str(key): value for key, value in line.items()} for line in frame.to_dict("records")]
    groups = _grouped(lines, "model", "protocol", "weights")
    groups.sort(key=lambda group: (group[0][0], -len(group[1])))  # of one model the protocol with most trials first
    keys = [key for key, _ in groups]
    fields = _differing([_identity(key) for key in keys])
    versions = [key for key in VERSIONS if len({line[key] for line in lines if line["status"] in RESULTS}) > 1]
    return tuple(
        _section(key, group, title, fields, versions, baseline)
        for (key, group), title in zip(groups, _titles(keys), strict=True)
    )


def _section(
    key: tuple[str, str, str], lines: list[Line], title: str, fields: list[str], versions: list[str], wanted: str | None
) -> Section:
    identity, (model, protocol, weights) = _identity(key), key
    baseline = choose_baseline({line["strategy"] for line in lines}, wanted)
    places = ("task", "metric", "data", "fraction")
    cells = tuple(_cell(place, group, baseline) for place, group in _grouped(lines, *places))
    return Section(
        title=title,
        model=model,
        weights=weights,
        protocol=json.loads(protocol),
        differs={name: field_text(identity.get(name, "not set")) for name in fields if name not in ("model", "name")},
        versions={name: _tally(lines, name) for name in versions},
        baseline=baseline,
        cells=cells,
        ranking=rank(cells, baseline),
    )


def _tally(lines: list[Line], key: str) -> str:
    counts = Counter(line[key] for line in lines if line["status"] in RESULTS)
    if len(counts) == 1:
        return next(iter(counts))
    return (
        ", ".join(f"{value} ({count} of {counts.total()} trials)" for value, count in sorted(counts.items()))
        or "no result"
    )


# --- frame ------------------------------------------------------------------------------------------------------------


def to_frame(parts: Iterable[Section], *, without_cost: bool = False) -> pd.DataFrame:
    """Return one line per model, protocol, task, fraction and strategy: the content of `leaderboard.csv`.

    Scores are fractions, times seconds, `peak_memory` bytes.
    """
    lines = [_csv_line(section, cell, row) for section in parts for cell in section.cells for row in cell.rows]
    frame = pd.DataFrame(lines)
    return frame.drop(columns=list(COST_COLUMNS)) if without_cost else frame


def _csv_line(section: Section, cell: Cell, row: Row) -> dict[str, Any]:
    return {
        "model": escape(section.model),
        "task": escape(cell.task),
        "fraction": cell.fraction,
        "strategy": escape(row.strategy),
        **{key: getattr(row, key) for key in ("restarts", "mean", "std", "max", "failed", "failed_plain")},
        **{key: getattr(row, key) for key in ("failure_rate", "failure_low", "failure_high", "mean_not_failed")},
        **{key: getattr(row, key) for key in ("expected", "missing", "errors", "skipped", "imputed", "complete")},
        "metric": escape(cell.metric),
        "synthetic": is_synthetic(cell.task),
        "protocol": escape(str(section.protocol["name"])),
        "protocol_hash": _short(canonical(section.protocol)),
        "selection": escape(section.protocol["selection"]),
        "precision": escape(section.protocol["precision"]),
        "weights": escape(section.weights[:12]),
        "data": escape(cell.data[:12]),
        "baseline": escape(section.baseline or ""),
        **{key: getattr(row, key) for key in COST_COLUMNS},
    }
