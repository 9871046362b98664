"""Examples of a task from one of four sources behind one interface, never mixed within a task.

`folder`: the original GLUE files (`--data-dir`); `hub`: the Hugging Face hub; `file`: the user's own files;
`embedded`: the pocket language. An example's id is its row number in the training, dev or test part, from 0 (on the hub
the row's position, not its `idx`), so that every source gives the same ids.
"""

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

from benchmarks.data.readers import read_table
from benchmarks.data.tasks import HUB_DATASET, GlueFiles, HubColumns, OwnFiles, Task
from fisher.common.errors import InputError

_NOT_TEXT = re.compile("[\0\ud800-\udfff]")  # possible only where an escape made it, as in JSON
Label = int | float | None
Source = Literal["folder", "hub", "file", "embedded"]


@dataclass(frozen=True, slots=True)
class Example:
    """One example: its row number in its part, one or two texts, and a class id, a score, or None (test files)."""

    id: int
    texts: tuple[str, ...]
    label: Label


@dataclass(frozen=True)
class TaskData:
    """Train and dev of a task, from one source; `extra` holds further dev sets by name (MNLI: mismatched)."""

    task: Task
    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    source: Source
    extra: Mapping[str, tuple[Example, ...]] = field(default_factory=dict)


def load_task_data(task: Task, *, data_dir: str | Path | None = None, offline: bool = False) -> TaskData:
    """Train and dev examples of `task`.

    A GLUE task comes from `data_dir` when that is given and from the hub otherwise (`offline`: from the hub's cache on
    this machine); pocket and own tasks bring their data along and ignore both. Raises InputError that names the file
    and line, or the hub's row, of whatever is wrong.
    """
    source, read, extra = _reader(task, data_dir, offline)
    return TaskData(
        task=task,
        train=read("train", True),
        dev=read("dev", True),
        source=source,
        extra={name: read(name, True) for name in extra},
    )


def load_test(
    task: Task, *, name: str = "test", data_dir: str | Path | None = None, offline: bool = False
) -> tuple[Example, ...]:
    """Test examples of `task`, always without labels; `name` is "test" or the name of an extra set ("mismatched").

    Arguments and errors otherwise as for `load_task_data`.
    """
    _, read, extra = _reader(task, data_dir, offline)
    if name != "test" and name not in extra:
        raise InputError(f"{task.name} has no test set {name!r}, it has: {', '.join(('test', *extra))}.")
    return read(name, False)


def examples_hash(examples: Iterable[Example]) -> str:
    """SHA-256 over texts and labels in order: one JSON array `[label, text, ...]` a line; equal for every source."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(json.dumps([example.label, *example.texts], ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()


Read = Callable[[str, bool], tuple[Example, ...]]  # (part, labelled) -> examples


def _reader(task: Task, data_dir: str | Path | None, offline: bool) -> tuple[Source, Read, tuple[str, ...]]:
    """The source of `task`, the function that reads one part of it, and the names of its extra sets."""
    if task.own is not None:
        own = task.own
        return "file", lambda part, labelled: _read_own(task, own, part, labelled), ()
    if task.glue is None or task.hub is None:
        return "embedded", lambda part, labelled: _read_embedded(task, part, labelled), ()
    extra = tuple(name for name, _, _ in task.glue.extra)
    if data_dir is not None:
        files, folder = task.glue, _glue_folder(Path(data_dir), task.glue)
        return "folder", lambda part, labelled: _read_glue(task, files, folder, part, labelled), extra
    hub, splits = task.hub, _load_hub(task.hub, offline)
    return "hub", lambda part, labelled: _read_hub(task, hub, splits, part, labelled), extra


# ---------------------------------------------------------------------------------------------- from cells to examples


def _text(cell: object, where: str) -> str:
    """A cell of a text column, as it stands; `where` names its place in a message."""
    if not isinstance(cell, str):
        raise InputError(f"{where}: a text must be a string, got {cell!r}.")
    if not cell.strip():
        raise InputError(f"{where}: an example's text must not be empty.")
    if _NOT_TEXT.search(cell):
        raise InputError(f"{where}: a text must be valid Unicode without NUL, got {cell[:40]!r}.")
    return cell


def _label(task: Task, cell: object, words: Mapping[str, int], where: str) -> int | float:
    """A cell of the label column as a class id or a score; `words` maps the file's words to ids."""
    if task.regression:
        return _score(cell, task.score_range, where)
    word = cell if isinstance(cell, str) else json.dumps(cell)
    if word not in words:
        raise InputError(f"{where}: unknown label {word!r}, expected one of {', '.join(words)}.")
    return words[word]


def _score(cell: object, score_range: tuple[float, float] | None, where: str) -> float:
    """A regression label: a plain finite number inside `score_range`."""
    low, high = score_range or (-math.inf, math.inf)
    readable = isinstance(cell, (str, int, float)) and not isinstance(cell, bool) and "_" not in str(cell)
    try:
        value = float(cell) if readable else math.nan  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value) or not low <= value <= high:
        wanted = f"a number in [{low:g}, {high:g}]" if score_range else "a finite number"
        raise InputError(f"{where}: a score must be {wanted}, got {cell!r}.")
    return value


