"""The experiments of [Lee20] in turn, and their report: the work of `benchmarks.theory`."""

import argparse
import dataclasses
import json
import platform
import sys
from collections.abc import Iterable
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
    plan, steps = make_plan(arguments), QUICK_STEPS if arguments.quick else STEPS
    domains = load_domains(arguments.source, arguments.target)
    output = arguments.output
    require_writable(output / "report.md")
    clock = Clock()
    problem = least_squares.make_problem(derive("theory", "least squares", 1))
    lines = least_squares.run(problem, steps=steps)
    clock.lap("least squares")
    excesses = theorem.run(derive("theory", "theorem"))
    clock.lap("theorem")
    weights, tried = retention.pretrain(domains[0], plan)
    clock.lap("pretraining")
    runs = retention.sweep(weights, *domains, plan)
    clock.lap("fine-tuning")
    curves = published.curves(runs)
    directions = published.directions(curves)
    figures.least_squares(problem, lines, output / "least_squares.png")
    figures.theorem(excesses, output / "theorem.png")
    figures.retention(curves, output / "digits.png")
    made_by = environment()
    values = {
        "environment": made_by,
        "seconds": clock.seconds,
        "least_squares": {
            "true": problem.true.tolist(),
            "target": problem.target.tolist(),
            "steps": steps,
            "lines": _rows(lines),
        },
        "theorem": {"convexity": theorem.CONVEXITY, "excess": _rows(excesses)},
        "digits": {
            "domains": [{"name": d.name, "note": d.note, "sha256": d.fingerprint} for d in domains],
            "plan": dataclasses.asdict(plan),
            "pretrained": [{"epochs": epochs, "seed": seed, "source": found} for epochs, seed, found in tried],
            "runs": _rows(runs),
            "directions": [
                {**dataclasses.asdict(d), "holds": d.holds, "holds_where_published": d.holds_where_published}
                for d in directions
            ],
        },
    }
    text = json.dumps(values, indent=1, allow_nan=False, ensure_ascii=False)
    (output / "values.json").write_text(text + "\n", encoding="utf-8")
    sections = (
        report.head(made_by, clock.seconds),
        report.least_squares(problem, lines, steps),
        report.theorem(excesses),
        report.digits(domains, plan, tried, curves),
        report.directions(directions),
    )
    (output / "report.md").write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    print(output / "report.md")


def _rows(items: Iterable[Any]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(item) for item in items]


def make_plan(arguments: argparse.Namespace) -> retention.Plan:
    """The paper's plan for folders, the embedded one without; `--quick` reduces it, explicit options go last."""
    plan = retention.EMBEDDED if arguments.source is None else retention.PAPER
    quick = retention.QUICK if arguments.quick else {}
    given = {name: value for name in retention.QUICK if (value := getattr(arguments, name)) is not None}
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
