"""`python -m benchmarks.theory`: check what [Lee20] proves and shows about mixout; writes a report with figures.

    python -m benchmarks.theory --output DIR                                # embedded digits, no download
    python -m benchmarks.theory --output DIR --source EMNIST --target MNIST # the paper's protocol on IDX folders

Writes DIR/report.md, DIR/values.json and three PNG figures. Exit status: 0 the report is made, whether or not the
directions hold; 2 the request was wrong.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks.theory import digits, directions, figures, least_squares, report, retention, theorem
from benchmarks.trial.seeds import derive
from fisher.common.errors import InputError

STEPS, QUICK_STEPS = 2000, 400


def main(argv: list[str] | None = None) -> int:
    """Parse the command line, measure, write the report; the exit status."""
    arguments = parser().parse_args(argv)
    try:
        with one_thread():
            run(arguments, sys.argv[1:] if argv is None else argv)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.theory", description=__doc__.split("\n")[0])
    p.add_argument("--output", metavar="DIR", type=Path, required=True)
    p.add_argument("--source", metavar="FOLDER", type=Path, help="digits to pretrain on: EMNIST, MNIST (IDX) or USPS")
    p.add_argument("--target", metavar="FOLDER", type=Path, help="digits to fine-tune on")
    p.add_argument("--pretrain-epochs", metavar="N", type=int, nargs="+", help="one pretraining each (paper: 1..20)")
    p.add_argument("--pretrain-seeds", metavar="N", type=int, help="of each number of epochs (paper: 5)")
    p.add_argument("--finetune-epochs", metavar="N", type=int, help="paper: 5")
    p.add_argument("--restarts", metavar="N", type=int, help="paper: 10")
    p.add_argument("--probabilities", metavar="P", type=float, nargs="+", help="rising from 0")
    p.add_argument("--quick", action="store_true", help="a look at the report: few restarts, epochs and steps")
    return p


def run(arguments: argparse.Namespace, argv: Sequence[str]) -> None:
    """Measure everything and write the report."""
    plan = make_plan(arguments)
    domains = load_domains(arguments.source, arguments.target)
    output = make_folder(arguments.output)
    found = measure(plan, domains, QUICK_STEPS if arguments.quick else STEPS, environment(argv))
    figures.least_squares(found.problem, found.lines, output / "least_squares.png")
    figures.theorem(found.excesses, output / "theorem.png")
    figures.retention(found.curves, output / "digits.png")
    text = json.dumps(report.values(found), indent=1, allow_nan=False, ensure_ascii=False)
    (output / "values.json").write_text(text + "\n", encoding="utf-8")
    (output / "report.md").write_text(report.markdown(found), encoding="utf-8")
    print(output / "report.md")


def measure(
    plan: retention.Plan, domains: tuple[digits.Domain, digits.Domain], steps: int, where: dict[str, Any]
) -> report.Findings:
    """The three parts in turn, with their wall-clock seconds."""
    seconds: dict[str, float] = {}
    with clock(seconds, "least squares"):
        problem = least_squares.make_problem(derive("theory", "least squares", 1))
        lines = least_squares.run(problem, steps=steps)
    with clock(seconds, "theorem"):
        excesses = theorem.run(derive("theory", "theorem"))
    with clock(seconds, "pretraining"):
        data = retention.split_domains(*domains, plan)
        pretrained = retention.pretrain(data.source_train, data.source_validation, plan, tell)
    with clock(seconds, "fine-tuning"):
        runs = retention.sweep(pretrained.weights, data, plan, tell)
    by = directions.curves(runs)
    judged = directions.directions(by)
    return report.Findings(
        where, problem, steps, lines, excesses, domains, data, plan, pretrained, runs, by, judged, seconds
    )


def make_plan(arguments: argparse.Namespace) -> retention.Plan:
    """The paper's plan for folders, the embedded one without; `--quick` reduces it, explicit options go last."""
    plan = retention.EMBEDDED if arguments.source is None else retention.PAPER
    quick = {**retention.QUICK, "probabilities": retention.QUICK_P} if arguments.quick else {}
    names = ("pretrain_epochs", "pretrain_seeds", "finetune_epochs", "restarts", "probabilities")
    given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in {**quick, **given}.items()}
    return dataclasses.replace(plan, **fields)


def load_domains(source: Path | None, target: Path | None) -> tuple[digits.Domain, digits.Domain]:
    """Source and target from their folders, or the embedded pair."""
    if (source is None) != (target is None):
        missing = "--target" if target is None else "--source"
        raise InputError(f"--source and --target must be given together, got no {missing}; leave both out or add it")
    if source is None or target is None:
        return digits.embedded()
    return digits.read_folder(source), digits.read_folder(target)


def make_folder(path: Path) -> Path:
    """The output folder, created where it does not exist."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--output must be a folder that can be made, got {path} ({error.strerror})") from error
    return path


def environment(argv: Sequence[str]) -> dict[str, Any]:
    """Command and versions; of the folders only the names, wherever they lie."""
    words = [Path(word).name if "/" in word else word for word in argv]
    return {
        "command": " ".join(["python -m benchmarks.theory", *words]),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
    }


@contextmanager
def one_thread() -> Iterator[None]:
    """One CPU thread, at which sums have one order: the networks are too small to gain from more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def clock(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Write the wall-clock time of the block into `seconds`."""
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start


def tell(line: str) -> None:
    """Progress goes to stderr."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
