"""One JSON file per trial: its schema, its name, and how it is written so that a crash leaves no half of it.

A record is `{"schema", "id", "config", "result", "environment", "checksum"}`. `config` holds everything that determines
the result and nothing else does; the id is a readable slug and twelve digits of the config's hash, and the file is
`<id>.json`. `checksum` is the SHA-256 of the canonical JSON of all the rest. A record is plain data: it is read with
`json` only, at most `MAX_BYTES` long and `MAX_DEPTH` deep, with finite numbers. Many records may also lie in one
archive (`*.jsonl.gz`, one record a line), which is read wherever a folder of records is.
"""

import functools
import gzip
import hashlib
import json
import math
import os
import re
import secrets
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from leaderboard.errors import InputError
from leaderboard.text import escape

SCHEMA = 1
MAX_BYTES = 32 * 1024 * 1024
MAX_DEPTH = 32
MAX_RESTARTS = 10_000
MAX_BAD_LINES = 100  # of one archive: what is no archive must not fill the memory with reasons
ARCHIVE = ".jsonl.gz"
BESIDE = ("leaderboard.json", "methods.json", "plan.json", "split_hashes.json")  # what else may lie beside records
RESULTS = ("ok", "failed")
ERRORS = ("error", "oom", "timeout", "killed")
STATUSES = (*RESULTS, "skipped", *ERRORS)
REASONS_OF_FAILURE = ("rule", "chance", "diverged")

_CONTAINERS = {dict, list}  # what JSON nests
_STRING = {str}
_ATOMS = {str, int, bool, type(None)}  # what JSON holds as it is
_HEAD = re.compile(rb'\{"checksum":"([0-9a-f]{64})",')  # how a record begins: its keys are sorted
_HUGE = [re.compile(sign + rb"[+]?[0-9]{3,}\s*[,\]}]") for sign in (b"e", b"E")]  # what may be read as infinite
_STRIDE = 21  # and 200 digits in a row: at least 9 of them are among every 21st byte
_LONG = re.compile(rb"[0-9]{9}")
_NO_NAME = frozenset({"", *"=+-@"})  # how no name begins: spreadsheets would take it for a formula
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)  # a pipe from strangers must not block the reader

Record = dict[str, Any]


class RecordError(InputError):
    """A record that cannot be read, trusted or written; `path` is its file, None for one not yet on disk."""

    def __init__(self, message: str, path: Path | None = None):
        super().__init__(message)
        self.path = path


# --- schema -----------------------------------------------------------------------------------------------------------


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


_NAME = _Rule("a text of 1 to 500 characters that does not start with =, +, - or @", _is_name)
_OBJECT = _Rule("an object", lambda value: isinstance(value, dict), dict)
_LIST = _Rule("a list", lambda value: isinstance(value, (list, tuple)), list)
_BOOL = _Rule("true or false", lambda value: isinstance(value, bool), bool)
_TEXT = _Rule("a text", lambda value: isinstance(value, str), str)
_NUMBER = _Rule("a number", _is_number)
_AMOUNT = _Rule("a number >= 0", lambda value: _is_number(value, 0))
_SCORE = _Rule("a number in [-1, 1]", lambda value: _is_number(value, -1 - 1e-9, 1 + 1e-9))
_FRACTION = _Rule("a float in (0, 1]", lambda value: isinstance(value, float) and 1e-9 <= value <= 1)
_RESTART = _Rule(f"a whole number in [0, {MAX_RESTARTS})", lambda value: _is_whole(value, 0, MAX_RESTARTS - 1))
_SEED = _Rule("a whole number in [0, 2^64)", lambda value: _is_whole(value, 0, 2**64 - 1))
_SEEDS = _Rule(
    "an object of whole numbers", lambda value: isinstance(value, dict) and all(map(_SEED.holds, value.values()))
)

_RECORD_RULES = {"id": _NAME, "config": _OBJECT, "result": _OBJECT, "environment": _OBJECT, "checksum": _TEXT}
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


def _shown(value: Any) -> str:
    """Return a value for an error message: printable and short, however large or hostile it is."""
    if isinstance(value, (dict, list)):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**30:
        return "a very large number"
    return repr(value[:60]) + "..." if isinstance(value, str) and len(value) > 60 else repr(value)


def _check(block: Mapping[str, Any], rules: Mapping[str, _Rule], prefix: str = "") -> None:
    for key, (wanted, holds, whole) in rules.items():
        if key not in block:
            raise RecordError(f"{prefix}{key} is missing; it must be {wanted}")
        value = block[key]
        if type(value) is not whole and not holds(value):
            raise RecordError(f"{prefix}{key} must be {wanted}, got {_shown(value)}")


