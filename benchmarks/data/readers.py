"""Tables from text files, with the line number of every row: TSV, CSV and JSON lines.

A file that is not what it should be ends in one InputError that names all rows that cannot be used; nothing is
repaired, and nothing left out but what the user names by number.
"""

import csv
import io
import json
import re
import sys
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fisher.common.errors import InputError, require
from fisher.common.files import read_text

SHOWN = 10
Dropped = Mapping[str, tuple[int, ...]]  # part (train, dev, or the name of a further dev set) -> numbers of its rows
MAX_TOML = 1_000_000  # characters of a suite or of a task file
KINDS: dict[str, tuple[Any, str, str]] = {  # type -> what may be in TOML, one of them and several in words
    "Mapping": (dict, "a table of key = value", "tables"),
    "int": (int, "a whole number", "whole numbers"),
    "float": ((int, float), "a number", "numbers"),
    "str": (str, "a text", "texts"),
    "bool": (bool, "true or false", "truths"),
}
csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # a text is cut to its first tokens anyway; the default is 131,072


class Row(NamedTuple):
    """The wanted cells of one row, in the order asked for, and the line it ends on (from 1)."""

    line: int
    cells: list[object]


class FaultyRows:
    """The faulty rows of one file or table, collected for one sentence about all of them.

    where: the file or table; unit: what its numbers count; option: what `--drop-rows` takes before the numbers, or
    nothing where no row may be left out.
    """

    def __init__(self, where: str, *, unit: str = "line", option: str = "") -> None:
        self.where, self.unit, self.option = where, unit, option
        self.found: dict[int, str] = {}

    def note(self, number: int, sentence: str) -> None:
        """Remember what is wrong with a row; of several faults the first."""
        self.found.setdefault(number, sentence)

    def leave_out(self, dropped: Collection[int], numbers: Iterable[int]) -> None:
        """Forget what is wrong with rows that are left out. Raises InputError for one that is not among `numbers`."""
        if lost := sorted(set(dropped).difference(numbers)):
            raise InputError(
                f"{self.where}: --drop-rows must name rows that are there, but it has no {self.unit} {lost[0]}."
            )
        self.found = {number: sentence for number, sentence in self.found.items() if number not in dropped}

    def refuse(self) -> None:
        """Raise InputError if any row is faulty: the first ten of them, the count, and the way out."""
        self.found = dict(sorted(self.found.items()))
        if len(self.found) == 1:
            [(number, sentence)] = self.found.items()
            raise InputError(f"{self.where}, {self.unit} {number}: {sentence}.{self._way_out()}")
        if self.found:
            more = len(self.found) - SHOWN
            rest = f"; and {more} more" if more > 0 else ""
            raise InputError(
                f"{self.where}: {len(self.found)} rows cannot be used: {'; '.join(self._groups())}{rest}."
                + self._way_out()
            )

    def _groups(self) -> Iterable[str]:
        by_sentence: dict[str, list[int]] = {}
        for number, sentence in list(self.found.items())[:SHOWN]:
            by_sentence.setdefault(sentence, []).append(number)
        for sentence, numbers in by_sentence.items():
            several = "s" if len(numbers) > 1 else ""
            yield f"{self.unit}{several} {', '.join(map(str, numbers))} ({sentence})"

    def _way_out(self) -> str:
        numbers = ",".join(map(str, self.found))
        return f" Correct them or leave them out: --drop-rows {self.option}:{numbers}" if self.option else ""


def parse_dropped(texts: Iterable[str]) -> dict[str, dict[str, tuple[int, ...]]]:
    """{task: {part: numbers}} of texts such as `qqp:train:4,5`, as typed after `--drop-rows`. Raises InputError."""
    answer: dict[str, dict[str, set[int]]] = {}
    for text in texts:
        if not (found := re.fullmatch(r"([^:]+):([a-z]+):(\d+(?:,\d+)*)", text)):
            raise InputError(f"--drop-rows must be TASK:PART:NUMBERS, such as qqp:train:4,5, got {text!r}")
        task, part, numbers = found.groups()
        answer.setdefault(task, {}).setdefault(part, set()).update(map(int, numbers.split(",")))
    return {task: {part: tuple(sorted(rows)) for part, rows in sorted(parts.items())} for task, parts in answer.items()}


