"""The checks of `leaderboard.verify`: each looks at all trials and yields what is wrong, one sentence each."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leaderboard.records.identity import canonical
from leaderboard.records.plan import Plan, expected, place_of
from leaderboard.records.schema import ERRORS, RESULTS, Record, is_result
from leaderboard.records.tuning import cell_of, run_name
from leaderboard.render.text import percent, ranges

TIE = 1e-9  # as the failed-run rule has it
PURPOSES = ("init", "order", "noise")
SOFTWARE = ("regbench", "torch", "transformers", "device")
_PLACE = ("task", "strategy", "fraction", "restart", "split_seed", "protocol", "model", "weights")
_KEPT = (*_PLACE, "split_hash", "dev_hash", "methods")
_OPTIONAL = ("size", "tuning")
_TERM = re.compile(r'"(?:[^"\\]|\\.)*"|[()]|\s\+\s')


@dataclass(frozen=True)
class Finding:
    """What a check found: a `problem`, or a note that a reader should know."""

    check: str
    text: str
    problem: bool = True


@dataclass(frozen=True)
class Trial:
    """What the checks need of a record; `own` holds what is wrong within it, by check."""

    name: str
    status: str
    config: Mapping[str, Any]
    head: str
    batches: str
    examples: int
    trace: str  # hash of predictions and losses, empty where there are none
    software: tuple[str, ...]
    dirty: bool
    outcome: str
    own: tuple[tuple[str, str], ...]
    planned: int = 0  # restarts of its strategy in its cell, 0 where no plan says

    @property
    def cell(self) -> tuple[str, ...]:
        """Trials of one cell are comparable: model, weights, protocol, task and fraction agree."""
        return cell_of(self.config)

    @property
    def unit(self) -> tuple[Any, ...]:
        """What a restart of a cell stands for; the strategy is no part of it."""
        return (*self.cell, self.config["restart"], self.config["split_seed"])

    @property
    def start(self) -> tuple[Any, ...]:
        """What trials share that start alike: the unit, the batch size, and whether examples are held out."""
        tuning = self.config.get("tuning") or {}
        return (*self.unit, self.config["protocol"].get("batch_size"), tuning.get("holdout_hash"))

    @property
    def where(self) -> str:
        """The cell in words."""
        c = self.config
        return f"{c['task']} {percent(c['fraction'])}, {c['model']}, {c['protocol']['name']}"


def trial(record: Record, plan: Plan | None = None) -> Trial:
    """Return the summary of a record, with what is wrong within the record itself."""
    config, result, environment = record["config"], record["result"], record["environment"]
    hashes = result.get("hashes")
    hashes = hashes if isinstance(hashes, dict) else {}
    git = environment.get("git")
    predictions, losses = result.get("predictions") or [], result.get("train_loss") or []
    trace = hashlib.sha256(canonical([predictions, losses]).encode()).hexdigest() if losses else ""
    own = [("strategies", text) for text in _strategy_faults(config, result)] + [
        ("seeds", text) for text in _seed_faults(config)
    ]
    if is_result(record):
        own += [("scores", text) for text in _score_faults(config, result)]
        own += [("splits", text) for text in _hash_faults(config, hashes)]
    return Trial(
        name=record["id"],
        status=result["status"],
        config={key: config[key] for key in _KEPT} | {key: config[key] for key in _OPTIONAL if key in config},
        head=str(hashes.get("head", "")),
        batches=str(hashes.get("batches", "")),
        examples=len(predictions),
        trace=trace,
        software=tuple(str(environment.get(key, "unknown")) for key in SOFTWARE),
        dirty=isinstance(git, dict) and bool(git.get("dirty")),
        outcome=canonical([result["score"], result["failed"], predictions]) if is_result(record) else "",
        own=tuple(own),
        planned=plan.get(place_of(config), 0) if plan else 0,
    )


# --- within one record ------------------------------------------------------------------------------------------------


def seed_of(purpose: str, restart: int) -> int:
    """The seed that a restart's number gives for a purpose: 63 bits of SHA-256 of `purpose/restart`."""
    return int.from_bytes(hashlib.sha256(f"{purpose}/{restart}".encode()).digest()[:8], "big") & (2**63 - 1)


def _seed_faults(config: Mapping[str, Any]) -> Iterator[str]:
    expected = {"split": config["split_seed"]} | {purpose: seed_of(purpose, config["restart"]) for purpose in PURPOSES}
    if config["seeds"] != expected:
        wrong = [key for key in sorted({*expected, *config["seeds"]}) if config["seeds"].get(key) != expected.get(key)]
        yield f"the seeds are not those of restart {config['restart']} ({', '.join(wrong)})"


