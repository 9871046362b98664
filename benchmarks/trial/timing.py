"""How long trials may take: from what was measured here before, or from one training step of the model at hand."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from benchmarks.data import batches
from benchmarks.grid import make_split
from benchmarks.trial import models
from benchmarks.trial.forward import prepare
from benchmarks.trial.protocol import Protocol
from benchmarks.trial.trial import Resources, encode_all, load_data, split_rows
from regularizers.base import criterion

EVALUATION_SHARE = 1 / 3  # a forward pass costs about a third of a training step on the same tokens


def estimate(
    left: Sequence[dict[str, Any]], records: Iterable[dict[str, Any]], resources: Resources, workers: int
) -> str:
    """One line: the time that the trials in `left` may take on `workers` workers, and what that rests on."""
    if not left:
        return "time: nothing is left"
    measured = defaultdict(list)
    for record in records:
        if record["result"]["score"] is not None:
            measured[kind(record["config"])].append(record["result"]["seconds"]["total"])
    known = {key: statistics.median(seconds) for key, seconds in measured.items()}
    kinds = by_kind(left)
    missing = {key: configs[0] for key, configs in kinds.items() if key not in known}
    if missing:
        per_token = seconds_per_token(next(iter(missing.values())), resources)
        known |= {key: per_token * tokens(config, resources) for key, config in missing.items()}
    total = sum(known[key] * len(configs) for key, configs in kinds.items()) / workers
    basis = "trials done here" if not missing else "one training step measured now"
    return f"time: about {total / 60:.1f} min on {workers} workers, by {basis}; strategies cost more or less"


def kind(config: dict[str, Any]) -> tuple[Any, ...]:
    """Trials of one kind take about the same time."""
    return config["task"], config["fraction"], config["weights"], str(config["protocol"])


def by_kind(configs: Sequence[dict[str, Any]]) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    """The configs of each kind; a protocol that many of them hold as one object is looked at once."""
    parts: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for config in configs:
        parts[config["task"], config["fraction"], config["weights"], id(config["protocol"])].append(config)
    kinds: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for part in parts.values():
        kinds[kind(part[0])] += part
    return kinds


def tokens(config: dict[str, Any], resources: Resources) -> float:
    """Tokens of a whole trial, those of evaluation counted by what they cost next to training."""
    train, dev, protocol = rows_of(config, resources)
    lengths = [sum(len(row["input_ids"]) for row in rows) for rows in (train, dev)]
    return protocol.epochs * (lengths[0] + EVALUATION_SHARE * lengths[1])


def seconds_per_token(config: dict[str, Any], resources: Resources) -> float:
    """Seconds per token of one training step without optimizer, the better of two tries after a first one."""
    train, _, protocol = rows_of(config, resources)
    data = load_data(config["task"], resources.data_dir, resources.task_file, resources.offline)
    outputs = 1 if data.task.labels is None else len(data.task.labels)
    model, _ = models.build(resources.model, outputs, seed=0, head_init=protocol.head_init)
    labels = [0.0 if data.task.labels is None else 0] * len(train[: protocol.batch_size])
    batch = batches.collate(train[: protocol.batch_size], labels, model.config.pad_token_id or 0)
    forward, threads = prepare(model, protocol.forward), torch.get_num_threads()
    torch.set_num_threads(resources.threads)
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        criterion(forward(model.eval(), batch), batch["labels"]).backward()
        seconds.append(time.perf_counter() - started)
    torch.set_num_threads(threads)
    return min(seconds[1:]) / int(batch["attention_mask"].sum())


def rows_of(config: dict[str, Any], resources: Resources) -> tuple[batches.Encoded, batches.Encoded, Protocol]:
    """Token ids of a trial's train and dev parts, and its protocol."""
    where = (config["task"], resources.data_dir, resources.task_file, resources.offline)
    protocol = Protocol(**config["protocol"])
    places = {key: config[key] for key in ("fraction", "split_seed", "restart")}
    split = make_split(load_data(*where), protocol, **places)
    rows = split_rows(split, protocol, encode_all(resources.model, *where, protocol.max_length))
    return rows["train"], rows["dev"], protocol
