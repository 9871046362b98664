"""One JSON file per trial: how it is written so that a crash leaves no half of it, and read so that nothing is trusted.

The file is `<id>.json`, canonical JSON of one line. `checksum` is the SHA-256 of the canonical JSON of all the rest. A
record is plain data: it is read as JSON only, at most `MAX_BYTES` long and `MAX_DEPTH` deep, with finite numbers.
Many records may also lie in one archive (`*.jsonl.gz`, one record a line), read wherever a folder of records is.
"""

import functools
import gzip
import hashlib
import json
import os
import re
import secrets
import stat
import zlib
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from fisher.common.errors import InputError
from fisher.common.files import read_regular, write_atomic
from fisher.common.text import escape
from leaderboard.records import schema
from leaderboard.records.identity import DIGITS, MAX_DEPTH, canonical, digest, dump, name_of, record_id
from leaderboard.records.schema import Record, RecordError

MAX_BYTES = 32 * 1024 * 1024
MAX_BAD_LINES = 100  # of one archive: what is no archive must not fill the memory with reasons
ARCHIVE = ".jsonl.gz"
COMPANIONS = ("labels.json", "leaderboard.json", "methods.json", "plan.json", "split_hashes.json")  # of records

_CONTAINERS = {dict, list}  # what JSON nests
_HEAD = re.compile(rb'\{"checksum":"([0-9a-f]{64})",')  # how a record begins: its keys are sorted
_CONFIG, _ENVIRONMENT = b'"config":', b',"environment":'  # what stands before a record's config and behind it


def encode_record(record: Mapping[str, Any]) -> tuple[str, bytes]:
    """Check a record, add `schema`, `id` and `checksum`; return the id and the canonical JSON as one line.

    Raises RecordError if the record breaks the schema.
    """
    schema.check_blocks(record)
    name = record_id(record["config"])
    body = {**record, "schema": schema.VERSION, "id": name}
    body.pop("checksum", None)
    full = {**body, "checksum": digest(canonical(body))}
    schema.check_result(full["result"])
    data = (dump(full) + "\n").encode("utf-8")
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


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    block = dict(pairs)
    if len(block) < len(pairs):
        raise ValueError("a key occurs twice in one object")
    return block


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"numbers must be finite, got {name}")


_STRICT = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_without_duplicates)


def _is_intact(data: bytes) -> bool:
    """Return whether a file is byte for byte as it was written: its checksum is that of its other bytes."""
    head = _HEAD.match(data)
    if head is None:
        return False
    return hashlib.sha256(b"{" + data[head.end() :].removesuffix(b"\n")).hexdigest().encode() == head[1]


def _parse(data: bytes) -> tuple[Any, bool]:
    """Return what the bytes of a record hold, and whether they are intact and all their numbers finite.

    Then nothing that a checksum finds is looked for a second time; what a forger could write is checked all the same,
    but for a key that occurs twice in one object: its last value counts, for the id and all tables alike.
    """
    if _is_intact(data):
        try:
            return msgspec.json.decode(data), True
        except (ValueError, RecursionError):  # forged; the strict reader says what is wrong
            pass
    try:
        return _STRICT.decode(data.decode("utf-8")), False
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


def _check_identity(record: Record, intact: bool) -> None:
    try:
        body = {} if intact else {key: value for key, value in record.items() if key != "checksum"}
        checksum = record["checksum"] if intact else digest(dump(body))
        expected = name_of(record["config"], digest(dump(record["config"])))
    except ValueError as error:  # a number like 1e999 is read as infinite
        raise RecordError(str(error) if isinstance(error, RecordError) else "numbers must be finite") from None
    if checksum != record["checksum"]:
        raise RecordError("the checksum does not match the content; the file was changed or damaged")
    if record["id"] != expected:
        raise RecordError(f"the id {schema.shown(record['id'])} does not belong to its config; the file was changed")


def _is_planned(data: bytes, name: str | None, planned: Container[str]) -> bool:
    """Return whether an intact record is that of a planned trial, whose config was checked when its id was made.

    The id ends with the hash of its config's canonical text; no second config follows, under an escaped key neither.
    """
    if name is None or name.removesuffix(".json") not in planned or data.count(_CONFIG) != 1 or b"\\u" in data:
        return False
    text = data.partition(_CONFIG)[2].partition(_ENVIRONMENT)[0]
    return name.endswith(f"-{hashlib.sha256(text).hexdigest()[:DIGITS]}.json")