def _read_rows(
    task: Task,
    path: Path,
    text: Sequence[str],
    label: str | None,
    *,
    words: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
) -> tuple[Example, ...]:
    """Examples of one table; `label` None leaves them unlabelled, `words` are the file's words for `task.labels`."""
    ids = {word: index for index, word in enumerate(words or task.labels or ())}
    examples = []
    for number, row in enumerate(read_table(path, (*text, label) if label else text, columns=columns)):
        where = f"{path}, line {row.line}"
        value = _label(task, row.cells[-1], ids, where) if label else None
        texts = tuple(_text(cell, where) for cell in row.cells[: len(text)])
        examples.append(Example(number, texts, value))
    return tuple(examples)


# --------------------------------------------------------------------------------------------------------- the sources


def _glue_folder(data_dir: Path, files: GlueFiles) -> Path:
    folder = data_dir / files.folder
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder; the data folder must hold {files.folder}/ as GLUE's release does.")
    return folder


def _read_glue(task: Task, files: GlueFiles, folder: Path, part: str, labelled: bool) -> tuple[Example, ...]:
    names = {"train": "train.tsv", "dev": files.dev, "test": files.test}
    names |= {name: dev if labelled else test for name, dev, test in files.extra}
    columns = files.columns if labelled else None
    label = files.label if labelled else None
    return _read_rows(task, folder / names[part], files.text, label, words=files.codes, columns=columns)


def _read_own(task: Task, own: OwnFiles, part: str, labelled: bool) -> tuple[Example, ...]:
    path = {"train": own.train, "dev": own.dev, "test": own.test}[part]
    if path is None:
        raise InputError(f"{own.toml}: names no test file.")
    return _read_rows(task, path, task.text, own.label if labelled else None)


def _read_embedded(task: Task, part: str, labelled: bool) -> tuple[Example, ...]:
    from benchmarks.pocket.language import examples

    rows = examples(task.name.removeprefix("pocket-"), part)
    return tuple(
        Example(number, tuple(texts), label if labelled else None) for number, (texts, label) in enumerate(rows)
    )


def _load_hub(hub: HubColumns, offline: bool) -> Mapping[str, Any]:
    """All splits of the hub's configuration; from this machine's cache when it is there or when `offline`."""
    import datasets

    try:
        with _offline_hub(offline):
            splits: Mapping[str, Any] = datasets.load_dataset(HUB_DATASET, hub.config)
            return splits
    except Exception as error:  # whatever its HTTP library, its cache or its parsers raise: the data is not to be had
        reason = str(error).strip().split("\n")[0].rstrip(".")
        why = "is not in this machine's Hugging Face cache (offline)" if offline else "cannot be loaded from the hub"
        raise InputError(
            f"{HUB_DATASET} ({hub.config}) {why}: {reason}; "
            f"{'run once with the network' if offline else 'check the network'} or give the GLUE files with --data-dir."
        ) from error


@contextmanager
def _offline_hub(offline: bool) -> Iterator[None]:
    """Forbid downloads inside the block; `datasets` reads its environment variable only once, at import."""
    import datasets

    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = before or offline
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


def _read_hub(task: Task, hub: HubColumns, splits: Mapping[str, Any], part: str, labelled: bool) -> tuple[Example, ...]:
    names = {"train": "train", "dev": hub.dev, "test": hub.test}
    names |= {name: dev if labelled else test for name, dev, test in hub.extra}
    split, where = names[part], f"{HUB_DATASET} ({hub.config}), {names[part]}"
    if split not in splits:
        raise InputError(f"{where}: no such split, found {', '.join(splits)}.")
    rows = splits[split]
    for name in (*task.text, "label"):
        if name not in rows.column_names:
            raise InputError(f"{where}: column {name!r} is missing, found {', '.join(rows.column_names)}.")
    words = getattr(rows.features["label"], "names", None)
    if words is not None and tuple(words) != task.labels:
        raise InputError(f"{where}: the classes must be {', '.join(task.labels or ())}, found {', '.join(words)}.")
    table = rows.with_format(None)[:]
    examples = []
    for number, (label, *cells) in enumerate(zip(table["label"], *(table[name] for name in task.text), strict=True)):
        place = f"{where}, row {number}"
        value = _hub_label(task, label, place) if labelled else None
        examples.append(Example(number, tuple(_text(cell, place) for cell in cells), value))
    return tuple(examples)


def _hub_label(task: Task, label: object, where: str) -> int | float:
    """A class id is taken as it is; scores are stored as float32, and three decimals give the official value back."""
    if task.regression:
        return _score(round(label, 3) if isinstance(label, float) else label, task.score_range, where)
    if not isinstance(label, int) or not 0 <= label < len(task.labels or ()):
        raise InputError(f"{where}: a class id must be in 0..{len(task.labels or ()) - 1}, got {label!r}.")
    return label
