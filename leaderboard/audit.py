"""The checks of `leaderboard.verify`: what is wrong between trials, one sentence each, next to what is within one."""

import json
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from leaderboard.record_audit import SOFTWARE, Finding, TrialSummary
from leaderboard.records.grouping import run_name
from leaderboard.records.plan import Plan, expected, place_of
from leaderboard.records.schema import ERRORS, RESULTS
from leaderboard.render.text import percent, ranges

CHECKS = ("duplicates", "scores", "seeds", "splits", "pairing", "completeness", "strategies", "versions")
PAIRED = {"head": "initial head", "batches": "order of batches", "examples": "number of predictions"}


def audit(trials: Sequence[TrialSummary], plan: Plan) -> Iterator[Finding]:
    """Yield what is wrong within the trials, between them, and between them and what was planned."""
    for item in trials:
        yield from item.own
    for check in (duplicates, seeds, splits, pairing, completeness, strategies, versions):
        yield from check(trials)
    yield from unrecorded(trials, plan)


def _groups(trials: Iterable[TrialSummary], key: Callable[[TrialSummary], Any]) -> dict[Any, list[TrialSummary]]:
    groups: dict[Any, list[TrialSummary]] = {}
    for item in trials:
        groups.setdefault(key(item), []).append(item)
    return groups


def _odd_ones(
    trials: Iterable[TrialSummary], key: Callable[[TrialSummary], Any], value: Callable[[TrialSummary], Any]
) -> Iterator[tuple[list[TrialSummary], list[str]]]:
    """Yield every group of trials in which some have another value than most, and the names of these."""
    for group in _groups(trials, key).values():
        counts = Counter(map(value, group))
        usual = max(counts, key=lambda key: (counts[key], str(key)))
        if len(counts) > 1:
            yield group, [item.name for item in group if value(item) != usual]


def duplicates(trials: Sequence[TrialSummary]) -> Iterator[Finding]:
    """Several records of one trial must agree."""
    for name, group in _groups(trials, lambda item: item.name).items():
        if len({item.outcome for item in group if item.status in RESULTS}) > 1:
            yield Finding("duplicates", f"{name}: {len(group)} records of this trial disagree")


def seeds(trials: Sequence[TrialSummary]) -> Iterator[Finding]:
    """Restart r trains on split r mod N."""
    for group in _groups(trials, lambda item: item.cell).values():
        count = 1 + max(item.config["split_seed"] for item in group)
        wrong = [item.name for item in group if item.config["split_seed"] != item.config["restart"] % count]
        if wrong:
            text = f"{group[0].where}: with {count} split seeds, restart r must train on split r mod {count}"
            yield Finding("seeds", f"{text}; {_some(wrong)} does not")


def splits(trials: Sequence[TrialSummary]) -> Iterator[Finding]:
    """A split and a dev set are those of the task, whoever trains on them."""
    yield from _same(trials, _train_place, "split_hash", "another split")
    yield from _same(trials, _train_place, "train_hash", "other training texts (or names none)")
    yield from _same(trials, _dev_place, "dev_hash", "another dev set")


def _dev_place(item: TrialSummary) -> tuple[Any, ...]:
    """The dev set is the task's own; pooled data are cut by the restart, resampled data by the split seed."""
    cut_by = {"pooled": "restart", "resampled": "split_seed"}.get(item.config["protocol"]["data"])
    return (item.config["task"], item.config[cut_by] if cut_by else None)


def _train_place(item: TrialSummary) -> tuple[Any, ...]:
    return (*_dev_place(item), item.config["split_seed"], item.cell[-1])


def _same(
    trials: Sequence[TrialSummary], key: Callable[[TrialSummary], Any], field: str, what: str
) -> Iterator[Finding]:
    for group, wrong in _odd_ones(trials, key, lambda item: item.config.get(field)):
        yield Finding("splits", f"{group[0].where}: {_some(wrong)} used {what} than the others there")


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} (and {len(names) - 1} more)"


def pairing(trials: Sequence[TrialSummary]) -> Iterator[Finding]:
    """Strategies of one restart start from one head, see one order of batches and predict the same dev set."""
    done = [item for item in trials if item.status in RESULTS]
    for field, what in PAIRED.items():
        known = [item for item in done if field != "examples" or item.examples]
        for group, wrong in _odd_ones(known, lambda item: item.start, operator.attrgetter(field)):
            text = f"restart {group[0].config['restart']}: {_some(wrong)} has another {what} than the others"
            yield Finding("pairing", f"{group[0].where}, {text}")
    yield from _equal_heads(done)


