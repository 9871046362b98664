"""Whether data are the official ones, and those that an output folder began with: hashes of splits and texts.

`python -m benchmarks.data.official --data-dir GLUE` writes the expected hashes next to this module
(`split_hashes.json`): only hashes are kept of the official files.
"""

import argparse
import functools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from benchmarks.data.sources import TaskData, examples_hash, load_task_data
from benchmarks.data.splits import Size, paucity_split, split_hash
from benchmarks.data.tasks import TASKS, Task
from fisher.common.command import Command
from fisher.common.errors import InputError, require
from fisher.common.files import read_regular, write_atomic, write_file

FRACTIONS = (1.0, 0.75, 0.5, 0.25, 0.1, 0.05)
SPLIT_SEEDS = range(5)
EXPECTED_HASHES = Path(__file__).with_name("split_hashes.json")
_RECORDED_TASKS = ("cola", "rte", "mrpc", "stsb", "sst2", "pocket-cola", "pocket-rte", "pocket-mrpc", "pocket-stsb")


class DataHash(NamedTuple):
    """The hash of a split (key: how much of the data and split seed, `0.1/3`) or of a part's texts (`train`, `dev`)."""

    task: Task
    key: str
    value: str

    def __str__(self) -> str:
        amount, _, seed = self.key.partition("/")
        called = amount if " " in amount or not seed else f"fraction {float(amount):g}"
        what = f"the split of {called} and split seed {seed}" if seed else f"the {amount} texts"
        return f"{self.task.name}: {what}"

    @property
    def part(self) -> str:
        """What of the data it is made of, in words."""
        return "dev" if self.key == "dev" else "training"


def is_official(found: DataHash) -> bool:
    """Compare a hash with the one this project keeps; True if it keeps one, False if it knows none.

    Raises InputError on a difference: the data are not the official ones.
    """
    kept = _kept().get(found.task.name, {})
    expected = kept.get(found.key, found.value)
    remedy = (
        "install this package anew, its pocket tasks were changed"
        if found.task.kind == "embedded"
        else f"use the official {found.part} file, all its rows in their order"
    )
    require(expected == found.value, f"{found} must have the hash {expected[:12]}", f"{found.value[:12]}: {remedy}")
    return found.key in kept


@functools.cache
def _kept() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(EXPECTED_HASHES.read_text())
    return found


def new_texts(data: TaskData) -> list[DataHash]:
    """Hashes of labels and texts of both parts that this project does not keep. Raises InputError as `is_official`.

    The hub's are not compared: it may write a text in another way.
    """
    found = [DataHash(data.task, part, examples_hash(getattr(data, part))) for part in ("train", "dev")]
    return [text for text in found if data.source == "hub" or not is_official(text)]


def remember_hashes(path: Path, found: Iterable[DataHash]) -> None:
    """Keep the hashes of data in the JSON file `path`; later uses must agree.

    They are those of data whose official hashes the project does not keep. The caller holds the lease of what it writes
    there. Raises OSError, and InputError, with nothing written, when the data changed since their first use or `path`
    is not such a file.
    """
    write_atomic(path, _encoded(compare_hashes(path, found)))


def compare_hashes(path: Path, found: Iterable[DataHash]) -> dict[str, dict[str, str]]:
    """What `path` holds, joined with these hashes. Raises InputError where they differ, or it is not such a file."""
    known = _read_hashes(path)
    for item in found:
        first = known.setdefault(item.task.name, {}).setdefault(item.key, item.value)
        came = f"{item.value[:12]}: the {item.part} data changed"
        must, do = f"{item} had the hash {first[:12]} at first use here", "use another output folder (--output)"
        require(first == item.value, must, came, do)
    return known


def _read_hashes(path: Path) -> dict[str, dict[str, str]]:
    try:
        known = json.loads(read_regular(path)) if path.exists() else {}
        return {str(task): {key: str(value) for key, value in hashes.items()} for task, hashes in known.items()}
    except (OSError, ValueError, AttributeError, RecursionError):
        raise InputError(f"{path}: must be the JSON file of split hashes; delete it to start anew.") from None


def expected_hashes(data: TaskData) -> dict[str, str]:
    """Hashes of the train and dev texts, and of splits by "fraction/split seed" at the standard values."""
    task, train = data.task, data.train
    hashes = {"train": examples_hash(train), "dev": examples_hash(data.dev)}
    for fraction in FRACTIONS:
        for split_seed in SPLIT_SEEDS:
            ids = set(paucity_split(data, fraction, split_seed))
            hashes[key_of(fraction, split_seed)] = split_hash(task, (row for row in train if row.id in ids))
    return hashes


def key_of(amount: float | Size, split_seed: int) -> str:
    """What a split is called in a file of hashes."""
    return f"{amount if isinstance(amount, Size) else repr(float(amount))}/{split_seed}"


def _encoded(hashes: object) -> bytes:
    return (json.dumps(hashes, indent=1) + "\n").encode()


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("--data-dir", type=Path, required=True, metavar="DIR", help="folder of the official GLUE files")
    parser.add_argument(
        "--output", type=Path, default=EXPECTED_HASHES, metavar="FILE", help="file to write (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> None:
    """Write the expected hashes of the official and the pocket tasks."""
    hashes = {name: expected_hashes(load_task_data(TASKS[name], data_dir=args.data_dir)) for name in _RECORDED_TASKS}
    write_file(args.output, _encoded(hashes))


main = Command(
    "python -m benchmarks.data.official", "Write the expected hashes of official and pocket splits.", add_flags, run
)

if __name__ == "__main__":
    raise SystemExit(main())
