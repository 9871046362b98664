"""From a suite to the configs of its trials: the cross product, with everything that determines each result."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.data.sources import Example, TaskData, examples_hash
from benchmarks.data.splits import paucity_split, pooled_split, split_hash
from benchmarks.suite import Suite
from benchmarks.trial.forward import available
from benchmarks.trial.metrics import metric_name
from benchmarks.trial.protocol import Protocol, make_protocol
from benchmarks.trial.seeds import derive
from fisher.common.errors import InputError
from regularizers.registry import identity
from regularizers.strategy import Strategy, parse

Config = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Split:
    """Training and dev examples of one trial; ids of the pooled protocol count train and then dev."""

    train: tuple[Example, ...]
    dev: tuple[Example, ...]


def make_split(data: TaskData, protocol: Protocol, *, fraction: float, split_seed: int, restart: int) -> Split:
    """What a trial trains on and is scored on; the strategy has no say in it.

    `official`: a stratified, nested part of train by (task, split seed), scored on the official dev set. `pooled`:
    train and dev joined and shuffled with the restart's seed [Sharma24].
    """
    if protocol.data == "official":
        kept = set(paucity_split(data.task, data.train, fraction=fraction, split_seed=split_seed))
        return Split(tuple(e for e in data.train if e.id in kept), data.dev)
    pool = [dataclasses.replace(e, id=at) for at, e in enumerate((*data.train, *data.dev))]
    seed = derive("pooled", data.task.name, restart)
    train, dev = pooled_split(len(data.train), len(data.dev), seed=seed, fraction=fraction)
    return Split(tuple(pool[i] for i in train), tuple(pool[i] for i in dev))


def seeds(restart: int, split_seed: int) -> dict[str, int]:
    """The seeds of a restart by purpose. The strategy's name is no ingredient, so strategies are paired."""
    return {"split": split_seed} | {purpose: derive(purpose, restart) for purpose in ("init", "order", "noise")}


def make_grid(
    suite: Suite,
    load: Callable[[str], TaskData],
    *,
    model: str,
    weights: str,
    family: str,
    fisher: Callable[[Strategy], dict[str, Any] | None],
) -> list[Config]:
    """The configs of all trials, each once, each strategy of a restart beside the others.

    Args:
        load: task name -> data; model, weights, family: label, hash and architecture of the checkpoint.
        fisher: strategy -> the recipe of the scores it needs, None where it needs none.
    """
    strategies = unique_strategies(suite.every("strategies"))
    about = {str(s): {**_methods(s), "fisher": fisher(s)} for s in strategies}
    grid: dict[tuple[Any, ...], Config] = {}
    for block in suite.blocks():
        protocol = make_protocol(block.protocol, block.settings)
        protocol = dataclasses.replace(protocol, forward=available(protocol.forward, family))
        common = {"protocol": dataclasses.asdict(protocol), "model": model, "weights": weights}
        names = [str(strategy) for strategy in unique_strategies(block.strategies)]
        for task_name in dict.fromkeys(block.tasks):
            data = load(task_name)
            for fraction in dict.fromkeys(block.fractions):
                for shared in _restarts(block, data, protocol, fraction):
                    place = (protocol, task_name, fraction, shared["restart"], shared["split_seed"])
                    grid |= {(*place, n): {**shared, **common, "strategy": n, **about[n]} for n in names}
    return list(grid.values())


def unique_strategies(texts: Iterable[str]) -> list[Strategy]:
    """Parsed strategies, each once: two ways of writing one sum are one strategy."""
    return list({str(strategy): strategy for strategy in map(parse, texts)}.values())


def _methods(strategy: Strategy) -> Config:
    """What the techniques of a sum compute: their versions, and the content of files that they read."""
    files = file_hashes(strategy)
    return {"methods": {name: identity(name) for name in strategy.names()}} | ({"files": files} if files else {})


def file_hashes(strategy: Strategy) -> dict[str, str]:
    """{path: SHA-256 of the file} of the files that the terms read. Raises InputError for one that cannot be read."""
    return {path: _file_hash(path) for path in strategy.files()}


def _file_hash(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}, which a strategy names, must be a file that can be read: {error.strerror}") from None


def _restarts(suite: Suite, data: TaskData, protocol: Protocol, fraction: float) -> list[Config]:
    """What the trials of one restart share, for each restart of one task and fraction."""
    hashes: dict[int, tuple[str, str]] = {}
    answer = []
    for restart in range(suite.restarts):
        split_seed = restart % suite.split_seeds
        key = restart if protocol.data == "pooled" else split_seed
        if key not in hashes:
            split = make_split(data, protocol, fraction=fraction, split_seed=split_seed, restart=restart)
            hashes[key] = split_hash(data.task, split.train), examples_hash(split.dev)
        shared = {"task": data.task.name, "metric": metric_name(data.task, protocol.metric), "fraction": fraction}
        places = {"restart": restart, "split_seed": split_seed, "seeds": seeds(restart, split_seed)}
        answer.append({**shared, **places, "split_hash": hashes[key][0], "dev_hash": hashes[key][1]})
    return answer
