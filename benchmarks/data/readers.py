"""Tables from text files, with the line number of every row: TSV, CSV and JSON lines.

A file that is not what it should be ends in one InputError that names file and line; nothing is skipped or repaired.
"""

import csv
import io
import json
import os
import stat
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fisher.common.errors import InputError

MAX_TOML = 1_000_000  # bytes of a suite or of a task file
_BOM = b"\xef\xbb\xbf"


class Row(NamedTuple):
    """The wanted cells of one row, in the order asked for, and the line it ends on (from 1)."""

    line: int
    cells: list[object]


def read_table(path: Path, wanted: Sequence[str], *, columns: Sequence[str] | None = None) -> list[Row]:
    """The `wanted` columns of every row of `path`; the format follows the file's suffix.

    `columns` names the columns of a TSV file that has no header. Raises InputError for a missing or empty file, for
    bytes that are not UTF-8, for a NUL, a missing column, or a row with another number of columns than the header.
    """
    text = read_text(path)
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        rows = list(_json_rows(path, text, wanted))
    else:
        records = _csv_records(path, text) if suffix == ".csv" else _tsv_records(text)
        rows = list(_select(path, records, wanted, columns))
    if not rows:
        raise InputError(f"{path}: holds no examples.")
    return rows


def load_toml(path: Path) -> dict[str, Any]:
    """A TOML file of at most `MAX_TOML` bytes, from whomever it comes.

    Raises OSError if it cannot be read, and ValueError, whose text says why, if it is too large or no TOML.
    """
    file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe must not block
    try:
        data = os.read(file, MAX_TOML + 1) if stat.S_ISREG(os.fstat(file).st_mode) else None
    finally:
        os.close(file)
    if data is None:
        raise ValueError("it is no regular file")
    if len(data) > MAX_TOML:
        raise ValueError(f"it must have at most {MAX_TOML} bytes")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except RecursionError:
        raise ValueError("it nests too deep") from None


def read_text(path: Path) -> str:
    """The file as text: UTF-8, with or without a byte-order mark, no NUL; InputError otherwise."""
    try:
        data = path.read_bytes().removeprefix(_BOM)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    if (nul := data.find(b"\0")) >= 0:
        raise InputError(f"{path}, line {_line_at(data, nul)}: holds a NUL byte, so it is not a text file.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}, line {_line_at(data, error.start)}: is not UTF-8.") from None


def _line_at(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1


def _lines(text: str) -> list[str]:
    """Lines end at a newline only (a text may hold U+2028 or a form feed); the last one may lack it."""
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _tsv_records(text: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(_lines(text), start=1):
        yield number, line.removesuffix("\r").split("\t")


def _csv_records(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: is not valid CSV ({error}).") from None


def _select(
    path: Path, records: Iterator[tuple[int, list[str]]], wanted: Sequence[str], columns: Sequence[str] | None
) -> Iterator[Row]:
    """Pick the wanted columns of each record; the header, if any, is the first record."""
    if columns is None:
        _, columns = next(records, (0, None))
        if columns is None:
            raise InputError(f"{path}: is empty.")
    places = [_place(path, columns, name) for name in wanted]
    for line, cells in records:
        if len(cells) != len(columns):
            raise InputError(f"{path}, line {line}: expected {len(columns)} columns, found {len(cells)}.")
        yield Row(line, [cells[place] for place in places])


def _place(path: Path, columns: Sequence[str], name: str) -> int:
    if columns.count(name) != 1:
        found = "more than once" if name in columns else "not at all"
        raise InputError(
            f"{path}, line 1: the header must name column {name!r} once, found {found} in {list(columns)}."
        )
    return columns.index(name)


def _json_rows(path: Path, text: str, wanted: Sequence[str]) -> Iterator[Row]:
    for number, line in enumerate(_lines(text), start=1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            raise InputError(f"{path}, line {number}: is not valid JSON.") from None
        if not isinstance(record, dict):
            raise InputError(f"{path}, line {number}: must be a JSON object, got {line.strip()[:40]!r}.")
        for name in wanted:
            if name not in record:
                raise InputError(f"{path}, line {number}: key {name!r} is missing.")
        yield Row(number, [record[name] for name in wanted])
