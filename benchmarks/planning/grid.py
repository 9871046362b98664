"""From a suite to the configs of its trials: the cross product, with everything that determines each result."""

import dataclasses
import errno
import functools
import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.data.sources import Example, TaskData, examples_hash, text_line
from benchmarks.data.splits import Size, divide, make_split, split_hash
from benchmarks.planning.suite_file import Suite
from benchmarks.trial.config import Seeds, TrialConfig
from benchmarks.trial.metrics import metric_name
from benchmarks.trial.protocol import Protocol, make_protocol
from benchmarks.tuning.trials import Plan
from fisher.common.errors import InputError
from regularizers.registry import identity
from regularizers.strategy import Strategy, parse
from regularizers.surgery.forward import available
from regularizers.surgery.site_tables import FAMILIES


def make_grid(
    suite: Suite,
    load: Callable[[str], TaskData],
    *,
    model: Mapping[str, Any],
    family: str,
    fisher: Callable[[Strategy], dict[str, Any] | None],
    layers: int = 12,
) -> list[TrialConfig]:
    """The configs of all trials, each once, the strategies of a restart next to each other.

    Args:
        load: task name -> data; model: label and hashes of the checkpoint (`model_identity`), family and layers: its
            architecture and depth.
        fisher: strategy -> the recipe of the scores it needs, None where it needs none.
    """

    @functools.cache
    def about(text: str) -> dict[str, Any]:
        strategy = parse(text)
        return {"strategy": strategy, "fisher": fisher(strategy), **_methods(strategy)}

    tuned = None if suite.tuning is None else Plan(suite.tuning, layers, about)
    cells: dict[tuple[Any, ...], int] = {}
    grid: dict[tuple[Any, ...], TrialConfig] = {}
    for block in suite.blocks():
        protocol = make_protocol(block.protocol, block.settings)
        sites = "table" if family in FAMILIES else protocol.sites
        protocol = dataclasses.replace(protocol, forward=available(protocol.forward, family), sites=sites)
        names = [str(strategy) for strategy in unique_strategies(block.strategies)]
        for task in dict.fromkeys(block.tasks):
            for amount, restart, holdout_hash in _restarts(block, load(task), protocol):
                cell = cells.setdefault((protocol, task, amount), len(cells))
                fields = [{**restart, **about(name)} for name in names]
                fields += tuned.trials(restart, holdout_hash) if tuned else []
                place = (cell, restart["restart"], restart["split_seed"])
                for own in fields:
                    place_in_tuning = (t := own.get("tuning")) and (t.family, t.draw, t.holdout)
                    key = (*place, str(own["strategy"]), place_in_tuning)
                    grid[key] = TrialConfig(**model, **own)
    return list(grid.values())


def unique_strategies(texts: Iterable[str]) -> list[Strategy]:
    """Parsed strategies, each once: two ways of writing one sum are one strategy."""
    return list({str(strategy): strategy for strategy in map(parse, texts)}.values())


def _methods(strategy: Strategy) -> dict[str, Any]:
    """What the techniques of a sum compute: their versions, and the content of files that they read."""
    return {"methods": {name: identity(name) for name in strategy.names()}, "files": file_hashes(strategy) or None}


def file_hashes(strategy: Strategy) -> dict[str, str]:
    """{path: SHA-256 of the file} of the files that the terms read. Raises InputError for one that cannot be read."""
    return {path: _file_hash(path) for path in strategy.files()}


def _file_hash(path: str) -> str:
    try:
        if not os.path.isfile(path):
            raise OSError(errno.ENOENT, "no such file")
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}, which a strategy names, must be a file that can be read: {error.strerror}") from None


def _restarts(suite: Suite, data: TaskData, protocol: Protocol) -> Iterator[tuple[float | Size, dict[str, Any], str]]:
    """Amounts, the fields that the trials of one restart share, and its holdout's hash (empty without tuning)."""
    amounts = suite.amounts()
    shares = {one: len(one.ids(data, 0)) / len(data.train) if isinstance(one, Size) else one for one in amounts}
    extra = {name: examples_hash(examples) for name, examples in data.extra.items()}
    dev = examples_hash(data.dev) if protocol.data == "official" else None
    dropped = {part: list(rows) for part, rows in data.dropped.items()}
    line = functools.cache(text_line)

    def hashes_of(train: Sequence[Example]) -> dict[str, str]:
        return {"split_hash": split_hash(data.task, train), "train_hash": examples_hash(train, line)}

    of_all = functools.cache(lambda: hashes_of(data.train))  # what every restart without paucity trains on

    @functools.cache
    def hashes(amount: float | Size, split_seed: int, restart: int) -> tuple[dict[str, str], str]:
        """Of a split's parts, and of its holdout."""
        place = {"split_seed": split_seed, "restart": restart}
        size = amount if isinstance(amount, Size) else None
        split = make_split(data, protocol, fraction=shares[amount], size=size, **place)
        of_train = of_all() if split.train is data.train else hashes_of(split.train)
        found = of_train | {"dev_hash": dev or examples_hash(split.dev, line)}
        if suite.tuning is None:
            return found, ""
        _, held_out = divide(data, protocol, split, suite.tuning.holdout, **place)
        return found, split_hash(data.task, held_out)

    def seeds(restart: int) -> tuple[int, int]:
        """Of its split, and of its pool where that is the restart's own."""
        return suite.split_of(restart), restart if protocol.data == "pooled" else 0

    for restart, amount in itertools.product(range(suite.restarts), amounts):
        hashes(amount, *seeds(restart))  # all amounts of a split one after the other: they are parts of one order
    for amount, restart in itertools.product(amounts, range(suite.restarts)):
        of_split, of_holdout = hashes(amount, *seeds(restart))
        split_seed = suite.split_of(restart)
        fields = {
            "task": data.task.name,
            "metric": metric_name(data.task, protocol.metric),
            "fraction": shares[amount],
            "restart": restart,
            "split_seed": split_seed,
            "seeds": Seeds.of(restart, split_seed),
            **of_split,
            "extra_hashes": extra or None,
            "dropped": dropped or None,
            "protocol": protocol,
            "size": amount if isinstance(amount, Size) else None,
        }
        yield amount, fields, of_holdout
