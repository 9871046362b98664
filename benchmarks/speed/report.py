"""The measured figures as Markdown tables."""

from __future__ import annotations

from typing import Any

from tabulate import tabulate


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
    blocks = {
        "ratio (median [min, max])": ratios(found),
        "a step, ms (median [min, max])": rows_of(found, "steps", "milliseconds"),
        "": amounts(found),
        "a trial, s (median [min, max])": rows_of(found, "trials", "seconds") | rows_of(found, "compiled", "seconds"),
        "trials at a time": rates(found),
        "a command, s (median [min, max])": command_rows(found.get("commands")),
    }
    return [table(title, rows) for title, rows in blocks.items() if rows]


def command_rows(commands: dict[str, Any] | None) -> dict[str, dict[str, str]]:
    """Seconds of every command, by the clock and of processor time."""
    if commands is None:
        return {}
    columns = {"by the clock": commands["seconds"], "of processor time": commands["processor_seconds"]}
    names = commands["seconds"]
    return {name: {key: spread(part[name]) for key, part in columns.items() if name in part} for name in names}


def rates(found: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Trials per hour by the number of trials at a time; how those without a result ended."""
    rows: dict[str, dict[str, str]] = {}
    for task, entry in found["tasks"].items():
        for count, figures in entry.get("throughput", {}).items():
            lost = [f"{number} {status}" for status, number in figures["without_result"].items()]
            ended = f" ({', '.join(lost)})" if lost else ""
            rows.setdefault(count, {})[task] = f"{figures['trials_per_hour']:.0f} an hour{ended}"
    return rows


def table(title: str, rows: dict[str, dict[str, str]]) -> str:
    """{line: {task: text}} as a Markdown table."""
    tasks = list(dict.fromkeys(task for cells in rows.values() for task in cells))
    body = [[name, *(cells.get(task, "") for task in tasks)] for name, cells in rows.items()]
    return tabulate(body, headers=[title, *tasks], tablefmt="pipe", disable_numparse=True)


def rows_of(found: dict[str, Any], part: str, key: str) -> dict[str, dict[str, str]]:
    """{line: {task: text}} of one block of summaries."""
    rows: dict[str, dict[str, str]] = {}
    for task, entry in found["tasks"].items():
        for name, value in entry.get(part, {}).get(key, {}).items():
            rows.setdefault(name, {})[task] = spread(value)
    return rows


def ratios(found: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Ratios of steps and then of trials."""
    return rows_of(found, "steps", "ratios") | rows_of(found, "trials", "ratios")


def amounts(found: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Tokens, operations, share of the matrix rate, exactness, a trial's fixed cost and its share of evaluation."""
    rows: dict[str, dict[str, str]] = {}
    for task, entry in found["tasks"].items():
        cells = {f"tokens of a batch, {name}": f"{value:.0f}" for name, value in entry.get("tokens", {}).items()}
        steps = entry.get("steps", {})
        for name, flops in steps.get("flops_of_first_batch", {}).items():
            share = steps["rate_of_first_batch"][name] / found["matmul"]
            cells[f"GFLOP of a step, {name}"] = f"{flops / 1e9:.1f} ({share:.0%} of the rate)"
        cells |= {f"float64 difference, {name}": f"{value:.1e}" for name, value in entry.get("exact", {}).items()}
        if "trials" in entry:
            cells["fixed cost of a warm trial, s"] = spread(entry["trials"]["fixed_seconds"])
            shares = entry["trials"]["evaluation_share"].items()
            cells |= {f"share of evaluation, {name}": spread(value) for name, value in shares}
        if "compiled" in entry:
            taken = entry["compiled"]["compile_seconds"].items()
            cells |= {f"compiling in the {name} compiled trial, s": f"{value:.1f}" for name, value in taken}
        for name, text in cells.items():
            rows.setdefault(name, {})[task] = text
    return rows


def spread(value: dict[str, float]) -> str:
    """`median [min, max]` with three significant digits."""
    return f"{value['median']:.3g} [{value['min']:.3g}, {value['max']:.3g}]"