def read_table(
    path: Path,
    wanted: Sequence[str],
    faults: FaultyRows,
    *,
    columns: Sequence[str] | None = None,
    dropped: Collection[int] = (),
) -> list[Row]:
    """The `wanted` columns of every row of `path`; the format follows the file's suffix.

    faults: takes rows of another number of columns than the header, and what is no JSON object with the wanted keys;
    the caller refuses them. columns: names of the columns of a TSV file that has no header. dropped: lines whose rows
    are left out. Raises InputError for a missing or empty file, for bytes that are not UTF-8, for a NUL, or a missing
    column.
    """
    text = read_text(path)
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        every = list(_json_rows(text, wanted, faults))
    else:
        records = _csv_records(path, text) if suffix == ".csv" else _tsv_records(text)
        every = list(_select(path, records, wanted, columns, faults))
    faults.leave_out(dropped, {*faults.found, *(row.line for row in every)})
    rows = [row for row in every if row.line not in dropped]
    require(rows or faults.found, f"{path}: holds no examples.")
    return rows


def load_toml(path: Path, what: str) -> dict[str, Any]:
    """A TOML file of at most `MAX_TOML` bytes, from whomever it comes; `what` says in messages what it holds.

    Raises InputError, which says why, if it cannot be read, is too large or is no TOML.
    """
    text = read_text(path)
    try:
        if len(text) > MAX_TOML:
            raise ValueError(f"it must have at most {MAX_TOML} characters")
        return tomllib.loads(text)
    except RecursionError:
        raise InputError(f"{path}: {what} must be a TOML file: it nests too deep.") from None
    except ValueError as error:
        raise InputError(f"{path}: {what} must be a TOML file: {error}.") from None


def typed(name: str, kind: str, value: Any) -> Any:
    """A TOML value as a dataclass's field of type `kind` wants it; a list becomes a tuple. Raises InputError."""
    listed = kind.startswith("tuple")
    found = next(known for known in KINDS if known in kind)
    types, one, several = KINDS[found]
    items = value if listed else [value]
    fit = isinstance(items, list) and all(
        isinstance(item, types) and isinstance(item, bool) == (types is bool) for item in items
    )
    require(fit, f"{name} must be {f'a list of {several}' if listed else one}", repr(value))
    if not listed:
        return value
    return tuple(map(float, items)) if found == "float" else tuple(items)


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
    path: Path,
    records: Iterator[tuple[int, list[str]]],
    wanted: Sequence[str],
    columns: Sequence[str] | None,
    faults: FaultyRows,
) -> Iterator[Row]:
    """Pick the wanted columns of each record; the header, if any, is the first record."""
    if columns is None:
        _, columns = next(records, (0, None))
        if columns is None:
            raise InputError(f"{path}: is empty.")
    places = [_place(path, columns, name) for name in wanted]
    for line, cells in records:
        if len(cells) == len(columns):
            yield Row(line, [cells[place] for place in places])
        else:
            faults.note(line, f"expected {len(columns)} columns, found {len(cells)}")


def _place(path: Path, columns: Sequence[str], name: str) -> int:
    if columns.count(name) != 1:
        found = "more than once" if name in columns else "not at all"
        raise InputError(
            f"{path}, line 1: the header must name column {name!r} once, found {found} in {list(columns)}."
        )
    return columns.index(name)


def _json_rows(text: str, wanted: Sequence[str], faults: FaultyRows) -> Iterator[Row]:
    for number, line in enumerate(_lines(text), start=1):
        try:
            yield Row(number, _json_cells(line, wanted))
        except ValueError as error:
            faults.note(number, str(error))


def _json_cells(line: str, wanted: Sequence[str]) -> list[object]:
    """The wanted values of one line; ValueError says what is wrong with it."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("is not valid JSON") from None
    if not isinstance(record, dict):
        raise ValueError(f"must be a JSON object, got {line.strip()[:40]!r}")
    if lost := [name for name in wanted if name not in record]:
        raise ValueError(f"key {lost[0]!r} is missing")
    return [record[name] for name in wanted]


def quoted_as_csv(rows: Sequence[Row]) -> str | None:
    """A sentence where cells of a TSV file look as CSV writes them, quotes around and doubled within; or None."""
    found = [(row.line, cell) for row in rows for cell in row.cells if isinstance(cell, str) and _is_quoted(cell)]
    if not found or (len(found) < len(rows) and not any('""' in cell[1:-1] for _, cell in found)):
        return None
    line, cell = found[0]
    return (
        f"{len(found)} texts stand in quotes, as CSV writes them (line {line}: {cell[:40]}); the quotes of a TSV file "
        "count as text: save it without them, or as .csv"
    )


def _is_quoted(cell: str) -> bool:
    return len(cell) > 2 and cell[0] == cell[-1] == '"' and '"' not in cell[1:-1].replace('""', "")
