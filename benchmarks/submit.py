"""Make files for the GLUE evaluation server from trials that predicted the test sets.

examples:
  regbench run --suite lee20-table4                              # trials with predict_test
  regbench submit results/lee20-table4 --output submissions      # one zip per strategy
  regbench submit --check submissions/*.zip

Of every strategy and task the restart with the best score on dev predicts [Lee20, Table 4]; of equal ones the first.
Tasks that were not run get a constant prediction.

exit codes: 0 made, or every zip is valid; 1 a zip is not valid; 2 the request was wrong
"""

import argparse
import hashlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.data.sources import examples_hash, load_test
from benchmarks.data.tasks import TASKS
from benchmarks.submission import FILES, check, pack
from fisher.common.command import Command, Flags, add
from fisher.common.errors import InputError, require
from fisher.common.files import write_file
from fisher.common.text import escape
from leaderboard.records.identity import canonical, slug
from leaderboard.records.schema import Record, is_result
from leaderboard.records.store import read_records
from leaderboard.render.text import percent

FLAGS: Flags = {
    "results": {
        "nargs": "*",
        "metavar": "RESULTS",
        "help": "output folders of runs with --set predict_test=true",
    },
    "--output": {"metavar": "DIR", "help": "where the zips go, one per strategy"},
    "--strategies": {"nargs": "+", "metavar": "SUM", "help": "default: all"},
    "--fraction": {
        "type": float,
        "metavar": "F",
        "help": "share of the training data; default: the largest found",
    },
    "--data-dir": {"metavar": "DIR", "help": "check that the predictions are of these test files"},
    "--check": {"nargs": "+", "metavar": "ZIP", "help": "only say whether these are valid submissions"},
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    add(parser, FLAGS)


def run(args: argparse.Namespace) -> int:
    """Make the zips, or check those given; 1 if one is not valid."""
    if args.check:
        return check_all([Path(path) for path in args.check])
    require(args.results and args.output, "RESULTS and --output DIR must be given, or --check ZIP")
    submit(args)
    return 0


def check_all(paths: Iterable[Path]) -> int:
    """Print what is wrong with each zip; 1 if anything is."""
    status = 0
    for path in paths:
        problems = check(path)
        status |= bool(problems)
        print("\n".join(f"{escape(str(path))}: {escape(text)}" for text in problems or ["a valid submission"]))
    return status


def submit(given: argparse.Namespace) -> None:
    """Choose, pack, write and say what went into every zip."""
    records, problems = read_records([Path(path) for path in given.results])
    for problem in problems:
        print(f"left out: {problem}", file=sys.stderr)
    chosen = choose(records, given.strategies, given.fraction)
    if given.data_dir is not None:
        for record in {r["id"]: r for best in chosen.values() for r in best.values()}.values():
            check_examples(record, given.data_dir)
    folder = Path(given.output)
    for strategy, best in chosen.items():
        content, constant = pack(predictions(best))
        path = folder / file_name(strategy)
        write_file(path, content)
        print(f"{escape(str(path))}: {escape(strategy)}")
        for task, record in best.items():
            score = 100 * record["result"]["score"]
            print(f"  {task}: restart {record['config']['restart']}, dev {record['config']['metric']} {score:.1f}")
        print(f"  constant prediction, because not run: {', '.join(constant)}")


def choose(records: Iterable[Record], strategies: Sequence[str] | None, fraction: float | None) -> dict[str, Any]:
    """{strategy: {task: its best record}} over the trials of GLUE tasks that predicted the test set.

    Raises InputError where there is none, or trials of several models or protocols that no submission may mix.
    """
    usable = [r for r in records if is_result(r) and r["result"].get("test") and TASKS.get(r["config"]["task"])]
    usable = [r for r in usable if TASKS[r["config"]["task"]].kind == "glue"]
    require(usable, "no trial of a GLUE task has test predictions; run it with --set predict_test=true")
    share = max(r["config"]["fraction"] for r in usable) if fraction is None else fraction
    usable = [r for r in usable if r["config"]["fraction"] == share]
    names = sorted({r["config"]["strategy"] for r in usable})
    from regularizers.strategy import parse  # loads torch

    asked = list(dict.fromkeys(name if name in names else str(parse(name)) for name in strategies or names))
    if not usable or not set(asked) <= set(names):
        wanted = percent(share) if not usable else ", ".join(sorted(set(asked) - set(names)))
        known = "; ".join(names) if usable else "other shares"
        raise InputError(f"no test predictions are there for {wanted}; there are some for: {known}")
    settings = {canonical([r["config"][key] for key in ("model", "weights", "protocol")]) for r in usable}
    require(
        len(settings) <= 1, "a submission must come from one model and protocol", len(settings), "give one run's folder"
    )
    return {name: best_of(r for r in usable if r["config"]["strategy"] == name) for name in asked}


def best_of(records: Iterable[Record]) -> dict[str, Record]:
    """{task: the record with the best dev score, the first restart of equal ones}."""
    best: dict[str, Record] = {}
    for record in sorted(records, key=lambda r: (r["config"]["task"], -r["result"]["score"], r["config"]["restart"])):
        best.setdefault(record["config"]["task"], record)
    return best


def predictions(best: dict[str, Record]) -> dict[tuple[str, str], Sequence[float]]:
    """{(task, test set): predictions} of the chosen records."""
    return {(task, part): found["predictions"] for task, r in best.items() for part, found in tests_of(r).items()}


def tests_of(record: Record) -> dict[str, Any]:
    """The record's test predictions by test set. Raises InputError where they are not as a trial writes them."""
    tests = record["result"]["test"]
    whole = isinstance(tests, dict) and all(isinstance(found, dict) for found in tests.values())
    require(
        whole and all(_is_test(found) for found in tests.values()),
        f"the test predictions of {record['id']} are damaged; run its trial again",
    )
    return tests


def _is_test(found: dict[str, Any]) -> bool:
    values = found.get("predictions")
    return isinstance(found.get("hash"), str) and isinstance(values, list) and all(map(_is_number, values))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_examples(record: Record, data_dir: str) -> None:
    """Raise InputError unless the predictions of a record are of the test files in `data_dir`."""
    name = record["config"]["task"]
    for part, found in tests_of(record).items():
        if found["hash"] != examples_hash(load_test(TASKS[name], name=part, data_dir=data_dir)):
            file = next(file.name for file in FILES if (file.task.name, file.part) == (name, part))
            raise InputError(
                f"the predictions for {file} are not of the test file in {data_dir}; run {name} on it again"
            )


def file_name(strategy: str) -> str:
    """A readable name, made unique by eight digits of the strategy's hash."""
    return f"{slug(strategy, 80)}-{hashlib.sha256(strategy.encode()).hexdigest()[:8]}.zip"


main = Command("regbench submit", __doc__, add_flags, run)

if __name__ == "__main__":
    raise SystemExit(main())
