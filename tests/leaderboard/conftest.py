"""Synthetic records for the leaderboard's tests: nothing is trained."""

import copy
import itertools
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from leaderboard.record_audit import seed_of, terms_of
from leaderboard.records.store import read_records, write_record
from leaderboard.tables import reading
from leaderboard.tables import sections as tables

SIX = (
    "dropout(0.1) + wdecay(0, 0.01)",
    "wdecay(w_pre, 0.01)",
    "mixout(w_pre, 0.7)",
    "mixout(w_pre, 0.7) + wdecay(w_pre, 0.01)",
    "mixout(w_pre, 0.7) + head:mixout(w_0, 0.7)",
    "guided_dropout(0, 0.1)",
)
PROTOCOL = {
    "name": "lee20",
    "epochs": 3,
    "lr": 2e-05,
    "bias_correction": True,
    "metric": "primary",
    "data": "official",
    "selection": "last",
    "precision": "fp32",
}


def _config(changes: dict[str, Any]) -> dict[str, Any]:
    restart = changes.get("restart", 0)
    split_seed = changes.get("split_seed", restart)
    config = {
        "task": "rte",
        "strategy": "none",
        "fraction": 0.1,
        "restart": restart,
        "split_seed": split_seed,
        "seeds": {"split": split_seed, "init": 100 + restart, "order": 200 + restart, "noise": 300 + restart},
        "protocol": PROTOCOL | changes.pop("protocol", {}),
        "model": "small-bert",
        "weights": "ab" * 32,
        "split_hash": f"{split_seed + 205:064x}",
        "dev_hash": "ef" * 32,
        "metric": "accuracy",
        "methods": {},
        "fisher": None,
    }
    return config | changes


def _result(status: str, score: float | None, changes: dict[str, Any]) -> dict[str, Any]:
    if status not in ("ok", "failed"):
        return {"status": status, "reason": "it broke\nhere", "score": None, "failed": None} | changes
    result = {
        "status": status,
        "reason": None,
        "score": score,
        "failed": status == "failed",
        "failed_by": "rule" if status == "failed" else None,
        "failed_plain": status == "failed",
        "floor": 0.5,
        "threshold": 0.5,
        "collapsed": status == "failed",
        "imputed": False,
        "epochs": [{"epoch": 1, "scores": {"accuracy": score}}],
        "train_loss": [0.7, 0.6],
        "predictions": [],
        "seconds": {"build": 0.1, "train": 1.0, "evaluate": 0.1, "total": 2.0},
        "peak_memory": 400_000_000,
    }
    return result | changes


def make(
    score: float | None = 0.7, *, status: str = "ok", result: dict[str, Any] | None = None, **config: Any
) -> dict[str, Any]:
    """Return a record without id and checksum; keywords change fields of its config, predictions are its own."""
    environment = {
        "python": "3.11.9",
        "torch": "2.13.0",
        "transformers": "5.23.0",
        "regbench": "0.1.0",
        "device": "cpu",
    }
    given = _config(config)
    draw = random.Random(f"{given['strategy']} {given['restart']} {score}")
    own = {"predictions": [draw.randrange(2) for _ in range(100)]} if status in ("ok", "failed") else {}
    return {
        "config": given,
        "result": _result(status, score, own | (result or {})),
        "environment": environment | {"threads": 1, "git": {"commit": "0" * 40, "dirty": False}},
    }


def grid(scores: dict[str, Iterable[float | None]], **config: Any) -> list[dict[str, Any]]:
    """Return one record per strategy and restart; where a score is None the record is missing."""
    return [
        make(float(score), strategy=strategy, restart=restart, **config)
        for strategy, values in scores.items()
        for restart, score in enumerate(values)
        if score is not None
    ]


def realistic(restarts: int = 3, fractions: tuple[float, ...] = (0.1, 0.25)) -> list[dict[str, Any]]:
    """Return the records of six strategies x four tasks x fractions x restarts, with failed runs and one error."""
    draw, records = random.Random(7), []
    tasks = {
        "pocket-cola": ("matthews", 0.0, 0.25),
        "pocket-rte": ("accuracy", 0.5, 0.70),
        "pocket-mrpc": ("f1", 0.8, 0.86),
        "pocket-stsb": ("spearman", 0.0, 0.50),
    }
    for task, fraction, strategy, restart in itertools.product(tasks, fractions, SIX, range(restarts)):
        metric, floor, level = tasks[task]
        failed = task == "pocket-cola" and draw.random() < 0.3
        score = floor if failed else level + 0.1 * fraction + draw.gauss(0, 0.02)
        seconds = {"total": round(1 + 0.1 * SIX.index(strategy) + 0.1 * draw.random(), 3)}
        place = {"task": task, "metric": metric, "fraction": fraction, "model": "pocket"}
        own = {"floor": floor, "threshold": floor, "seconds": seconds}
        status = "failed" if failed else "ok"
        records.append(make(round(score, 4), status=status, result=own, strategy=strategy, restart=restart, **place))
    records[-1]["result"] = _result("oom", None, {"reason": "out of memory: 2 GiB asked for"})
    return records