def _check_result(result: Mapping[str, Any]) -> None:
    _check(result, _STATUS_RULES, "result.")
    if result["status"] not in RESULTS:
        _check(result, _NO_RESULT_RULES, "result.")
        return
    _check(result, _OK_RULES if result["status"] == "ok" else _FAILED_RULES, "result.")
    _check(result["seconds"], {"total": _AMOUNT}, "result.seconds.")


def check_config(config: Mapping[str, Any]) -> None:
    """Raise RecordError unless `config` has every field that identifies a trial, each of its type and range."""
    _check(config, _CONFIG_RULES, "config.")
    _check(config["protocol"], _PROTOCOL_RULES, "config.protocol.")


def is_result(record: Mapping[str, Any]) -> bool:
    """Return whether the trial ended with a score (a failed run is a result, an error is not)."""
    return record["result"]["status"] in RESULTS


def is_done(record: Mapping[str, Any]) -> bool:
    """Return whether the trial needs no other try: it has a result or was skipped for a stated reason."""
    return is_result(record) or record["result"]["status"] == "skipped"


# --- identity ---------------------------------------------------------------------------------------------------------


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


_dump = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False
).encode  # of what was read or passed _check_plain, which no circle does


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: keys sorted, no spaces, shortest floats, UTF-8 characters as they are.

    Equal values give equal texts in every process. Raises RecordError for anything but finite plain JSON values.
    """
    _check_plain(value)
    return _dump(value)


def _digest(text: str) -> str:
    try:
        return hashlib.sha256(text.encode("utf-8")).hexdigest()
    except UnicodeEncodeError:
        raise RecordError("texts in a record must be valid Unicode, got a lone surrogate") from None


def config_hash(config: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of a config's canonical JSON: equal exactly for one and the same trial."""
    return _digest(canonical(dict(config)))


@functools.lru_cache(maxsize=10_000)
def _slug(text: str, limit: int) -> str:
    return re.sub(r"[^a-z0-9._]+", "-", text.lower())[:limit].strip("-._")


@functools.lru_cache(maxsize=100)
def _slug_of_model(model: str) -> str:
    return _slug(re.split(r"[/\\]", model.rstrip("/\\"))[-1], 24)


def record_id(config: Mapping[str, Any]) -> str:
    """Return a trial's id, safe as a file name: `task-model-strategy-f<fraction>-r<restart>-<12 digits of the hash>`.

    Only `a-z 0-9 . _ -` occur in it. The readable parts are cut short, the hash alone tells trials apart. Raises
    RecordError if the config lacks a field or holds one that no record may hold, so that it is found before training.
    """
    return record_ids([config])[0]