def _decode(data: bytes, name: str | None, planned: Container[str] = ()) -> Record:
    """Check the bytes of one record; `name` is its file's, None for a line of an archive."""
    record, intact = _parse(data)
    schema.check_version(record)
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH:
        _check_depth(record)
    as_planned = intact and _is_planned(data, name, planned)
    schema.check_record(record, with_config=not as_planned)
    if not as_planned:
        _check_identity(record, intact)
    if name is not None and name != f"{record['id']}.json":
        raise RecordError(f"the file must be named {record['id']}.json after the trial that it holds")
    return record


def read_record(path: Path | str, *, planned: Container[str] = ()) -> Record:
    """Read and check one record: JSON, bounds, schema, types, checksum, and that id, config and file name agree.

    planned: ids that `identity.record_ids` made; of their records the config's text is compared with the id, and what
    is in it is not looked at again.

    Raises RecordError, a sentence that names the file.
    """
    path = os.fspath(path)
    try:
        return _decode(_bounded(read_regular(path, MAX_BYTES + 1)), os.path.basename(path), planned)
    except (OSError, RecordError) as error:
        why = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else error
        raise RecordError(f"{escape(path)}: {why}", Path(path)) from None


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


def find_records(results: Iterable[Path | str], *, none_empty: bool = False) -> list[str]:
    """Return the record files of output folders (their `records` folder), record folders and single files, sorted.

    Archives of records count as such; hidden files and files that are neither `*.json` nor `*.jsonl.gz` do not. Raises
    InputError for a path that cannot be listed and, where `none_empty` is asked, for a folder without any.
    """
    found: dict[str, str] = {}
    real = functools.cache(os.path.realpath)
    for given in results:
        try:
            paths = _candidates(given)
            if not paths and none_empty:
                raise none_found([given])
            for path in paths:
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
    return [start + name for name in names if name not in COMPANIONS]


def stream_records(
    results: Iterable[Path | str], *, none_empty: bool = False, planned: Container[str] = ()
) -> Iterator[Record | RecordError]:
    """Yield every record below `results`, or the reason why a file is none, without holding more than one.

    planned: as `read_record` takes it. Raises InputError as `find_records` does.
    """
    for path in find_records(results, none_empty=none_empty):
        if path.endswith(ARCHIVE):
            yield from _read_archive(Path(path))
            continue
        try:
            yield read_record(path, planned=planned)
        except RecordError as error:
            yield error


def good_records(
    results: Iterable[Path | str], problems: list[RecordError], *, none_empty: bool = True
) -> Iterator[Record]:
    """Yield every record below `results` and append to `problems` why a file is none; one never spoils another.

    Raises InputError as `find_records` does.
    """
    for item in stream_records(results, none_empty=none_empty):
        if isinstance(item, RecordError):
            problems.append(item)
        else:
            yield item


def read_records(results: Iterable[Path | str]) -> tuple[list[Record], list[RecordError]]:
    """Return all records below `results` (folders or files) and the files that are none."""
    problems: list[RecordError] = []
    return list(good_records(results, problems, none_empty=False)), problems


def none_found(results: Iterable[Path | str]) -> InputError:
    """Return the error that says that no file below `results` can be used."""
    where = ", ".join(escape(str(path)) for path in results)
    return InputError(f"no usable record found in {where}; give the --output folder of a run or its records folder")


def set_aside(problems: Iterable[RecordError], folder: Path) -> list[str]:
    """Move files that are no records out of the way, into `folder`, and say for each where it is now.

    Nothing is deleted or replaced. A file that cannot be moved stays and is said to.
    """
    said = []
    for path in dict.fromkeys(problem.path for problem in problems if problem.path is not None):
        target = folder / f"{path.name[:200]}.{secrets.token_hex(4)}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            os.rename(path, target)
        except OSError as error:
            said.append(f"nothing: {escape(str(path))} cannot be moved ({error.strerror})")
        else:
            said.append(f"{escape(str(path))} as {escape(str(target))}")
    return said
