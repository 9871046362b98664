"""A suite from Python: `from benchmarks import run_suite`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from benchmarks import options
from fisher.common.errors import InputError, require_known

if TYPE_CHECKING:
    import pandas as pd

SHOWING = {"list", "dry_run", "verbose", "explain"}  # flags that make the command print


@dataclass(frozen=True)
class Results:
    """What lies in the output folder of a run."""

    folder: Path

    def to_frame(self) -> pd.DataFrame:
        """Every row of the leaderboard: leaderboard.csv as a data frame."""
        import pandas

        return pandas.read_csv(self.folder / "leaderboard.csv")

    def tables(self) -> str:
        """The tables as text."""
        return (self.folder / "leaderboard.md").read_text(encoding="utf-8")

    def best(self) -> dict[tuple[str, float], str]:
        """{(task, fraction): the strategy with the best mean score}; the tables say whether it is significant."""
        from leaderboard.build import load
        from leaderboard.tables.sections import sections

        trials, _ = load([self.folder])
        rows = [(cell, row) for section in sections(trials) for cell in section.cells for row in cell.rows]
        scored = [(cell, row) for cell, row in reversed(rows) if row.mean == row.mean]  # no NaN; of equals the first
        ranked = sorted(scored, key=lambda one: one[1].mean)
        return {(cell.task, cell.fraction): row.strategy for cell, row in ranked}

    def _repr_markdown_(self) -> str:
        return self.tables()


def run_suite(suite: str = "pocket", **flags: Any) -> Results:
    """Run a suite as `regbench run` does and return what it left in its folder; what is done is not run again.

    flags: those of `regbench run`, with underscores, a list where the flag takes several: `strategies=["none"],
    restarts=3, fractions=[0.1], output="results/mine", set=["epochs=1"]`. Prints warnings and nothing else; works in a
    notebook and in a script without a `__main__` guard. Raises InputError for what cannot be carried out, and where
    trials ended in errors.
    """
    from rich.console import Console

    from benchmarks import run
    from benchmarks.executors.launch import execute
    from benchmarks.planning.plan import make_plan, resolve

    args = _parse(run.main.parser(), {"suite": suite, **flags})
    options.check(args)
    request = resolve(args)
    plan, console = make_plan(request), Console(quiet=True)
    run.warn(request.warnings)
    execute(request, plan, console)
    if run.report(request, plan, console):
        raise InputError(f"every trial must have a result, but some ended in errors: see {request.folder.path}")
    return Results(request.folder.path)


def _parse(parser: argparse.ArgumentParser, flags: Mapping[str, Any]) -> argparse.Namespace:
    """Read the flags as the command line does. Raises InputError."""
    known = vars(parser.parse_args([])).keys() - SHOWING
    words: list[str] = []
    require_known("argument", flags, sorted(known))
    for name, value in flags.items():
        if value is not None and value is not False:
            several = value if isinstance(value, (list, tuple)) else [value]
            words += [f"--{name.replace('_', '-')}", *([] if value is True else map(str, several))]

    def refuse(message: str) -> NoReturn:
        raise InputError(f"run_suite: {message}")

    parser.error = refuse  # type: ignore[method-assign]
    return parser.parse_args(words)
