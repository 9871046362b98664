"""How long trials may take: from what was measured here before, or from one training step of the model at hand."""

import math
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from benchmarks.data import batches
from benchmarks.trial import models
from benchmarks.trial.config import TrialConfig
from benchmarks.trial.inputs import Resources, load_inputs
from regularizers.base import criterion
from regularizers.surgery.forward import prepare

FREE = ("lr", "beta1", "beta2", "eps", "clip", "warmup", "schedule")  # of the protocol, what time does not depend on
EVALUATION_SHARE = 1 / 3  # a forward pass costs about a third of a training step on the same tokens


def estimate(
    left: Sequence[TrialConfig], records: Iterable[Mapping[str, Any]], resources: Resources, workers: int
) -> str:
    """One line: the time that the trials in `left` may take on `workers` workers, and what that rests on."""
    if not left:
        return "Nothing left to run."
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


def kind(config: Mapping[str, Any]) -> tuple[Any, ...]:
    """Trials of one kind take about the same time."""
    held_out = (config.get("tuning") or {}).get("holdout")
    pace = _pace(config["protocol"])
    return config["task"], config["fraction"], config["weights"], held_out, "floor" in config, pace


def _pace(protocol: Mapping[str, Any]) -> str:
    """What of a protocol sets how long a trial takes."""
    return str({key: value for key, value in protocol.items() if key not in FREE})


def by_kind(configs: Sequence[TrialConfig]) -> dict[tuple[Any, ...], list[TrialConfig]]:
    """The configs of each `kind`; that of their protocols is made once for each."""
    protocols = {id(config.protocol): config.protocol for config in configs}
    paces = {key: _pace(protocol.to_json()) for key, protocol in protocols.items()}
    kinds: dict[tuple[Any, ...], list[TrialConfig]] = defaultdict(list)
    for config in configs:
        held_out = config.tuning.holdout if config.tuning else None
        place = (config.task, config.fraction, config.weights, held_out, config.floor is not None)
        kinds[*place, paces[id(config.protocol)]].append(config)
    return kinds


def tokens(config: TrialConfig, resources: Resources) -> float:
    """Tokens of a whole trial, those of evaluation counted by what they cost next to training; of a floor none."""
    if config.floor is not None:
        return 0.0
    inputs = load_inputs(config, resources)
    train, dev = (sum(len(row["input_ids"]) for row in part.rows) for part in (inputs.train, inputs.dev))
    protocol, per_epoch = config.protocol, math.ceil(len(inputs.train.rows) / config.protocol.batch_size)
    epochs = protocol.steps / per_epoch if protocol.steps else protocol.epochs
    looks = math.ceil(epochs) if protocol.evaluate == "epoch" else 1
    return epochs * train + EVALUATION_SHARE * (looks * dev + train)


def seconds_per_token(config: TrialConfig, resources: Resources) -> float:
    """Seconds per token of one training step without optimizer, the better of two tries after a first one."""
    inputs, protocol = load_inputs(config, resources), config.protocol
    model, _ = models.build(resources.model, inputs.task.outputs, seed=0, head_init=protocol.head_init)
    rows, labels = inputs.train.rows[: protocol.batch_size], inputs.train.labels[: protocol.batch_size]
    batch = batches.collate(rows, labels, model.config.pad_token_id or 0)
    forward, threads = prepare(model, protocol.forward), torch.get_num_threads()
    torch.set_num_threads(resources.threads)
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        criterion(forward(model.eval(), batch), batch["labels"]).backward()
        seconds.append(time.perf_counter() - started)
    torch.set_num_threads(threads)
    return min(seconds[1:]) / int(batch["attention_mask"].sum())
