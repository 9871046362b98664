"""What a command line names, looked up before torch is loaded: suite, tasks, strategies, the user's own task.

Strategies whose techniques all exist are then read as a whole, which takes torch but no model.
"""

import argparse
import importlib.metadata
import importlib.util
import pkgutil
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.data.origin import Origin
from benchmarks.data.readers import load_toml
from fisher.common.errors import require, require_known, unknown

FOLDER = Path(__file__).parents[1] / "suites"
ENTRY_POINTS = "regbench.regularizers"  # installed plugins, which may bring further names
QUOTED_OR_ARGUMENTS = re.compile(r'"(?:[^"\\]|\\.)*"|\([^()"]*\)')
NAME = re.compile(r"(?:^|\+)\s*(?:head:)?\s*([a-z_][a-z0-9_]*)\s*(?=$|\+)")


def check_names(args: argparse.Namespace) -> None:
    """Raise InputError for a name that nothing has, a file that is not there, and a strategy that cannot be read."""
    data = Origin(args.data_dir, args.task_file, args.offline)
    data.own()
    for name in args.tasks or ():
        data.task(name)
    suite = {} if args.suite is None else read_suite_toml(args.suite)[1]
    if not args.strategies or args.plugin or importlib.metadata.entry_points(group=ENTRY_POINTS):
        return
    _check_methods(args.strategies)
    if args.tune is None and "tuning" not in suite:  # else they are families
        from regularizers.strategy import parse

        for text in args.strategies:
            parse(text)


def builtin_suites() -> dict[str, Path]:
    """The suites that ship with the project, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}


def read_suite_toml(name: str) -> tuple[Path, dict[str, Any]]:
    """File and content of a built-in suite by name or of a user's by its path."""
    suites = builtin_suites()
    path = suites.get(name, Path(name))
    require(
        name in suites or path.suffix == ".toml", f"{unknown('suite', name, suites)}, or give a file that ends in .toml"
    )
    return path, load_toml(path, "a suite")


def builtin_methods() -> list[str]:
    """The techniques of this package, of which each has a file of its name."""
    package = importlib.util.find_spec("regularizers")
    assert package is not None and package.origin is not None, "it is part of this distribution"
    found = pkgutil.iter_modules([str(Path(package.origin).with_name("methods"))])
    return sorted(module.name for module in found if not module.name.startswith("_"))


def _check_methods(strategies: Iterable[str]) -> None:
    known = builtin_methods()
    for text in strategies:
        names = NAME.findall(QUOTED_OR_ARGUMENTS.sub("", QUOTED_OR_ARGUMENTS.sub("", text)))
        require_known("regularizer", names, known)
