"""Examples of a task from one of three sources behind one interface, never mixed within a task.

`folder`: files as GLUE lays them out (`--data-dir`, or shipped with the package); `hub`: the Hugging Face hub; `file`:
the user's own files. An example's id is its row number in the training, dev or test part, from 0 (on the hub the row's
position, not its `idx`), so that every source gives the same ids.
"""

import functools
import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.data.readers import Dropped, FaultyRows, quoted_as_csv, read_table
from benchmarks.data.tasks import HUB_DATASET, Task
from benchmarks.pocket import TASKS_DIR
from fisher.common.errors import InputError, first_line, require

_as_json = json.JSONEncoder(ensure_ascii=False).encode
_NOT_TEXT = re.compile("[\0\ud800-\udfff]")  # possible only where an escape made it, as in JSON
MOST_SCORE = 1e18  # of a task without a range: what is trained is the squared error, in float32
Source = Literal["folder", "hub", "file"]


@dataclass(frozen=True, slots=True)
class Example:
    """One example: its row number in its part, one or two texts, and a class id, a score, or None (test files)."""

    id: int
    texts: tuple[str, ...]
    label: int | float | None


@dataclass(frozen=True, eq=False)
class TaskData:
    """Train and dev of a task, from one source; `extra` holds further dev sets by name (MNLI: mismatched).

    What is computed from it is kept by which it is, not by what it holds: comparing texts would cost more.
    warnings: what the files look like, for the user to judge; dropped: the rows that were left out.
    """

    task: Task
    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    source: Source
    extra: Mapping[str, tuple[Example, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    dropped: Dropped = field(default_factory=dict)


def load_task_data(
    task: Task, *, data_dir: str | Path | None = None, offline: bool = False, dropped: Dropped | None = None
) -> TaskData:
    """Train and dev examples of `task`.

    A GLUE task comes from `data_dir` when that is given and from the hub otherwise (`offline`: from the hub's cache on
    this machine); pocket and own tasks bring their data along and ignore both. dropped: rows that are left out, by
    line of a file or row of the hub; those after them move up. Raises InputError that names all rows that are wrong.
    """
    reader = _Reader(task, data_dir, offline, dropped or {})
    return TaskData(
        task=task,
        train=reader.read("train"),
        dev=reader.read("dev"),
        source=reader.source,
        extra={name: reader.read(name) for name in reader.extra},
        warnings=tuple(reader.warnings),
        dropped=dict(dropped or {}),
    )


def load_test(
    task: Task, *, name: str = "test", data_dir: str | Path | None = None, offline: bool = False
) -> tuple[Example, ...]:
    """Test examples of `task`, always without labels; `name` is "test" or the name of an extra set ("mismatched").

    Arguments and errors otherwise as for `load_task_data`.
    """
    reader = _Reader(task, data_dir, offline, {})
    require(
        name == "test" or name in reader.extra,
        f"{task.name} has no test set {name!r}, it has: {', '.join(('test', *reader.extra))}.",
    )
    return reader.read(name, labelled=False)


def text_line(example: Example) -> bytes:
    """Label and texts as a JSON array `[label, text, ...]` and a newline."""
    return _as_json([example.label, *example.texts]).encode() + b"\n"


def examples_hash(examples: Iterable[Example], line: Callable[[Example], bytes] = text_line) -> str:
    """SHA-256 over texts and labels in order, a `text_line` for each; equal for every source.

    line: `text_line`, or a cache of it where the same examples are hashed in many selections.
    """
    return hashlib.sha256(b"".join(map(line, examples))).hexdigest()


class _Reader:
    """One task's source: `read` gives the examples of one part of it, `extra` names its further dev sets."""

    def __init__(self, task: Task, data_dir: str | Path | None, offline: bool, dropped: Dropped) -> None:
        self.task, self.offline, self.dropped = task, offline, dropped
        self.folder = {"embedded": TASKS_DIR, "own": Path()}.get(task.kind, data_dir)
        self.source: Source = "file" if task.kind == "own" else "hub" if self.folder is None else "folder"
        self.extra = tuple(name for name, _, _ in task.files.extra)
        self.warnings: list[str] = []
        known = () if task.kind == "embedded" else ("train", "dev", *self.extra)
        if lost := [part for part in dropped if part not in known]:
            raise InputError(
                f"--drop-rows must name train or dev rows of a GLUE task or of your own, got {task.name}:{lost[0]}"
            )

    def read(self, part: str, labelled: bool = True) -> tuple[Example, ...]:
        """The examples of a part. Raises InputError that names every row that is wrong."""
        name = self.task.files.name(part, labelled)
        if name is None and part == "dev":
            return ()
        if name is None:
            raise InputError(f"{self.task.toml}: names no test file.")
        option = f"{self.task.name}:{part}" if labelled else ""
        read = self._hub if self.folder is None else self._file
        return read(name, labelled, option, self.dropped.get(part, ()))

    def _file(self, name: str, labelled: bool, option: str, dropped: Sequence[int]) -> tuple[Example, ...]:
        task, files, folder = self.task, self.task.files, Path(self.folder or "", self.task.files.folder)
        require(
            os.path.isdir(folder),
            f"{folder}: no such folder; the data folder must hold {files.folder}/ as GLUE's release does.",
        )
        path, text = folder / name, files.text or task.text
        faults = FaultyRows(str(path), option=option)
        wanted, columns = ((*text, files.label), files.columns) if labelled else (text, None)
        rows = read_table(path, wanted, faults, columns=columns, dropped=dropped)
        if task.kind == "own" and path.suffix == ".tsv" and (quoted := quoted_as_csv(rows)):
            self.warnings.append(f"{path}: {quoted}")
        ids = {word: index for index, word in enumerate(files.codes or task.labels or ())}
        label_of = functools.partial(_label, task, words=ids) if labelled else None
        return _examples(((row.line, row.cells) for row in rows), len(text), label_of, faults)

    def _hub(self, name: str, labelled: bool, option: str, dropped: Sequence[int]) -> tuple[Example, ...]:
        task, split = self.task, Path(name).stem.replace("dev", "validation", 1)  # dev_matched: validation_matched
        faults = FaultyRows(f"{HUB_DATASET} ({task.name}), {split}", unit="row", option=option)
        table = _hub_columns(task, self.splits, split, faults.where)
        faults.leave_out(dropped, range(len(table["label"])))
        columns = (*(table[name] for name in task.text), table["label"])
        rows = ((at, cells) for at, cells in enumerate(zip(*columns, strict=True)) if at not in dropped)
        label_of = functools.partial(_hub_label, task) if labelled else None
        return _examples(rows, len(task.text), label_of, faults)

    @functools.cached_property
    def splits(self) -> Mapping[str, Any]:
        """All splits of the hub's configuration; from this machine's cache when it is there or when `offline`."""
        import datasets

        try:
            with offline_hub(self.offline):
                splits: Mapping[str, Any] = datasets.load_dataset(HUB_DATASET, self.task.name)
                return splits
        except Exception as error:  # whatever its HTTP library, its cache or its parsers raise: no data are to be had
            reason, offline = first_line(error).rstrip("."), self.offline
            why = (
                "is not in this machine's Hugging Face cache (offline)" if offline else "cannot be loaded from the hub"
            )
            raise InputError(
                f"{HUB_DATASET} ({self.task.name}) {why}: {reason}; "
                f"{'run once with the network' if offline else 'check the network'} or give the GLUE files with "
                "--data-dir."
            ) from error


@contextmanager
def offline_hub(offline: bool) -> Iterator[None]:
    """Forbid downloads inside the block; `datasets` reads its environment variable only once, at import."""
    import datasets

    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = before or offline
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


def _hub_columns(task: Task, splits: Mapping[str, Any], name: str, where: str) -> Mapping[str, list[Any]]:
    """The columns of one split of the hub. Raises InputError where they are not those of the task."""
    require(name in splits, f"{where}: no such split, found {', '.join(splits)}.")
    rows = splits[name]
    for column in (*task.text, "label"):
        require(
            column in rows.column_names, f"{where}: column {column!r} is missing, found {', '.join(rows.column_names)}."
        )
    words = getattr(rows.features["label"], "names", None)
    if words is not None and tuple(words) != task.labels:
        raise InputError(f"{where}: the classes must be {', '.join(task.labels or ())}, found {', '.join(words)}.")
    table: Mapping[str, list[Any]] = rows.with_format(None)[:]
    return table


# ---------------------------------------------------------------------------------------------- from cells to examples


def _examples(
    rows: Iterable[tuple[int, Sequence[object]]],
    texts: int,
    label_of: Callable[[object], int | float] | None,
    faults: FaultyRows,
) -> tuple[Example, ...]:
    """Examples of rows (number, cells: the texts first, the label last); all rows that are none in one InputError."""
    answer: list[Example] = []
    for number, cells in rows:
        try:
            label = label_of(cells[-1]) if label_of else None
            answer.append(Example(len(answer), tuple(map(_text, cells[:texts])), label))
        except ValueError as error:
            faults.note(number, str(error))
    faults.refuse()
    return tuple(answer)


def _text(cell: object) -> str:
    """A cell of a text column, as it stands; ValueError says what is wrong with it."""
    if not isinstance(cell, str):
        raise ValueError(f"a text must be a string, got {cell!r}")
    if not cell.strip():
        raise ValueError("an example's text must not be empty")
    if _NOT_TEXT.search(cell):
        raise ValueError(f"a text must be valid Unicode without NUL, got {cell[:40]!r}")
    return cell


def _label(task: Task, cell: object, words: Mapping[str, int]) -> int | float:
    """A cell of the label column as a class id or a score; `words` maps the file's words to ids."""
    if task.regression:
        return _score(cell, task.score_range)
    word = cell if isinstance(cell, str) else json.dumps(cell)
    if word not in words:
        raise ValueError(f"unknown label {word!r}, expected one of {', '.join(words)}")
    return words[word]


def _hub_label(task: Task, label: object) -> int | float:
    """A class id is taken as it is; scores are stored as float32, and three decimals give the official value back."""
    if task.regression:
        return _score(round(label, 3) if isinstance(label, float) else label, task.score_range)
    if not isinstance(label, int) or not 0 <= label < len(task.labels or ()):
        raise ValueError(f"a class id must be in 0..{len(task.labels or ()) - 1}, got {label!r}")
    return label


def _score(cell: object, score_range: tuple[float, float] | None) -> float:
    """A regression label: a plain number inside `score_range`, whose square fits float32."""
    low, high = score_range or (-MOST_SCORE, MOST_SCORE)
    readable = isinstance(cell, (str, int, float)) and not isinstance(cell, bool) and "_" not in str(cell)
    try:
        value = float(cell) if readable else math.nan  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        wanted = f"a number in [{low:g}, {high:g}]" if score_range else "a finite number"
        raise ValueError(f"a score must be {wanted}, got {cell!r}")
    if not low <= value <= high:
        hint = "" if score_range else ", whose square fits float32 (scale the scores)"
        raise ValueError(f"a score must be a number in [{low:g}, {high:g}]{hint}, got {cell!r}")
    return value
