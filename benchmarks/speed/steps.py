"""Training steps of the candidates: how long, in turn on the same batches, of what, and how exact in float64."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.bench import Bench
from benchmarks.trial.environment import isolated
from benchmarks.trial.trial import PreparedTrial
from fisher.common import measure as timing
from regularizers.context import to_device
from regularizers.loop import step
from regularizers.surgery.mixing import Mixed

# name -> (strategy, forward pass); the plain mixing is `mixout(w_pre, 0.9)` through autograd over the whole weight
CANDIDATES = {
    "dropout": ("dropout(0.1)", "packed"),
    "dropout, padded": ("dropout(0.1)", "padded"),
    "dropout, stock": ("dropout(0.1)", "stock"),
    "mixout 0.9": ("mixout(w_pre, 0.9)", "packed"),
    "mixout 0.7": ("mixout(w_pre, 0.7)", "packed"),
    "mixout 0.9, plain mixing": ("mixout(w_pre, 0.9)", "packed"),
    "wdecay(0)": ("wdecay(0, 0.01)", "packed"),
    "wdecay(w_pre)": ("wdecay(w_pre, 0.01)", "packed"),
    "guided dropout": ("guided_dropout(0, 0.1)", "packed"),
}
RATIOS = (
    ("mixout 0.9", "dropout"),
    ("mixout 0.7", "dropout"),
    ("mixout 0.9, plain mixing", "dropout"),
    ("dropout", "dropout, stock"),
    ("dropout", "dropout, padded"),
    ("wdecay(w_pre)", "wdecay(0)"),
    ("guided dropout", "dropout"),
)


def plain_mixing(training: PreparedTrial) -> None:
    """Let every mixed layer form its whole mixed weight in separate passes and differentiate through it."""
    for module in training.strategy.context.model.modules():
        if isinstance(module, Mixed):
            module.mixed_product = module.plain_product  # type: ignore[method-assign]


@isolated(0)
def measure(bench: Bench, count: int) -> dict[str, Any]:
    """Milliseconds of a step of every candidate, and the ratios, batch by batch.

    The first batch warms up; on a GPU, which takes memory for every new shape, all of them do.
    """
    trainings = {
        name: bench.training(strategy, forward=forward, bias_correction=True)
        for name, (strategy, forward) in CANDIDATES.items()
    }
    plain_mixing(trainings["mixout 0.9, plain mixing"])
    batches = bench.batches(count)
    warm = batches[:1] if bench.device == "cpu" else batches
    upcoming = {name: iter([*warm, *batches]) for name in trainings}
    ways = {name: functools.partial(step_freely, trainings[name], upcoming[name]) for name in trainings}
    every = timing.in_turn(ways, len(warm) + len(batches), bench.clock)
    times = {name: seconds[len(warm) :] for name, seconds in every.items()}
    flops = {name: count_flops(trainings[name], batches[0]) for name in ("dropout", "dropout, stock", "mixout 0.9")}
    return {
        "batches": len(batches),
        "milliseconds": {name: timing.summary([1e3 * value for value in values]) for name, values in times.items()},
        "ratios": timing.ratios(times, RATIOS),
        "flops_of_first_batch": flops,
        "rate_of_first_batch": {name: flops[name] / times[name][0] for name in flops},
    }


def step_on(training: PreparedTrial, batch: dict[str, Tensor]) -> None:
    """Move the batch to the device; draw, forward, backward, clip, update."""
    step(training.strategy, to_device(batch, training.accelerator.device), training.recipe, training.accelerator)


def step_freely(training: PreparedTrial, upcoming: Iterator[dict[str, Tensor]]) -> None:
    """One step on the next batch; its gradients are not kept, so that all candidates fit into a GPU's memory."""
    step_on(training, next(upcoming))
    training.strategy.context.model.zero_grad()


def count_flops(training: PreparedTrial, batch: dict[str, Tensor]) -> int:
    """Floating-point operations of the matrix products of one step, as torch's own counter sees them."""
    with FlopCounterMode(display=False) as counter:
        step_on(training, batch)
    return counter.get_total_flops()


@isolated(0)
def float64_differences(bench: Bench) -> dict[str, float]:
    """Largest difference of logits and gradients from the plain path's, relative to its largest, in float64."""
    packed, stock = (bench.training("none", dtype=torch.float64, forward=way) for way in ("packed", "stock"))
    kept, plain = (bench.training("mixout(w_pre, 0.9)", dtype=torch.float64, forward="packed") for _ in range(2))
    plain_mixing(plain)
    batch = bench.batches(1)[0]
    return {"packed": difference(packed, stock, batch), "kept columns": difference(kept, plain, batch)}


def difference(fast: PreparedTrial, plain: PreparedTrial, batch: dict[str, Tensor]) -> float:
    """Over the logits and every gradient of one batch's loss, drawn from the same generator states."""
    one, other = outcome(fast, batch), outcome(plain, batch)
    logits, gradients = slice(0, 1), slice(1, None)
    return max(relative(one[part], other[part]) for part in (logits, gradients))


def outcome(training: PreparedTrial, batch: dict[str, Tensor]) -> list[Tensor]:
    """Logits, then the gradients in the parameters' order."""
    moved = to_device(batch, training.accelerator.device)
    training.strategy.draw()
    output = training.strategy.loss({n: v.double() if v.is_floating_point() else v for n, v in moved.items()})
    output.loss.backward()
    parameters = training.strategy.context.model.parameters()
    return [output.logits.detach(), *(p.grad for p in parameters if p.grad is not None)]


def relative(one: list[Tensor], other: list[Tensor]) -> float:
    """max |a - b| / max |b| over lists of tensors; gradients that are 0 but for rounding do not count by themselves."""
    largest = max(float(b.abs().max()) for b in other)
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True)) / largest
