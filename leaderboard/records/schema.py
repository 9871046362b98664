"""What a record holds: every field of the schema, its type and its range, and which trials count as done.

A record is `{"schema", "id", "config", "result", "environment", "checksum"}`. `config` holds everything that determines
the result and nothing else does.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fisher.common.errors import InputError

VERSION = 1
MAX_RESTARTS = 10_000
MIN_FRACTION = 1e-9
RESULTS = ("ok", "failed")
ERRORS = ("error", "oom", "timeout", "killed")
STATUSES = (*RESULTS, "skipped", *ERRORS)
REASONS_OF_FAILURE = ("rule", "chance", "diverged")

_TEXTS = {str}
_NO_NAME = frozenset({"", *"=+-@"})  # how no name begins: spreadsheets would take it for a formula

Record = dict[str, Any]


class RecordError(InputError):
    """A record that cannot be read, trusted or written; `path` is its file, None for one not yet on disk."""

    def __init__(self, message: str, path: Path | None = None):
        super().__init__(message)
        self.path = path


def trained_as(strategy: str, floor: Mapping[str, Any] | None) -> str:
    """Return what a trial trained: its strategy, or the floor in its place with the strength, such as `tfidf(0.1)`."""
    return strategy if floor is None else f"{floor['name']}({floor['c']:g})"


class _Rule(NamedTuple):
    """What a value must be, in words and as a test, which every value of the type `whole` passes."""

    wanted: str
    holds: Callable[[Any], bool]
    whole: type | None = None


def _is_number(value: Any, low: float = -1e18, high: float = 1e18) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high


def _is_whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 500 and value.lstrip()[:1] not in _NO_NAME


def _optional(rule: _Rule) -> _Rule:
    return _Rule(f"{rule.wanted} or null", lambda value: value is None or rule.holds(value), rule.whole)


def _one_of(values: tuple[str, ...]) -> _Rule:
    return _Rule(f"one of {', '.join(values)}", lambda value: isinstance(value, str) and value in values)


def _exactly(value: object) -> _Rule:
    return _Rule(json.dumps(value), lambda given: given is value)


def _is_size(value: Any) -> bool:
    one = isinstance(value, dict) and len(value) == 1 and value.keys() <= {"examples", "per_class"}
    return one and all(_is_whole(count, 1, 10**9) for count in value.values())


def _is_floor(value: Any) -> bool:
    return isinstance(value, dict) and _is_name(value.get("name")) and _is_number(value.get("c"), 0)


def _is_tuning(value: Any) -> bool:
    if not isinstance(value, dict) or value.keys() - {"times"} != {"family", "draw", "axes", "holdout", "holdout_hash"}:
        return False
    times = "times" not in value or _is_whole(value["times"], 2, 1000)
    axes = value["axes"]
    texts = isinstance(axes, dict) and _TEXTS.issuperset(map(type, [*axes, *axes.values()]))
    held = value["holdout"] is None or (_is_number(value["holdout"], 0, 1) and _is_name(value["holdout_hash"]))
    return times and texts and held and _is_name(value["family"]) and _is_whole(value["draw"], 0, 10**4)


_NAME = _Rule("a text of 1 to 500 characters that does not start with =, +, - or @", _is_name)
_OBJECT = _Rule("an object", lambda value: isinstance(value, dict), dict)
_LIST = _Rule("a list", lambda value: isinstance(value, (list, tuple)), list)
_BOOL = _Rule("true or false", lambda value: isinstance(value, bool), bool)
_TEXT = _Rule("a text", lambda value: isinstance(value, str), str)
_NUMBER = _Rule("a number", _is_number)
_AMOUNT = _Rule("a number >= 0", lambda value: _is_number(value, 0))
_SCORE = _Rule("a number in [-1, 1]", lambda value: _is_number(value, -1 - 1e-9, 1 + 1e-9))
_FRACTION = _Rule("a float in (0, 1]", lambda value: isinstance(value, float) and MIN_FRACTION <= value <= 1)
_RESTART = _Rule(f"a whole number in [0, {MAX_RESTARTS})", lambda value: _is_whole(value, 0, MAX_RESTARTS - 1))
_SEED = _Rule("a whole number in [0, 2^64)", lambda value: _is_whole(value, 0, 2**64 - 1))
_NUMBERS = _Rule("an object of numbers", lambda value: isinstance(value, dict) and all(map(_is_number, value.values())))
_SEEDS = _Rule(
    "an object of whole numbers", lambda value: isinstance(value, dict) and all(map(_SEED.holds, value.values()))
)

_BLOCK_RULES = {"config": _OBJECT, "result": _OBJECT, "environment": _OBJECT}
_RECORD_RULES = {"id": _NAME, **_BLOCK_RULES, "checksum": _TEXT}
_CONFIG_RULES = {
    "task": _NAME,
    "strategy": _NAME,
    "fraction": _FRACTION,
    "restart": _RESTART,
    "split_seed": _SEED,
    "seeds": _SEEDS,
    "protocol": _OBJECT,
    "model": _NAME,
    "weights": _NAME,
    "split_hash": _NAME,
    "dev_hash": _NAME,
    "metric": _NAME,
    "methods": _OBJECT,
    "fisher": _optional(_OBJECT),
}
_OPTIONAL_CONFIG_RULES = {
    "size": _Rule('{"examples": n} or {"per_class": n}', _is_size),
    "floor": _Rule('{"name": text, "c": number}', _is_floor),
    "tuning": _Rule("an object of family, draw, axes, holdout, holdout_hash and perhaps times (2 or more)", _is_tuning),
    "train_hash": _NAME,
    "extra_hashes": _OBJECT,
    "tokenizer": _NAME,
    "model_config": _NAME,
    "dropped": _OBJECT,
}
_PROTOCOL_RULES = {"name": _NAME, "metric": _NAME, "data": _NAME, "selection": _NAME, "precision": _NAME}
_STATUS_RULES = {"status": _one_of(STATUSES), "reason": _optional(_TEXT)}
_NO_RESULT_RULES = {"reason": _TEXT, "score": _exactly(None), "failed": _exactly(None)}
_RESULT_RULES = {
    "score": _SCORE,
    "failed_plain": _BOOL,
    "floor": _SCORE,
    "threshold": _NUMBER,
    "collapsed": _BOOL,
    "imputed": _BOOL,
    "epochs": _LIST,
    "predictions": _LIST,
    "seconds": _OBJECT,
    "peak_memory": _optional(_AMOUNT),
}
_OK_RULES = {**_RESULT_RULES, "failed": _exactly(False), "failed_by": _exactly(None)}
_FAILED_RULES = {**_RESULT_RULES, "failed": _exactly(True), "failed_by": _one_of(REASONS_OF_FAILURE)}


def shown(value: Any) -> str:
    """Return a value for an error message: printable and short, however large or hostile it is."""
    if isinstance(value, (dict, list)):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**30:
        return "a very large number"
    return repr(value[:60]) + "..." if isinstance(value, str) and len(value) > 60 else repr(value)


def _check(block: Mapping[str, Any], rules: Mapping[str, _Rule], prefix: str = "", *, optional: bool = False) -> None:
    for key, (wanted, holds, whole) in rules.items():
        if key not in block:
            if optional:
                continue
            raise RecordError(f"{prefix}{key} is missing; it must be {wanted}")
        value = block[key]
        if type(value) is not whole and not holds(value):
            raise RecordError(f"{prefix}{key} must be {wanted}, got {shown(value)}")


def check_version(record: Any) -> None:
    """Raise RecordError unless `record` is an object of this version of the schema."""
    if not isinstance(record, dict) or "schema" not in record:
        raise RecordError("not a record: it must be an object with the key 'schema'")
    if not _is_whole(record["schema"], VERSION, VERSION):
        raise RecordError(
            f"schema must be {VERSION}, got {shown(record['schema'])}; it needs another version of this tool"
        )


def check_blocks(record: Mapping[str, Any]) -> None:
    """Raise RecordError unless `record` has the three objects that a trial leaves: config, result, environment."""
    _check(record, _BLOCK_RULES)


def check_record(record: Mapping[str, Any], *, with_config: bool = True) -> None:
    """Raise RecordError unless `record` has every field of the schema, each of its type and range.

    with_config: look at what is in its config, too.
    """
    _check(record, _RECORD_RULES)
    if with_config:
        check_config(record["config"])
    check_result(record["result"])


def check_config(config: Mapping[str, Any]) -> None:
    """Raise RecordError unless `config` has every field that identifies a trial, each of its type and range."""
    _check(config, _CONFIG_RULES, "config.")
    _check(config["protocol"], _PROTOCOL_RULES, "config.protocol.")
    _check(config, _OPTIONAL_CONFIG_RULES, "config.", optional=True)


def is_whole_config(config: Mapping[str, Any]) -> bool:
    """Return whether no field is missing that identifies a trial."""
    return config.keys() >= _CONFIG_RULES.keys()


def check_config_field(key: str, value: Any) -> None:
    """Raise RecordError unless `value` is what the field `key` of a config may hold; other fields may hold anything."""
    if rule := _CONFIG_RULES.get(key) or _OPTIONAL_CONFIG_RULES.get(key):
        _check({key: value}, {key: rule}, "config.")
    if key == "protocol":
        _check(value, _PROTOCOL_RULES, "config.protocol.")


def check_result(result: Mapping[str, Any]) -> None:
    """Raise RecordError unless `result` has every field of its status, each of its type and range."""
    _check(result, _STATUS_RULES, "result.")
    if result["status"] not in RESULTS:
        _check(result, _NO_RESULT_RULES, "result.")
        return
    _check(result, _OK_RULES if result["status"] == "ok" else _FAILED_RULES, "result.")
    _check(result["seconds"], {"total": _AMOUNT}, "result.seconds.")
    if result.get("holdout") is not None:
        _check(result, {"holdout": _OBJECT}, "result.")
        _check(result["holdout"], {"score": _SCORE, "predictions": _LIST}, "result.holdout.")
    if result.get("fit") is not None:
        _check(result, {"fit": _NUMBERS}, "result.")


def is_result(record: Mapping[str, Any]) -> bool:
    """Return whether the trial ended with a score (a failed run is a result, an error is not)."""
    return record["result"]["status"] in RESULTS


def is_done(record: Mapping[str, Any]) -> bool:
    """Return whether the trial needs no other try: it has a result or was skipped for a stated reason."""
    return is_result(record) or record["result"]["status"] == "skipped"
