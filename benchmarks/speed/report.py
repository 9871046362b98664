"""The measured figures as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tabulate import tabulate

Cells = dict[str, str]


def markdown(found: dict[str, Any]) -> str:
    """What was measured on what, all tables, and what could not be measured."""
    about = (
        f"Model {found['model']}, {found['machine']}, torch {found['torch']}, transformers {found['transformers']}; "
        f"matrix products {found['matmul'] / 1e9:.0f} GFLOP/s."
    )
    errors = [f"Not measured: {block}: {error}" for block, error in found.get("errors", {}).items()]
    return "\n\n".join([about, *tables(found), *errors])


def tables(found: dict[str, Any]) -> list[str]:
    """Tables of ratios, steps, amounts, trials, throughput and commands, those that have figures."""
    of_tasks: dict[str, Callable[[dict[str, Any]], Cells]] = {
        "ratio (median [min, max])": lambda entry: (
            spreads(entry, "steps", "ratios") | spreads(entry, "trials", "ratios")
        ),
        "a step, ms (median [min, max])": lambda entry: spreads(entry, "steps", "milliseconds"),
        "": lambda entry: amounts(entry, found["matmul"]),
        "a trial, s (median [min, max])": lambda entry: (
            spreads(entry, "trials", "seconds") | spreads(entry, "compiled", "seconds")
        ),
        "trials at a time": rates,
    }
    blocks = {
        title: {task: cells(entry) for task, entry in found["tasks"].items()} for title, cells in of_tasks.items()
    }
    blocks["a command, s (median [min, max])"] = {
        "by the clock": spreads(found, "commands", "seconds"),
        "of processor time": spreads(found, "commands", "processor_seconds"),
    }
    return [table(title, columns) for title, columns in blocks.items() if any(columns.values())]


def table(title: str, columns: dict[str, Cells]) -> str:
    """{column: {line: text}} as a Markdown table of the columns that have any."""
    shown = {name: cells for name, cells in columns.items() if cells}
    lines = dict.fromkeys(line for cells in shown.values() for line in cells)
    body = [[line, *(cells.get(line, "") for cells in shown.values())] for line in lines]
    return tabulate(body, headers=[title, *shown], tablefmt="pipe", disable_numparse=True)


def rates(entry: dict[str, Any]) -> Cells:
    """Trials per hour by the number of trials at a time; how those without a result ended."""
    cells = {}
    for count, figures in entry.get("throughput", {}).items():
        lost = [f"{number} {status}" for status, number in figures["without_result"].items()]
        ended = f" ({', '.join(lost)})" if lost else ""
        cells[count] = f"{figures['trials_per_hour']:.0f} an hour{ended}"
    return cells


def amounts(entry: dict[str, Any], rate: float) -> Cells:
    """Tokens, operations, share of the matrix rate, exactness, a trial's fixed cost and its share of evaluation."""
    cells = {f"tokens of a batch, {name}": f"{value:.0f}" for name, value in entry.get("tokens", {}).items()}
    steps, compiled = entry.get("steps", {}), entry.get("compiled", {})
    for name, flops in steps.get("flops_of_first_batch", {}).items():
        share = steps["rate_of_first_batch"][name] / rate
        cells[f"GFLOP of a step, {name}"] = f"{flops / 1e9:.1f} ({share:.0%} of the rate)"
    cells |= {f"float64 difference, {name}": f"{value:.1e}" for name, value in entry.get("exact", {}).items()}
    if "trials" in entry:
        cells["fixed cost of a warm trial, s"] = spread(entry["trials"]["fixed_seconds"])
    shares = spreads(entry, "trials", "evaluation_share")
    cells |= {f"share of evaluation, {name}": text for name, text in shares.items()}
    taken = compiled.get("compile_seconds", {})
    return cells | {f"compiling in the {name} compiled trial, s": f"{value:.1f}" for name, value in taken.items()}


def spreads(entry: dict[str, Any], part: str, key: str) -> Cells:
    """{line: text} of one block of summaries, empty where it was not measured."""
    return {name: spread(value) for name, value in entry.get(part, {}).get(key, {}).items()}


def spread(value: dict[str, float]) -> str:
    """`median [min, max]` with three significant digits."""
    return f"{value['median']:.3g} [{value['min']:.3g}, {value['max']:.3g}]"
