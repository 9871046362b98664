"""Pack the records of runs into one file that can be handed in, without the names of machines, users and folders.

example:
  regbench export RESULTS... --output submission/ [--with-labels]

Writes records.jsonl.gz: one record a line, sorted by id, the same bytes for the same records, readable wherever a
folder of records is. What may tell of a machine is left out (traceback, output, unknown fields of the environment;
paths in reasons), and test predictions, which no table needs; such a record gets a new checksum, every other keeps its
own. Ids never change. Beside it methods.json and plan.json, of what is in it, if the runs wrote them; and labels.json,
with which ensembles are scored: of the embedded tasks, of others only with --with-labels, for whoever publishes labels
must be allowed to.

exit codes: 0 all was packed; 1 packed, but some files could not be used; 2 the request was wrong,
nothing was written
"""

import argparse
import gzip
import io
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fisher.common.command import Command
from fisher.common.errors import require
from fisher.common.files import write_file
from fisher.common.text import escape
from leaderboard.build import report
from leaderboard.records.labels import LABELS, Labels, encode_labels, read_labels
from leaderboard.records.methods import METHODS, encode_methods, read_methods
from leaderboard.records.plan import PLAN, Plan, PlanKey, encode_plan, place_of, read_plan
from leaderboard.records.schema import Record, RecordError, is_result
from leaderboard.records.store import ARCHIVE, encode_record, good_records, none_found
from leaderboard.tables.names import is_synthetic

NAME = f"records{ARCHIVE}"
DIGITS = 6
SOFTWARE = ("python", "torch", "transformers", "datasets", "accelerate", "numpy", "regbench", "peft")
PLACE = ("executor", "slot", "gpu", "trials_per_device", "attempt", "resumed")
ENVIRONMENT = (*SOFTWARE, "device", "threads", "platform", "git", *PLACE)
OMITTED = ("traceback", "output", "test")
LOGITS = "logits"  # base64, in which a slash begins no path
_PATH = re.compile(
    r"""file://\S+ | (?<![\w./~-])(?:~\w*)?/(?=[\w.~-])[^\s'",;:)]* | \b[A-Za-z]:\\[^\s'",;)]* | \\\\[^\s'",;)]+""",
    re.VERBOSE,
)
_ADDRESS = re.compile(r"[\w.+-]+@[\w-][\w.-]*")
_DEVICE = re.compile(r"\b(?:GPU|MIG)-[\w-]{8,}")


def portable(record: Record) -> Record:
    """Return a record as it may leave the machine: the same trial and result, predictions with 6 digits, no names.

    Raises RecordError if its identity (the config) names a path: without it, it would be another trial.
    """
    _check_config(record["id"], record["config"])
    kept = {key: value for key, value in record["result"].items() if key not in OMITTED}
    result = {key: value if key == LOGITS else _without_names(value) for key, value in kept.items()}
    if is_result(record):
        result["predictions"] = [round(value, DIGITS) for value in result["predictions"]]
    environment = {key: record["environment"][key] for key in ENVIRONMENT if key in record["environment"]}
    return {"config": record["config"], "result": result, "environment": _without_names(environment)}


def _check_config(name: str, value: Any, where: str = "config") -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_config(name, key, f"a key of {where}")
            _check_config(name, item, f"{where}.{key}")
    elif isinstance(value, str) and (found := _PATH.search(value)):
        raise RecordError(
            f"{escape(name)}: {where} must name no path to be published, got {escape(found.group())!r}; "
            "run it again with a file named relative to the working folder"
        )


