"""Training steps of the candidates: how long, in turn on the same batches, of what, and how exact in float64."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.bench import Bench, Training
from fisher.common import measure as timing
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


def plain_mixing(training: Training) -> None:
    """Let every mixed layer form its whole mixed weight in separate passes and differentiate through it."""
    for module in training.strategy.context.model.modules():
        if isinstance(module, Mixed):
            module.mixed_product = module.plain_product  # type: ignore[method-assign]


def candidates(bench: Bench) -> dict[str, Training]:
    """A training of each candidate."""
    made = {
        name: bench.training(strategy, forward=forward, bias_correction=True)
        for name, (strategy, forward) in CANDIDATES.items()
    }
    plain_mixing(made["mixout 0.9, plain mixing"])
    return made


def measure(bench: Bench, count: int) -> dict[str, Any]:
    """Milliseconds of a step of every candidate, and the ratios, batch by batch; the first batch warms up."""
    trainings, batches = candidates(bench), bench.batches(count)
    upcoming = {name: iter([batches[0], *batches]) for name in trainings}
    ways = {name: functools.partial(step_on, trainings[name], upcoming[name]) for name in trainings}
    times = {name: seconds[1:] for name, seconds in timing.in_turn(ways, 1 + len(batches)).items()}
    flops = {name: count_flops(trainings[name], batches[0]) for name in ("dropout", "dropout, stock", "mixout 0.9")}
    return {
        "batches": len(batches),
        "milliseconds": {name: timing.summary([1e3 * value for value in values]) for name, values in times.items()},
        "ratios": timing.ratios(times, RATIOS),
        "flops_of_first_batch": flops,
        "rate_of_first_batch": {name: flops[name] / times[name][0] for name in flops},
    }


def step_on(training: Training, upcoming: Iterator[dict[str, Tensor]]) -> None:
    """One step on the next batch."""
    training.step(next(upcoming))


def count_flops(training: Training, batch: dict[str, Tensor]) -> int:
    """Floating-point operations of the matrix products of one step, as torch's own counter sees them."""
    with FlopCounterMode(display=False) as counter:
        training.step(batch)
    return counter.get_total_flops()


def matmul_rate(size: int = 1024, tries: int = 7) -> float:
    """Operations per second of a square product of float32 matrices on one thread: the best of several tries."""
    one, other = torch.randn(size, size), torch.randn(size, size)
    seconds = []
    for _ in range(tries):
        started = time.process_time()
        one @ other
        seconds.append(time.process_time() - started)
    return 2 * size**3 / min(seconds)


def float64_differences(bench: Bench) -> dict[str, float]:
    """Largest difference of logits and gradients from the plain path's, relative to its largest, in float64."""
    packed, stock = (bench.training("none", dtype=torch.float64, forward=way) for way in ("packed", "stock"))
    kept, plain = (bench.training("mixout(w_pre, 0.9)", dtype=torch.float64, forward="packed") for _ in range(2))
    plain_mixing(plain)
    batch = bench.batches(1)[0]
    return {"packed": difference(packed, stock, batch), "kept columns": difference(kept, plain, batch)}


def difference(fast: Training, plain: Training, batch: dict[str, Tensor]) -> float:
    """Over the logits and every gradient of one batch's loss, drawn from the same generator states."""
    one, other = outcome(fast, batch), outcome(plain, batch)
    logits, gradients = slice(0, 1), slice(1, None)
    return max(relative(one[part], other[part]) for part in (logits, gradients))


def outcome(training: Training, batch: dict[str, Tensor]) -> list[Tensor]:
    """Logits, then the gradients in the parameters' order."""
    training.strategy.draw()
    output = training.strategy.loss({n: v.double() if v.is_floating_point() else v for n, v in batch.items()})
    output.loss.backward()
    parameters = training.strategy.context.model.parameters()
    return [output.logits.detach(), *(p.grad for p in parameters if p.grad is not None)]


def relative(one: list[Tensor], other: list[Tensor]) -> float:
    """max |a - b| / max |b| over lists of tensors; gradients that are 0 but for rounding do not count by themselves."""
    largest = max(float(b.abs().max()) for b in other)
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True)) / largest
