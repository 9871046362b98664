"""A suite from Python: `from benchmarks import run_suite`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import options
from fisher.common.errors import InputError, unknown

if TYPE_CHECKING:
    import pandas as pd


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
        found: dict[tuple[str, float], tuple[float, str]] = {}
        for section in sections(trials):
            for cell in section.cells:
                for row in cell.rows:
                    key = cell.task, cell.fraction
                    if row.mean == row.mean and row.mean > found.get(key, (float("-inf"), ""))[0]:
                        found[key] = row.mean, row.strategy
        return {key: strategy for key, (_, strategy) in found.items()}

    def _repr_markdown_(self) -> str:
        return self.tables()


def run_suite(suite: str = "pocket", *, strategies: Sequence[str] | None = None, **flags: Any) -> Results:
    """Run a suite as `regbench run` does and return what it left in its folder; what is done is not run again.

    flags: those of `regbench run`, with underscores: `restarts=3, fractions=[0.1], output="results/mine"`; `set` is a
    list of KEY=VALUE texts. Works in a notebook and in a script without a `__main__` guard. Raises InputError for what
    cannot be carried out, and where trials ended in errors.
    """
    from rich.console import Console

    from benchmarks import run
    from benchmarks.planning.plan import make_plan, resolve

    args = run.main.parser().parse_args([])
    for name in flags:
        if name not in args:
            raise unknown("argument", name, vars(args))
    vars(args).update(flags, suite=suite, strategies=strategies)
    options.check(args)
    request = resolve(args)
    plan, console = make_plan(request), Console(quiet=True)
    run.warn(request.warnings)
    run.execute(request, plan, console)
    if run.report(request, plan, console):
        raise InputError(f"every trial must have a result, but some ended in errors: see {request.folder.path}")
    return Results(request.folder.path)
