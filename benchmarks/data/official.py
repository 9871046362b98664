"""Whether data are the official ones, and those that an output folder began with: hashes of splits and texts.

`python -m benchmarks.data.official --data-dir GLUE` writes the expected hashes next to this module
(`split_hashes.json`): only hashes are kept of the official files.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

from benchmarks.data.sources import TaskData, examples_hash, load_task_data
from benchmarks.data.splits import Size, paucity_split, split_hash
from benchmarks.data.tasks import TASKS, Task
from fisher.common.command import Command
from fisher.common.errors import InputError, require
from fisher.common.files import read_regular, write_atomic, write_file

FRACTIONS = (1.0, 0.75, 0.5, 0.25, 0.1, 0.05)
SPLIT_SEEDS = range(5)
EXPECTED_HASHES = Path(__file__).with_name("split_hashes.json")
SplitHash = tuple[Task, float | Size, int, str]  # task, fraction or size, split seed, hash
TextHash = tuple[str, str, str]  # task, part, hash
_RECORDED_TASKS = ("cola", "rte", "mrpc", "stsb", "sst2", "pocket-cola", "pocket-rte", "pocket-mrpc", "pocket-stsb")


def check_split_hash(task: Task, amount: float | Size, split_seed: int, found: str) -> bool:
    """Compare a split's hash with the one this project keeps; True if it keeps one, False if it knows none.

    Raises InputError on a difference: the training file is not the official one.
    """
    kept = json.loads(EXPECTED_HASHES.read_text()).get(task.name, {})
    expected = kept.get(key_of(amount, split_seed), found)
    must = f"{task.name}: the split of {_called(amount)} and split seed {split_seed} must have the hash {expected[:12]}"
    require(expected == found, must, f"{found[:12]}: {_remedy(task, 'train')}")
    return key_of(amount, split_seed) in kept


def check_texts(data: TaskData) -> list[TextHash]:
    """Compare labels and texts of both parts with the hashes kept here; (task, part, hash) of those without one.

    Raises InputError on a difference. The hub's are not compared: it may write a text in another way.
    """
    known = {} if data.source == "hub" else json.loads(EXPECTED_HASHES.read_text()).get(data.task.name, {})
    unknown = []
    for part, examples in (("train", data.train), ("dev", data.dev)):
        found = examples_hash(examples)
        if part not in known:
            unknown.append((data.task.name, part, found))
        elif known[part] != found:
            raise InputError(
                f"{data.task.name}: the {part} texts must have the hash {known[part][:12]}, got {found[:12]}: "
                f"{_remedy(data.task, part)}."
            )
    return unknown


def _remedy(task: Task, part: str) -> str:
    if task.kind == "embedded":
        return "install this package anew, its pocket tasks were changed"
    file = "training file" if part == "train" else f"{part} file"
    return f"use the official {file}, all its rows in their order"


def remember_split_hashes(path: Path, splits: Iterable[SplitHash], texts: Iterable[TextHash] = ()) -> None:
    """Keep the hashes of data in the JSON file `path`; later uses must agree.

    They are those of data whose official hashes the project does not keep. The caller holds the lease of what it writes
    there. Raises OSError, and InputError, with nothing written, when the data changed since their first use or `path`
    is not such a file.
    """
    write_atomic(path, _encoded(compare_hashes(path, splits, texts)))


def compare_hashes(
    path: Path, splits: Iterable[SplitHash], texts: Iterable[TextHash] = ()
) -> dict[str, dict[str, str]]:
    """What `path` holds, joined with these hashes. Raises InputError where they differ, or it is not such a file."""
    found = [
        (task.name, key_of(amount, seed), f"the split of {_called(amount)} and split seed {seed}", value)
        for task, amount, seed, value in splits
    ]
    found += [(task, part, f"the {part} texts", value) for task, part, value in texts]
    known = _read_hashes(path)
    for task, key, what, value in found:
        first = known.setdefault(task, {}).setdefault(key, value)
        require(
            first == value,
            f"{task}: {what} had the hash {first[:12]} at first use here",
            f"{value[:12]}: the {('dev' if key == 'dev' else 'training')} data changed",
            "use another output folder (--output)",
        )
    return known


def _read_hashes(path: Path) -> dict[str, dict[str, str]]:
    try:
        known = json.loads(read_regular(path)) if path.exists() else {}
        return {str(task): {key: str(value) for key, value in hashes.items()} for task, hashes in known.items()}
    except (OSError, ValueError, AttributeError, RecursionError):
        raise InputError(f"{path}: must be the JSON file of split hashes; delete it to start anew.") from None


def expected_hashes(tasks: Iterable[Task], data_dir: Path) -> dict[str, dict[str, str]]:
    """By task: hashes of the train and dev texts, and of splits by "fraction/split seed" at the standard values."""
    return {task.name: _task_hashes(load_task_data(task, data_dir=data_dir)) for task in tasks}


def _task_hashes(data: TaskData) -> dict[str, str]:
    task, train = data.task, data.train
    hashes = {"train": examples_hash(train), "dev": examples_hash(data.dev)}
    for fraction in FRACTIONS:
        for split_seed in SPLIT_SEEDS:
            ids = set(paucity_split(task, train, fraction=fraction, split_seed=split_seed))
            hashes[key_of(fraction, split_seed)] = split_hash(task, (row for row in train if row.id in ids))
    return hashes


def key_of(amount: float | Size, split_seed: int) -> str:
    """What a split is called in a file of hashes."""
    return f"{amount if isinstance(amount, Size) else repr(float(amount))}/{split_seed}"


def _called(amount: float | Size) -> str:
    return str(amount) if isinstance(amount, Size) else f"fraction {amount:g}"


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
    hashes = expected_hashes([TASKS[name] for name in _RECORDED_TASKS], args.data_dir)
    write_file(args.output, _encoded(hashes))


main = Command(
    "python -m benchmarks.data.official", "Write the expected hashes of official and pocket splits.", add_flags, run
)

if __name__ == "__main__":
    raise SystemExit(main())