def record_ids(configs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return `record_id` of each config; a value that several hold as one object is checked and written out once."""
    known: dict[tuple[str, int], tuple[str, Any]] = {}  # by id: the text, and the value, which must stay where it is
    return [_id_of(config, known) for config in configs]


def _id_of(config: Mapping[str, Any], known: dict[tuple[str, int], tuple[str, Any]]) -> str:
    if not _CONFIG_RULES.keys() <= config.keys() or not _STRING.issuperset(map(type, config)):
        check_config(config)
        _check_plain(dict(config))
    texts = []
    for key in sorted(config):
        value = config[key]
        found = known.get((key, id(value)))
        if found is None:
            found = known[key, id(value)] = f"{_dump(key)}:{_field(key, value)}", value
        texts.append(found[0])
    return _name_of(config, _digest(f"{{{','.join(texts)}}}"))


def _field(key: str, value: Any) -> str:
    """Check one field of a config and return its canonical JSON."""
    _check({key: value}, {key: _CONFIG_RULES[key]} if key in _CONFIG_RULES else {}, "config.")
    if key == "protocol":
        _check(value, _PROTOCOL_RULES, "config.protocol.")
    _check_plain(value, 2)
    return _dump(value)


def _name_of(config: Mapping[str, Any], digest: str) -> str:
    parts = [_slug(config["task"], 24), _slug_of_model(config["model"]), _slug(config["strategy"], 56)]
    parts += [f"f{config['fraction']:g}", f"r{config['restart']}", digest[:12]]
    return "-".join(filter(None, parts))


# --- files ------------------------------------------------------------------------------------------------------------


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that others see the old content or the new one, never a part, also after a power cut.

    Temporary file in the same folder, fsync, rename, fsync of the folder. Raises OSError.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # elsewhere a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def encode_record(record: Mapping[str, Any]) -> tuple[str, bytes]:
    """Check a record, add `schema`, `id` and `checksum`; return the id and the canonical JSON as one line.

    Raises RecordError if the record breaks the schema.
    """
    _check(record, {key: _RECORD_RULES[key] for key in ("config", "result", "environment")})
    name = record_id(record["config"])
    body = {**record, "schema": SCHEMA, "id": name}
    body.pop("checksum", None)
    full = {**body, "checksum": _digest(canonical(body))}
    _check_result(full["result"])
    data = (_dump(full) + "\n").encode("utf-8")
    if len(data) > MAX_BYTES:
        raise RecordError(f"record {name} must not exceed {MAX_BYTES} bytes, got {len(data)}")
    return name, data


def write_record(folder: Path, record: Mapping[str, Any]) -> Path:
    """Check a record, add `schema`, `id` and `checksum`, and write it to `folder/<id>.json`; return that path.

    An earlier record of the same trial is replaced. Raises RecordError if the record breaks the schema or the disk
    refuses it; then nothing is left behind.
    """
    name, data = encode_record(record)
    path = Path(folder) / f"{name}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
    except OSError as error:
        raise RecordError(f"record {escape(str(path))} cannot be written: {error.strerror}", path) from None
    return path


def _read_bytes(path: str) -> bytes:
    """Read a regular file of bounded size; a pipe or a device from strangers must not block the reader."""
    try:
        file = os.open(path, _FLAGS)
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode):
                raise RecordError("a record must be a regular file")
            data = _read_all(file, found.st_size)
        finally:
            os.close(file)
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror}") from None
    return _bounded(data)


def _read_all(file: int, size: int) -> bytes:
    """Read an open file to its end, but no more than one byte above the limit."""
    parts = [os.read(file, min(size, MAX_BYTES) + 1)]
    if len(parts[0]) == size:
        return parts[0]
    while parts[-1] and (left := MAX_BYTES + 1 - sum(map(len, parts))) > 0:
        parts.append(os.read(file, left))
    return b"".join(parts)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    block = dict(pairs)
    if len(block) < len(pairs):
        raise ValueError("a key occurs twice in one object")
    return block


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"numbers must be finite, got {name}")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
_STRICT = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_without_duplicates)


def _is_intact(data: bytes) -> bool:
    """Return whether a file is byte for byte as it was written: its checksum is that of its other bytes.

    Then nothing that a checksum finds is looked for a second time; what a forger could write is checked all the same,
    but for a key that occurs twice in one object: its last value counts, for the id and all tables alike.
    """
    head = _HEAD.match(data)
    if head is None or _LONG.search(data[::_STRIDE]) or any(pattern.search(data) for pattern in _HUGE):
        return False
    return hashlib.sha256(b"{" + data[head.end() :].removesuffix(b"\n")).hexdigest().encode() == head[1]


def _parse(data: bytes, intact: bool) -> Any:
    try:
        return (_DECODER if intact else _STRICT).decode(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise RecordError("not UTF-8 text; it is truncated, corrupt or no record") from None
    except RecursionError:
        raise RecordError(f"a record must not nest deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise RecordError(f"not valid JSON ({error}); it is truncated, corrupt or no record") from None


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise RecordError(f"a record must not nest deeper than {MAX_DEPTH} levels")
        blocks = [block.values() if isinstance(block, dict) else block for block in level]
        nested = (block for block in blocks if not _CONTAINERS.isdisjoint(map(type, block)))
        level = [item for block in nested for item in block if type(item) in _CONTAINERS]


def _check_identity(record: Record, name: str | None, intact: bool) -> None:
    try:
        body = {} if intact else {key: value for key, value in record.items() if key != "checksum"}
        checksum = record["checksum"] if intact else _digest(_dump(body))
        digest = _digest(_dump(record["config"]))
    except ValueError as error:  # a number like 1e999 is read as infinite
        raise RecordError(str(error) if isinstance(error, RecordError) else "numbers must be finite") from None
    if checksum != record["checksum"]:
        raise RecordError("the checksum does not match the content; the file was changed or damaged")
    if record["id"] != _name_of(record["config"], digest):
        raise RecordError(f"the id {_shown(record['id'])} does not belong to its config; the file was changed")
    if name is not None and name != f"{record['id']}.json":
        raise RecordError(f"the file must be named {record['id']}.json after the trial that it holds")


def _decode(data: bytes, name: str | None) -> Record:
    """Check the bytes of one record; `name` is its file's, None for a line of an archive."""
    intact = _is_intact(data)
    record = _parse(data, intact)
    if not isinstance(record, dict) or "schema" not in record:
        raise RecordError("not a record: it must be an object with the key 'schema'")
    if not _is_whole(record["schema"], SCHEMA, SCHEMA):
        raise RecordError(
            f"schema must be {SCHEMA}, got {_shown(record['schema'])}; it needs another version of this tool"
        )
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH:
        _check_depth(record)
    _check(record, _RECORD_RULES)
    check_config(record["config"])
    _check_result(record["result"])
    _check_identity(record, name, intact)
    return record


def read_record(path: Path | str) -> Record:
    """Read and check one record: JSON, bounds, schema, types, checksum, and that id, config and file name agree.

    Raises RecordError, a sentence that names the file.
    """
    path = os.fspath(path)
    try:
        return _decode(_read_bytes(path), os.path.basename(path))
    except RecordError as error:
        raise RecordError(f"{escape(path)}: {error}", Path(path)) from None


def _read_archive(path: Path) -> Iterator[Record | RecordError]:
    """Yield the record of every line of an archive, or the reason why a line is none, holding one line at a time."""
    where, bad, number = escape(str(path)), 0, 0
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError("it must be a regular file")
        with gzip.open(path) as file:
            while bad < MAX_BAD_LINES and (line := file.readline(MAX_BYTES + 1)):
                number += 1
                try:
                    yield _decode(_bounded(line), None)
                except RecordError as error:
                    bad += 1 if len(line) <= MAX_BYTES else MAX_BAD_LINES  # the rest of that line is no line
                    yield RecordError(f"{where}, line {number}: {error}", path)
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        yield RecordError(f"{where}: the archive cannot be read after line {number}: {reason}", path)
    if bad >= MAX_BAD_LINES:
        yield RecordError(f"{where}: not read after line {number}; an archive holds one record a line", path)


def _bounded(data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise RecordError(f"a record must not exceed {MAX_BYTES} bytes")
    return data


def find_records(results: Iterable[Path | str]) -> list[str]:
    """Return the record files of output folders (their `records` folder), record folders and single files, sorted.

    Archives of records count as such; hidden files and files that are neither `*.json` nor `*.jsonl.gz` do not. Raises
    InputError for a path that cannot be listed.
    """
    found: dict[str, str] = {}
    real = functools.cache(os.path.realpath)
    for given in results:
        try:
            for path in _candidates(given):
                folder, name = os.path.split(path)
                found[f"{real(folder)}{os.sep}{name}"] = path
        except FileNotFoundError:
            known = "give output folders, record folders or record files"
            raise InputError(f"{escape(str(given))} does not exist; {known}") from None
        except OSError as error:
            raise InputError(f"{escape(str(given))} cannot be read: {error.strerror}") from None
    return sorted(found.values())


def _candidates(given: Path | str) -> list[str]:
    if not stat.S_ISDIR(os.stat(given).st_mode):
        return [os.fspath(given)]
    folder = Path(given, "records") if Path(given, "records").is_dir() else Path(given)
    names = [name for name in os.listdir(folder) if name.endswith((".json", ARCHIVE)) and not name.startswith(".")]
    start = str(folder / "_")[:-1]
    return [start + name for name in names if name not in BESIDE]


def stream_records(results: Iterable[Path | str]) -> Iterator[Record | RecordError]:
    """Yield every record below `results`, or the reason why a file is none, without holding more than one."""
    for path in find_records(results):
        if path.endswith(ARCHIVE):
            yield from _read_archive(Path(path))
            continue
        try:
            yield read_record(path)
        except RecordError as error:
            yield error


def read_records(results: Iterable[Path | str]) -> tuple[list[Record], list[RecordError]]:
    """Return all records below `results` (folders or files) and the files that are none; one never spoils another."""
    records: list[Record] = []
    problems: list[RecordError] = []
    for item in stream_records(results):
        if isinstance(item, RecordError):
            problems.append(item)
        else:
            records.append(item)
    return records, problems


def set_aside(problems: Iterable[RecordError], folder: Path) -> list[str]:
    """Move files that are no records out of the way, into `folder`, and say for each where it is now.

    Nothing is deleted or replaced. A file that cannot be moved stays and is said to.
    """
    said = []
    for path in [problem.path for problem in problems if problem.path is not None]:
        target = folder / f"{path.name[:200]}.{secrets.token_hex(4)}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            os.rename(path, target)
        except OSError as error:
            said.append(f"nothing: {escape(str(path))} cannot be moved ({error.strerror})")
        else:
            said.append(f"{escape(str(path))} as {escape(str(target))}")
    return said
