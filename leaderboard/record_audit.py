"""What `leaderboard.verify` keeps of a record, with what is wrong within the record itself, one sentence each."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from leaderboard.records.grouping import cell_of
from leaderboard.records.identity import canonical
from leaderboard.records.plan import Plan, place_of
from leaderboard.records.schema import RESULTS, Record, is_result
from leaderboard.render.text import percent

TIE = 1e-9  # as the failed-run rule has it
PURPOSES = ("init", "order", "noise")
SOFTWARE = ("regbench", "torch", "transformers", "device")
_KEPT = (
    *("task", "strategy", "fraction", "restart", "split_seed", "protocol", "model", "weights"),
    *("split_hash", "dev_hash", "methods"),
)
_OPTIONAL = ("size", "tuning", "floor", "train_hash")
_TERM = re.compile(r'"(?:[^"\\]|\\.)*"|[()]|\s\+\s')


@dataclass(frozen=True)
class Finding:
    """What a check found: a `problem`, or a note that a reader should know."""

    check: str
    text: str
    problem: bool = True


@dataclass(frozen=True)
class TrialSummary:
    """What the checks need of a record; `own` holds what is wrong within it."""

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
    own: tuple[Finding, ...]
    planned: int  # restarts of its strategy in its cell, 0 where no plan says

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
        c = self.config
        held_out = (c.get("tuning") or {}).get("holdout_hash")
        return (*self.unit, c["protocol"].get("batch_size"), held_out, "floor" in c)

    @property
    def where(self) -> str:
        """The cell in words."""
        c = self.config
        return f"{c['task']} {percent(c['fraction'])}, {c['model']}, {c['protocol']['name']}"


def summarize(record: Record, plan: Plan) -> TrialSummary:
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
    return TrialSummary(
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
        own=tuple(Finding(check, f"{record['id']}: {text}") for check, text in own),
        planned=plan.get(place_of(config), 0),
    )


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
    """Return the score of the epoch that the protocol selects; inf, which no score is, where the epochs do not say."""
    try:
        scores = [float(epoch["scores"][config["metric"]]) for epoch in result["epochs"]]
        return max(scores) if config["protocol"]["selection"] == "best_dev" else scores[-1]
    except (KeyError, IndexError, TypeError, ValueError):
        return float("inf")


def _hash_faults(config: Mapping[str, Any], hashes: Mapping[str, Any]) -> Iterator[str]:
    for key in ("split",) if "floor" in config else ("head", "batches", "split"):  # a floor trains nothing
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
