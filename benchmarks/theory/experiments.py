"""The experiments of [Lee20] in turn, and their report: the work of `benchmarks.theory`."""

import argparse
import dataclasses
import json
import platform
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.theory import digits, figures, least_squares, published, report, retention, theorem
from benchmarks.trial.cost import Clock
from fisher.common.errors import require
from fisher.common.files import require_writable
from fisher.seeds import derive

STEPS, QUICK_STEPS = 2000, 400


def run(arguments: argparse.Namespace) -> None:
    """Measure everything and write the report."""
    torch.set_num_threads(1)  # sums then have one order; the networks are too small to gain from more
    plan = make_plan(arguments)
    domains = load_domains(arguments.source, arguments.target)
    output = arguments.output
    require_writable(output / "report.md")
    found = measure(plan, domains, QUICK_STEPS if arguments.quick else STEPS, environment())
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
    clock = Clock()
    problem = least_squares.make_problem(derive("theory", "least squares", 1))
    lines = least_squares.run(problem, steps=steps)
    clock.lap("least squares")
    excesses = theorem.run(derive("theory", "theorem"))
    clock.lap("theorem")
    data = retention.Data(*(part for domain in domains for part in domain.split(plan.validation)))
    pretrained = retention.pretrain(data.source_train, data.source_validation, plan, tell)
    clock.lap("pretraining")
    runs = retention.sweep(pretrained.weights, data, plan, tell)
    clock.lap("fine-tuning")
    by = published.curves(runs)
    judged = published.directions(by)
    return report.Findings(
        where, problem, steps, lines, excesses, domains, data, plan, pretrained, runs, by, judged, clock.seconds
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
    missing = "--target" if target is None else "--source"
    must = "--source and --target must be given together"
    require((source is None) == (target is None), must, f"no {missing}", "leave both out or add it")
    if source is None or target is None:
        return digits.embedded()
    return digits.read_folder(source), digits.read_folder(target)


def environment() -> dict[str, Any]:
    """Command and versions; of the folders only the names, wherever they lie."""
    words = sys.argv[2:] if sys.argv[1:2] == ["theory"] else sys.argv[1:]  # as a sub-command or as a module
    shown = [Path(word).name if "/" in word else word for word in words]
    return {
        "command": " ".join(["regbench theory", *shown]),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
    }


def tell(line: str) -> None:
    """Progress goes to stderr."""
    print(line, file=sys.stderr, flush=True)
