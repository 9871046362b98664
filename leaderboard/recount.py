"""Check that a table next to records says what the records say."""

import csv
import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from fisher.common.errors import InputError
from fisher.common.text import escape

TABLE = "leaderboard.csv"
KEY = ("model", "task", "fraction", "strategy", "protocol_hash", "weights", "data")
ADDED = ("rule", "size")  # tables made before these columns lack them
VALUES = ("restarts", "mean", "std", "max", "failed", "failed_plain", "mean_not_failed")
TOLERANCE = 1e-9

Table = dict[tuple[str, ...], dict[str, str]]


def disagreements(folder: Path, build: Callable[..., str]) -> Iterator[str]:
    """Yield in what `leaderboard.csv` in `folder` differs from a table made anew of the records there.

    Nothing where there is no such file. `build(results, output)` makes the table.
    """
    path = folder / TABLE
    if not path.is_file():
        return
    with tempfile.TemporaryDirectory() as folder_made:
        try:
            build([folder], folder_made)
        except InputError:
            return  # nothing to compare with, which is said elsewhere
        given, made = _table(path), _table(Path(folder_made) / TABLE)
    where = escape(str(path))
    if given is None or made is None:
        yield f"{where} is no table of this tool; make it anew"
        return
    for key in sorted(given.keys() - made.keys()):
        yield f"{where}: {_name(key)} has no records"
    for key in sorted(made.keys() - given.keys()):
        yield f"{where}: {_name(key)} has records but no line"
    for key in sorted(given.keys() & made.keys()):
        wrong = [name for name in VALUES if not _equal(given[key][name], made[key][name])]
        if wrong:
            texts = (
                f"{name} {escape(given[key][name]) or 'none'}, by the records {made[key][name] or 'none'}"
                for name in wrong
            )
            yield f"{where}: {_name(key)}: {'; '.join(texts)}"


def _table(path: Path) -> Table | None:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            lines = list(reader)
        if not {*KEY, *VALUES} <= set(reader.fieldnames or ()):
            return None
        keys = [tuple(line.get(key) or "" for key in (*KEY, *ADDED)) for line in lines]
        values = [{name: line[name] or "" for name in VALUES} for line in lines]
        return dict(zip(keys, values, strict=True))
    except (OSError, ValueError, csv.Error):
        return None


def _equal(given: str, made: str) -> bool:
    if given == made:
        return True
    try:
        return math.isclose(float(given), float(made), rel_tol=0, abs_tol=TOLERANCE)
    except (TypeError, ValueError):
        return False


def _name(key: tuple[str, ...]) -> str:
    rule = f" ({key[-2]})" if key[-2] else ""
    return escape(f"{key[1]} {key[2]}, {key[3]}{rule}")
