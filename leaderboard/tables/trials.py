"""From records to trials: one flat row each, of several records of one trial the one that counts."""

import functools
import hashlib
import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fisher.common.text import shorten
from leaderboard.records.identity import dump
from leaderboard.records.labels import Labels
from leaderboard.records.logits import decode_logits
from leaderboard.records.plan import Plan, place_of
from leaderboard.records.schema import RESULTS, RecordError, trained_as

T = TypeVar("T")
CUT_ANEW = ("pooled", "resampled")  # protocol.data whose dev set is another one in every split
VERSIONS = ("regbench", "torch", "transformers", "python", "device")

# What else stands in a config is about the strategy itself: versions of its methods, the recipe of its Fisher scores.
_PLACED = {"task", "strategy", "fraction", "restart", "split_seed", "seeds", "protocol", "model", "weights"}
_PLACED |= {"split_hash", "train_hash", "dev_hash", "metric", "size", "tuning", "floor"}


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One trial as the tables need it; its numbers are NaN and its flags False where it has no result.

    protocol: canonical JSON; data: hash of the dev set, or `CUT_ANEW`; variant: short hash of what else the config
    says of the strategy; planned: restarts that the plan gives the strategy here, 0 where it says none; key: what the
    same restart of every strategy shares (split, dev set, seeds); about: canonical JSON of what the record says of the
    strategy; predictions: on the dev set, empty where there are none. size: the number of training examples in words,
    where that was asked for. fit: accuracy (of a regression Spearman) on the examples fitted on, gap: how far the score
    on these is above that on dev; ece, brier, nll: calibration; passes: forward passes of a batch in training;
    forgetting: rise of the pretraining loss.

    Of a tuned family `strategy` is the family, `config` what the configuration `draw` sets, `held_out` its score on the
    examples held out, `rule` how it comes to be in a table (see `leaderboard.tables.choices`), of `budget` many;
    is_floor: nothing was trained (`benchmarks.tuning.floors`). outputs: of a trial on the dev set, logits
    (examples, classes) or the values of a regression, empty where they are not known; labels: of the dev set, likewise.
    """

    id: str
    checksum: str
    model: str
    weights: str
    protocol: str
    task: str
    metric: str
    data: str
    fraction: float
    strategy: str
    variant: str
    restart: int
    planned: int
    split_seed: int
    split: str
    key: str
    status: str
    reason: str
    about: str
    versions: Mapping[str, str]
    score: float = math.nan
    floor: float = math.nan
    failed: bool = False
    failed_plain: bool = False
    failed_by: str = ""
    imputed: bool = False
    collapsed: bool = False
    deviation: float = math.nan
    seconds: float = math.nan
    peak_memory: float = math.nan
    fit: float = math.nan
    gap: float = math.nan
    ece: float = math.nan
    brier: float = math.nan
    nll: float = math.nan
    passes: float = math.nan
    forgetting: float = math.nan
    size: str = ""
    rule: str = ""
    draw: int = 0
    budget: int = 0
    held_out: float = math.nan
    is_floor: bool = False
    config: Mapping[str, Any] = field(default_factory=dict, compare=False)
    configurations: tuple["TrialRow", ...] = field(default=(), compare=False, repr=False)
    predictions: NDArray[Any] = field(default_factory=lambda: np.empty(0), compare=False, repr=False)
    outputs: NDArray[Any] = field(default_factory=lambda: np.empty(0), compare=False, repr=False)
    labels: NDArray[Any] = field(default_factory=lambda: np.empty(0), compare=False, repr=False)

    def __eq__(self, other: object) -> bool:
        """Whether all fields that are compared are equal; NaN, which stands for no number, equals itself."""
        return isinstance(other, TrialRow) and _compared(self) == _compared(other)

    @property
    def has_result(self) -> bool:
        """Whether the trial ended with a score."""
        return self.status in RESULTS

    @property
    def unit(self) -> str:
        """What was drawn independently of other restarts: its split, or itself where the split is the whole pool."""
        return self.key if self.fraction == 1 and self.data not in CUT_ANEW else self.split

    @property
    def section(self) -> tuple[str, ...]:
        """Where the variants of a strategy share a name."""
        return self.model, self.weights, self.protocol, self.strategy

    @property
    def outcome(self) -> tuple[Any, ...]:
        """What two records of one trial must agree on."""
        return self.status, self.score, self.failed, self.failed_plain, self.imputed


def _compared(row: TrialRow) -> list[Any]:
    values = (getattr(row, one.name) for one in fields(row) if one.compare)
    return [None if isinstance(value, float) and math.isnan(value) else value for value in values]


@functools.lru_cache(maxsize=1000)
def short(text: str) -> str:
    """Return eight digits that stand for a text."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:8]


def grouped(rows: Iterable[T], *names: str) -> list[tuple[Any, list[T]]]:
    """Return (value or values of the fields `names`, rows) in sorted order; the rows keep theirs."""
    groups: dict[Any, list[T]] = {}
    values = operator.attrgetter(*names)
    for row in rows:
        groups.setdefault(values(row), []).append(row)
    return sorted(groups.items())


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
        variant=short(dump({name: value for name, value in config.items() if name not in _PLACED})),
        restart=config["restart"],
        planned=plan.get(place, 0),
        split_seed=config["split_seed"],
        split=config["split_hash"],
        key=repr([*key, sorted(config["seeds"].items())]),
        status=result["status"],
        reason=shorten(result["reason"], 160) if result["reason"] else "",
        about=_about(record),
        versions=_versions(record["environment"]),
        **(_numbers(result) if result["status"] in RESULTS else {}),
        **(_tuning(config, result) if "tuning" in config else {}),
        **(_outputs(config, result, labels) if config["dev_hash"] in labels else {}),
    )


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
        with np.errstate(over="ignore"):
            numbers = array.astype(np.int32 if array.dtype.kind in "bi" else np.float32)
    except (ValueError, TypeError, OverflowError):
        return np.empty(0)
    return numbers if numbers.ndim == 1 and np.isfinite(numbers).all() else np.empty(0)


def _about(record: Mapping[str, Any]) -> str:
    """Return what the record says of its strategy as canonical JSON: versions of methods, Fisher recipe, modules."""
    config, touched = record["config"], record["result"].get("touched")
    known = {"strategy": config["strategy"], "methods": config["methods"], "fisher": config["fisher"]}
    return dump(known | {"touched": touched if isinstance(touched, dict) else {}})


def _labelled(rows: list[TrialRow]) -> list[TrialRow]:
    """Name a strategy's variants apart where one table would hold several (two Fisher recipes, two method versions)."""
    variants: dict[tuple[str, ...], set[str]] = {}
    for row in rows:
        variants.setdefault((*row.section, row.task, row.metric, row.data), set()).add(row.variant)
    marked = {key[:4] for key, found in variants.items() if len(found) > 1}
    return [
        replace(row, strategy=f"{row.strategy} (variant {row.variant})") if row.section in marked else row
        for row in rows
    ]