def _without_names(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_names(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_names(item) for item in value]
    if not isinstance(value, str):
        return value
    return _DEVICE.sub("DEVICE", _ADDRESS.sub("ADDRESS", _PATH.sub("PATH", value)))


def pack(records: Iterable[Record]) -> bytes:
    """Return records as an archive: one canonical line each, by id, compressed without a time or a file name.

    Of several records of one trial one with a result is kept. Raises RecordError if two with a result differ.
    """
    lines: dict[str, tuple[tuple[Any, ...], bytes]] = {}
    for record in records:
        result, (name, line) = record["result"], encode_record(record)
        outcome = (is_result(record), result["score"], result["failed"], result.get("predictions"))
        known = lines.get(name)
        if known is not None and known[0][0] and outcome[0] and known[0] != outcome:
            raise RecordError(f"{name}: two records of this trial disagree; find out which one is right")
        if known is None or (outcome[0], line) > (known[0][0], known[1]):
            lines[name] = outcome, line
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, compresslevel=9, mtime=0) as file:
        for name in sorted(lines):
            file.write(lines[name][1])
    return packed.getvalue()


def export(
    results: Iterable[Path | str], output: Path | str, *, with_labels: bool = False
) -> tuple[int, int, list[RecordError]]:
    """Write the archive of all records below `results` into `output`; return their number, its bytes and what was left.

    with_labels: also the labels of tasks that are not embedded. Raises InputError if there is no record, one may not be
    published, two disagree or the folder cannot be written.
    """
    given, problems = [Path(path) for path in results], list[RecordError]()
    names, strategies, places, public = set[str](), set[str](), set[PlanKey](), set[str]()

    def usable() -> Iterable[Record]:
        for record in good_records(given, problems):
            names.add(record["id"])
            strategies.add(record["config"]["strategy"])
            places.add(place_of(record["config"]))
            if with_labels or is_synthetic(record["config"]["task"]):
                public.add(record["config"]["dev_hash"])
            yield portable(record)

    data = pack(usable())
    if not names:
        raise none_found(given)
    (methods, faults), (plan, others), (labels, wrong) = read_methods(given), read_plan(given), read_labels(given)
    methods = {key: value for key, value in methods.items() if key in strategies}
    plan = {key: value for key, value in plan.items() if key in places}
    labels = {key: value for key, value in labels.items() if key in public}
    write_submission(Path(output), data, methods, plan, labels)
    return len(names), len(data), [*problems, *faults, *others, *wrong]


def write_submission(folder: Path, archive: bytes, methods: Mapping[str, Any], plan: Plan, labels: Labels) -> None:
    """Write an archive, and what says anything of `methods.json`, `plan.json` and `labels.json`, into a folder.

    Of an earlier submission there, one that says nothing any more is removed. Raises InputError if the folder cannot be
    written or is that of a run: whoever reads it finds the records there, not the archive.
    """
    taken, where = os.path.lexists(folder / "records"), f"{escape(str(folder))}, which is that of a run"
    require(not taken, f"{NAME} must go to a folder without records/", where, "name another")
    write_file(folder / NAME, archive)
    companions = (
        (METHODS, encode_methods(methods) if methods else b"", read_methods),
        (PLAN, encode_plan(plan) if plan else b"", read_plan),
        (LABELS, encode_labels(labels) if labels else b"", read_labels),
    )
    for name, content, read in companions:
        if content:
            write_file(folder / name, content)
        elif not read([folder])[1]:
            (folder / name).unlink(missing_ok=True)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("results", nargs="+", metavar="RESULTS", help="output folders, record folders or archives")
    parser.add_argument("--output", required=True, metavar="DIR", help=f"where {NAME} goes")
    parser.add_argument(
        "--with-labels", action="store_true", help=f"dev labels of every task in {LABELS}, not of the embedded alone"
    )


def run(args: argparse.Namespace) -> int:
    """Pack the records and name what was left out; 1 if anything was."""
    count, size, problems = export(args.results, args.output, with_labels=args.with_labels)
    report(problems)
    print(f"{count} records in {escape(str(Path(args.output) / NAME))} ({size} bytes)")
    return 1 if problems else 0


main = Command("regbench export", __doc__, add_flags, run)

if __name__ == "__main__":
    raise SystemExit(main())
