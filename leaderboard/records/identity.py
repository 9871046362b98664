"""Which trial a record is of: the canonical JSON of its config, the hash of that, and the id made from both.

The id is a readable slug and twelve digits of the config's hash. Equal configs have equal ids in every process.
"""

import functools
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from leaderboard.records import schema
from leaderboard.records.schema import RecordError

MAX_DEPTH = 32
DIGITS = 12  # of a config's hash, at the end of an id
OWN = "tuning"  # the field of a config that no two trials share

_STRING = {str}
_ATOMS = {str, int, bool, type(None)}  # what JSON holds as it is


def _check_plain(value: Any, depth: int = 1) -> None:
    if depth > MAX_DEPTH:
        raise RecordError(f"a record must not nest deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        if not _STRING.issuperset(map(type, value)) and not all(isinstance(key, str) for key in value):
            raise RecordError("the keys of an object in a record must be texts")
        items: Iterable[Any] = value.values()
    elif isinstance(value, (list, tuple)):
        items = value
    elif isinstance(value, float):
        _check_finite(value)
        return
    elif value is None or isinstance(value, (str, int)):
        return
    else:
        raise RecordError(f"a record holds plain JSON values only, got {type(value).__name__}; convert it first")
    for item in items:
        kind = type(item)
        if kind is float:
            _check_finite(item)
        elif kind not in _ATOMS:
            _check_plain(item, depth + 1)


def _check_finite(value: float) -> None:
    if not math.isfinite(value):
        raise RecordError(f"numbers in a record must be finite, got {value}; write null for an undefined one")


dump = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False
).encode  # of what was read or passed _check_plain, which no circle does


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: keys sorted, no spaces, shortest floats, UTF-8 characters as they are.

    Equal values give equal texts in every process. Raises RecordError for anything but finite plain JSON values.
    """
    _check_plain(value)
    return dump(value)


def digest(text: str) -> str:
    """Return the SHA-256 (hex) of a text. Raises RecordError for a lone surrogate."""
    try:
        return hashlib.sha256(text.encode("utf-8")).hexdigest()
    except UnicodeEncodeError:
        raise RecordError("texts in a record must be valid Unicode, got a lone surrogate") from None


def config_hash(config: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of a config's canonical JSON: equal exactly for one and the same trial."""
    return digest(canonical(dict(config)))


@functools.lru_cache(maxsize=10_000)
def slug(text: str, limit: int) -> str:
    """Return a text as a readable part of a file's name: at most `limit` of `a-z 0-9 . _ -`."""
    return re.sub(r"[^a-z0-9._]+", "-", text.lower())[:limit].strip("-._")


@functools.lru_cache(maxsize=100)
def _slug_of_model(model: str) -> str:
    return slug(re.split(r"[/\\]", model.rstrip("/\\"))[-1], 24)


def record_id(config: Mapping[str, Any]) -> str:
    """Return a trial's id, safe as a file name: `task-model-strategy-f<fraction>-r<restart>-<12 digits of the hash>`.

    Only `a-z 0-9 . _ -` occur in it. The readable parts are cut short, the hash alone tells trials apart. Raises
    RecordError if the config lacks a field or holds one that no record may hold, so that it is found before training.
    """
    return record_ids([config])[0]


def record_ids(configs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return `record_id` of each config; a value that several hold as one object is checked and written out once."""
    return list(map(_Ids().of, configs))


class _Ids:
    """Makes ids, and remembers the text of every value by the object that it is."""

    def __init__(self) -> None:
        self._orders: dict[tuple[str, ...], list[str]] = {}  # the keys of a config, and these in order
        self._texts: dict[tuple[str, int], str] = {}
        self._values: list[Any] = []  # they must stay where they are

    def of(self, config: Mapping[str, Any]) -> str:
        keys = tuple(config)
        order = self._orders.get(keys)
        if order is None:
            order = self._orders[keys] = _order(config)
        found = map(self._texts.get, zip(order, map(id, map(config.__getitem__, order)), strict=True))
        texts = [text or self._write(key, config[key]) for key, text in zip(order, found, strict=True)]
        return name_of(config, digest(f"{{{','.join(texts)}}}"))

    def _write(self, key: str, value: Any) -> str:
        text = f"{dump(key)}:{_field(key, value)}"
        if key != OWN:
            self._texts[key, id(value)] = text
            self._values.append(value)
        return text


def _order(config: Mapping[str, Any]) -> list[str]:
    """Return the keys of a config that has all that it needs, sorted."""
    if not schema.is_whole_config(config) or not _STRING.issuperset(map(type, config)):
        schema.check_config(config)
        _check_plain(dict(config))
    return sorted(config)


def _field(key: str, value: Any) -> str:
    """Check one field of a config and return its canonical JSON."""
    schema.check_config_field(key, value)
    _check_plain(value, 2)
    return dump(value)


def name_of(config: Mapping[str, Any], digits: str) -> str:
    """Return the id of a checked config; `digits` are those of its `config_hash`."""
    parts = [slug(config["task"], 24), _slug_of_model(config["model"]), slug(config["strategy"], 56)]
    parts += [f"f{config['fraction']:g}", f"r{config['restart']}", digits[:DIGITS]]
    return "-".join(filter(None, parts))
