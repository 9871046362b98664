"""How far the fast paths are from the plain ones in float64, on the model and the batch that are measured."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.speed.bench import Bench, Training
from benchmarks.speed.steps import plain_mixing


def errors(bench: Bench) -> dict[str, float]:
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