def _equal_heads(done: Sequence[TrialSummary]) -> Iterator[Finding]:
    """The head is drawn anew for every restart: no two restarts of a cell start from one."""
    for (*_, head), group in _groups(done, lambda item: (*item.cell, item.head)).items():
        restarts = sorted({item.config["restart"] for item in group})
        if head and len(restarts) > 1:
            text = f"{_restarts(restarts)} start from one head, which must be drawn anew for every restart"
            yield Finding("pairing", f"{group[0].where}: {text}")


def completeness(trials: Sequence[TrialSummary]) -> Iterator[Finding]:
    """Every strategy of a cell has a result for restarts 0..n-1, n as planned, else as many as any strategy has."""
    for group in _groups(trials, lambda item: item.cell).values():
        numbers = {item.config["restart"] for item in group}
        gaps = sorted(set(range(max(numbers) + 1)) - numbers)
        if gaps:
            yield Finding("completeness", f"{group[0].where}: no strategy has a record of {_restarts(gaps)}")
        for strategy, own in sorted(_groups(group, lambda item: run_name(item.config)).items()):
            for text, problem in _lacking(own, group):
                yield Finding("completeness", f"{group[0].where}, {strategy}: {text}", problem)


def _lacking(own: Sequence[TrialSummary], group: Sequence[TrialSummary]) -> Iterator[tuple[str, bool]]:
    """Yield what one strategy of a cell lacks, and whether that is a problem."""
    planned, most = max(item.planned for item in own), 1 + max(item.config["restart"] for item in group)
    wanted = expected([planned], (item.config["restart"] for item in own), most)
    absent = {item.unit for item in group} - {item.unit for item in own}
    lacking = sorted({unit[-2] for unit in absent if unit[-2] < wanted})
    beyond = list(range(most, planned))
    broken = sorted({item.config["restart"] for item in own if item.status in ERRORS})
    skipped = sorted({item.config["restart"] for item in own if item.status == "skipped"})
    found = (
        (lacking, "no record of {}, which others have", True),
        (beyond, "no record of {}, which plan.json has", True),
        (broken, "no result but an error in {}", True),
        (skipped, "skipped {}", False),
    )
    yield from ((text.format(_restarts(numbers)), problem) for numbers, text, problem in found if numbers)
    if wanted < most:
        yield f"{wanted} restarts by plan, others have {most}", False


def unrecorded(trials: Iterable[TrialSummary], plan: Plan) -> Iterator[Finding]:
    """A strategy that was planned in a cell has a record there."""
    known = {place_of(item.config) for item in trials} if plan else set()
    for place in sorted(plan.keys() - known):
        model, _, protocol, task, fraction, strategy = place
        fields = json.loads(protocol)
        name = fields.get("name", "") if isinstance(fields, dict) else ""
        text = f"{task} {percent(fraction)}, {model}, {name}, {strategy}: no record at all, plan.json has {plan[place]}"
        yield Finding("completeness", text)


def _restarts(numbers: list[int]) -> str:
    return f"restart{'s' if len(numbers) > 1 else ''} {ranges(numbers)}"


def strategies(trials: Sequence[TrialSummary]) -> Iterator[Finding]:
    """Equal runs under two names are worth a look."""
    done = [item for item in trials if item.trace]
    for group in _groups(done, lambda item: (item.unit, item.trace)).values():
        names = sorted({item.config["strategy"] for item in group})
        if len(names) > 1:
            text = f"equal in every prediction and loss, restart {group[0].config['restart']}: {'; '.join(names)}"
            yield Finding("strategies", f"{group[0].where}: {text}", problem=False)


def versions(trials: Sequence[TrialSummary]) -> Iterator[Finding]:
    """Software and devices that differ within a cell, and modified checkouts, are told."""
    for group in _groups(trials, lambda item: item.cell[:3]).values():
        for at, name in enumerate(SOFTWARE):
            counts = Counter(item.software[at] for item in group)
            if len(counts) > 1:
                tally = ", ".join(f"{value} ({count})" for value, count in sorted(counts.items()))
                where = f"{group[0].config['model']}, {group[0].config['protocol']['name']}"
                yield Finding("versions", f"{where}: several versions of {name}: {tally}", problem=False)
    dirty = [item.name for item in trials if item.dirty]
    if dirty:
        yield Finding("versions", f"run from a checkout with changes of its own: {_some(dirty)}", problem=False)