def _score_faults(config: Mapping[str, Any], result: Mapping[str, Any]) -> Iterator[str]:
    score, floor, bar = result["score"], result["floor"], max(result["floor"], result["threshold"])
    if result["imputed"]:
        if abs(score - floor) > TIE:
            yield f"an imputed score must be the floor {floor}, got {score}"
    elif abs((selected := _selected(config, result)) - score) > TIE:
        yield f"the score must be that of the selected epoch ({selected}), got {score}"
    if result["failed"] != (result["imputed"] or score <= bar + TIE):
        yield f"failed is {result['failed']}, but score {score} against {bar} says otherwise"
    if result["failed_plain"] != (result["imputed"] or score <= floor + TIE):
        yield f"failed_plain is {result['failed_plain']}, but score {score} against {floor} says otherwise"
    if not result["imputed"] and not result["predictions"]:
        yield "a score needs the predictions that it was computed from, got none"


def _selected(config: Mapping[str, Any], result: Mapping[str, Any]) -> float:
    """Return the score of the epoch that the protocol selects, NaN where the epochs do not say."""
    try:
        scores = [float(epoch["scores"][config["metric"]]) for epoch in result["epochs"]]
        return max(scores) if config["protocol"]["selection"] == "best_dev" else scores[-1]
    except (KeyError, IndexError, TypeError, ValueError):
        return float("inf")


def _hash_faults(config: Mapping[str, Any], hashes: Mapping[str, Any]) -> Iterator[str]:
    for key in ("head", "batches", "split"):
        if not isinstance(hashes.get(key), str):
            yield f"the result lacks the hash of its {key}"
    if "split" in hashes and hashes["split"] != config["split_hash"]:
        yield "it trained on another split than its config names"


def terms_of(strategy: str) -> list[str]:
    """Return the terms of a strategy's canonical text, without reading what is inside their brackets."""
    cuts, depth = [0], 0
    for match in _TERM.finditer(strategy):
        depth += {"(": 1, ")": -1}.get(match.group(), 0)
        if match.group().strip() == "+" and depth == 0:
            cuts += [match.start(), match.end()]
    return [strategy[a:b] for a, b in zip(cuts[::2], [*cuts[1::2], len(strategy)], strict=True)]


def _strategy_faults(config: Mapping[str, Any], result: Mapping[str, Any]) -> Iterator[str]:
    terms = terms_of(config["strategy"])
    names = {term.removeprefix("head:").partition("(")[0] for term in terms}
    if names != set(config["methods"]):
        yield f"the strategy consists of {', '.join(sorted(names))}, its code is that of {_listed(config['methods'])}"
    touched = result.get("touched")
    if result["status"] in RESULTS and (not isinstance(touched, dict) or set(touched) != set(terms)):
        yield f"the strategy consists of {', '.join(terms)}, but what acted was {_listed(touched or {})}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


# --- over all trials --------------------------------------------------------------------------------------------------


def _own(check: str) -> Callable[[Sequence[Trial]], Iterator[Finding]]:
    def faults(trials: Sequence[Trial]) -> Iterator[Finding]:
        for item in trials:
            yield from (Finding(check, f"{item.name}: {text}") for name, text in item.own if name == check)

    return faults


def _groups(trials: Iterable[Trial], key: Callable[[Trial], Any]) -> dict[Any, list[Trial]]:
    groups: dict[Any, list[Trial]] = {}
    for item in trials:
        groups.setdefault(key(item), []).append(item)
    return groups


def _odd_ones(group: Sequence[Trial], value: Callable[[Trial], Any]) -> list[str]:
    """Return the trials whose value is not the one that most of the group have."""
    counts = Counter(map(value, group))
    usual = max(counts, key=lambda key: (counts[key], str(key)))
    return [item.name for item in group if value(item) != usual]


def duplicates(trials: Sequence[Trial]) -> Iterator[Finding]:
    """Several records of one trial must agree."""
    for name, group in _groups(trials, lambda item: item.name).items():
        if len({item.outcome for item in group if item.status in RESULTS}) > 1:
            yield Finding("duplicates", f"{name}: {len(group)} records of this trial disagree")


def seeds(trials: Sequence[Trial]) -> Iterator[Finding]:
    """Seeds follow from the restart's number, and restart r trains on split r mod N."""
    yield from _own("seeds")(trials)
    for group in _groups(trials, lambda item: item.cell).values():
        count = 1 + max(item.config["split_seed"] for item in group)
        wrong = [item.name for item in group if item.config["split_seed"] != item.config["restart"] % count]
        if wrong:
            text = f"{group[0].where}: with {count} split seeds, restart r must train on split r mod {count}"
            yield Finding("seeds", f"{text}; {_some(wrong)} does not")


def splits(trials: Sequence[Trial]) -> Iterator[Finding]:
    """A split and a dev set are those of the task, whoever trains on them."""
    yield from _own("splits")(trials)
    yield from _same(trials, _train_place, "split_hash", "another split")
    yield from _same(trials, _dev_place, "dev_hash", "another dev set")


def _dev_place(item: Trial) -> tuple[Any, ...]:
    """The dev set is the task's own; pooled data are shuffled with the restart's seed."""
    pooled = item.config["protocol"]["data"] == "pooled"
    return (item.config["task"], item.config["restart"] if pooled else None)


