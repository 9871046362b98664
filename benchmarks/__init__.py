"""Everything that trains: the command line, tasks, splits, trials, executors and suites."""

from typing import Any

__all__ = ["run_suite"]


def __getattr__(name: str) -> Any:
    """Import `run_suite` on first use: no command waits for it."""
    if name != "run_suite":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from benchmarks.choosing.api import run_suite

    return run_suite