def tuned_trials(
    families: dict[str, dict[str, str]],
    outcome: Callable[[random.Random], tuple[float, dict[str, Any]]],
    *,
    sizes: tuple[int, ...],
    restarts: int,
    budget: int,
    **config: Any,
) -> list[dict[str, Any]]:
    """Return the trials of families (with their axes): the default on all examples, then draws that have a holdout.

    `outcome` draws a trial's score and what else its result holds; scores on the holdout are coarse, so that some tie.
    """
    draw, entries = random.Random(3), []
    grid = itertools.product(families.items(), sizes, range(restarts), (None, *range(budget)))
    for (family, axes), examples, restart, number in grid:
        place = {"size": {"examples": examples}, "fraction": examples / 1000, "restart": restart}
        place |= {"split_seed": restart, "split_hash": f"{examples}-{restart}"}
        tuning = {"family": family, "draw": number or 0, "axes": dict(axes), "holdout": None, "holdout_hash": None}
        lr = 1e-4 if not number else float(f"{10 ** draw.uniform(-5, -3):.3g}")
        score, own = outcome(draw)
        if number is not None:
            tuning |= {"holdout": 0.25, "holdout_hash": f"{examples}-{restart}"}
            own |= {"holdout": {"score": round(draw.randrange(8) / 8, 3), "predictions": []}}
        given = place | config
        entries.append(make(score, strategy=family, protocol={"lr": lr}, tuning=tuning, result=own, **given))
    return entries


@pytest.fixture
def record() -> Callable[..., dict[str, Any]]:
    """Return the factory of one record."""
    return make


@pytest.fixture
def realistic_records() -> Callable[..., list[dict[str, Any]]]:
    """Return the factory of a whole grid of records."""
    return realistic


@pytest.fixture
def store(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes records into `<tmp_path>/<name>/records` and returns the output folder."""

    def write(records: list[dict[str, Any]], name: str = "run") -> Path:
        folder = tmp_path / name
        for item in records:
            write_record(folder / "records", copy.deepcopy(item))
        return folder

    return write


def honest(
    strategy: str = "mixout(w_pre, 0.7)", restart: int = 0, score: float = 0.7, *, status: str = "ok", **config: Any
) -> dict[str, Any]:
    """Return a record in which everything agrees that `leaderboard.verify` looks at."""
    seeds = {"split": restart} | {purpose: seed_of(purpose, restart) for purpose in ("init", "order", "noise")}
    terms = terms_of(strategy)
    methods = {term.removeprefix("head:").partition("(")[0]: 1 for term in terms}
    draw = random.Random(f"{strategy} {restart}")
    result = {
        "touched": {term: ["layer.0"] for term in terms},
        "hashes": {"head": f"head {restart}", "batches": f"batches {restart}", "split": f"{restart + 205:064x}"},
        "train_loss": [round(draw.random(), 6) for _ in range(3)],
        "predictions": [draw.randrange(2) for _ in range(100)],
    }
    own = result if status in ("ok", "failed") else {}
    given = score if own else None
    record = make(given, status=status, result=own, strategy=strategy, restart=restart, seeds=seeds, methods=methods)
    record["config"] |= config
    return record


@pytest.fixture(scope="session")
def honest_record() -> Callable[..., dict[str, Any]]:
    """Return the factory of one record without any fault."""
    return honest


@pytest.fixture
def arrange(tmp_path: Path) -> Callable[..., tuple[tables.Section, ...]]:
    """Return a function from records to sections, through files as in real use; each call has a folder of its own."""
    folders = (tmp_path / f"arranged-{number}" for number in itertools.count())

    def run(entries: list[dict[str, Any]], **options: Any) -> tuple[tables.Section, ...]:
        folder = next(folders)
        for entry in entries:
            write_record(folder, entry)
        found, problems = read_records([folder])
        assert not problems
        lines, conflicts = reading.trials(found)
        assert not conflicts
        return tables.sections(lines, **options)

    return run