def _train_place(item: Trial) -> tuple[Any, ...]:
    return (*_dev_place(item), item.config["split_seed"], item.cell[-1])


def _same(trials: Sequence[Trial], key: Callable[[Trial], Any], field: str, what: str) -> Iterator[Finding]:
    for group in _groups(trials, key).values():
        wrong = _odd_ones(group, lambda item: item.config[field])
        if wrong:
            yield Finding("splits", f"{group[0].where}: {_some(wrong)} used {what} than the others there")


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} (and {len(names) - 1} more)"


def pairing(trials: Sequence[Trial]) -> Iterator[Finding]:
    """Strategies of one restart start from one head, see one order of batches and predict the same dev set."""
    values = {"initial head": "head", "order of batches": "batches", "number of predictions": "examples"}
    done = [item for item in trials if item.status in RESULTS]
    for group in _groups(done, lambda item: item.start).values():
        for what, field in values.items():
            kept = [item for item in group if field != "examples" or item.examples]
            wrong = _odd_ones(kept, lambda item, field=field: getattr(item, field)) if kept else []  # type: ignore[misc]
            if wrong:
                text = f"restart {group[0].config['restart']}: {_some(wrong)} has another {what} than the others"
                yield Finding("pairing", f"{group[0].where}, {text}")


def completeness(trials: Sequence[Trial]) -> Iterator[Finding]:
    """Every strategy of a cell has a result for restarts 0..n-1, n as planned, else as many as any strategy has."""
    for group in _groups(trials, lambda item: item.cell).values():
        numbers = {item.config["restart"] for item in group}
        gaps = sorted(set(range(max(numbers) + 1)) - numbers)
        if gaps:
            yield Finding("completeness", f"{group[0].where}: no strategy has a record of {_restarts(gaps)}")
        for strategy, own in sorted(_groups(group, lambda item: run_name(item.config)).items()):
            for text, problem in _lacking(own, group):
                yield Finding("completeness", f"{group[0].where}, {strategy}: {text}", problem)


def _lacking(own: Sequence[Trial], group: Sequence[Trial]) -> Iterator[tuple[str, bool]]:
    """Yield what one strategy of a cell lacks, and whether that is a problem."""
    planned, most = max(item.planned for item in own), 1 + max(item.config["restart"] for item in group)
    wanted = expected([planned], (item.config["restart"] for item in own), most)
    absent = {item.unit for item in group} - {item.unit for item in own}
    lacking = sorted({unit[-2] for unit in absent if unit[-2] < wanted})
    beyond = list(range(most, planned))
    broken = sorted({item.config["restart"] for item in own if item.status in ERRORS})
    skipped = sorted({item.config["restart"] for item in own if item.status == "skipped"})
    if lacking:
        yield f"no record of {_restarts(lacking)}, which others have", True
    if beyond:
        yield f"no record of {_restarts(beyond)}, which plan.json has", True
    if broken:
        yield f"no result but an error in {_restarts(broken)}", True
    if skipped:
        yield f"skipped {_restarts(skipped)}", False
    if wanted < most:
        yield f"{wanted} restarts by plan, others have {most}", False


def unrecorded(trials: Iterable[Trial], plan: Plan) -> Iterator[Finding]:
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


def strategies(trials: Sequence[Trial]) -> Iterator[Finding]:
    """A record's code and what acted are those of its strategy; equal runs under two names are worth a look."""
    yield from _own("strategies")(trials)
    done = [item for item in trials if item.trace]
    for group in _groups(done, lambda item: (item.unit, item.trace)).values():
        names = sorted({item.config["strategy"] for item in group})
        if len(names) > 1:
            text = f"equal in every prediction and loss, restart {group[0].config['restart']}: {'; '.join(names)}"
            yield Finding("strategies", f"{group[0].where}: {text}", problem=False)


def versions(trials: Sequence[Trial]) -> Iterator[Finding]:
    """Software and devices that differ within a cell, and modified checkouts, are told."""
    for group in _groups(trials, lambda item: item.cell[:3]).values():
        for place, name in enumerate(SOFTWARE):
            counts = Counter(item.software[place] for item in group)
            if len(counts) > 1:
                tally = ", ".join(f"{value} ({count})" for value, count in sorted(counts.items()))
                where = f"{group[0].config['model']}, {group[0].config['protocol']['name']}"
                yield Finding("versions", f"{where}: several versions of {name}: {tally}", problem=False)
    dirty = [item.name for item in trials if item.dirty]
    if dirty:
        yield Finding("versions", f"run from a checkout with changes of its own: {_some(dirty)}", problem=False)


CHECKS: dict[str, Callable[[Sequence[Trial]], Iterator[Finding]]] = {
    "duplicates": duplicates,
    "scores": _own("scores"),
    "seeds": seeds,
    "splits": splits,
    "pairing": pairing,
    "completeness": completeness,
    "strategies": strategies,
    "versions": versions,
}
