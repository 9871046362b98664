"""Conformance: gradients, expectations and means."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from regularizers.testing.check_effect import called_modules
from regularizers.testing.checks import NotApplicable, Subject, check, expect
from regularizers.testing.tiny_trial import Trial
from regularizers.testing.watching import share_noise

DRAWS = 120  # noise draws behind an expectation
SIGMAS = 7.0  # how far a mean may lie from its expectation, in standard errors; thousands of means are compared
MOMENT = 0.15  # relative tolerance of a noise variance measured on hundreds of entries
EXACT = 1e-9  # what float64 arithmetic in another order may differ by here
DIRECTIONS = 3  # random directions along which slopes are compared; a difference is then traced to its tensor
STEP = 1e-4  # of central differences, along a direction of length 1
SLOPE = 1e-5  # relative tolerance of a slope by central differences


@check("gradient")
def gradient(subject: Subject) -> str:
    """With the noise frozen, autograd's gradient of the regularized loss equals central differences in float64."""
    trial = subject.trial(dtype=torch.float64).shift().begin()
    states, batch = trial.generators(), trial.batch(0)

    def loss() -> Tensor:
        trial.restore(states)
        trial.bound.draw()
        return trial.loss(batch).loss

    named = {n: p for n, p in trial.model.named_parameters() if p.requires_grad}
    slopes = dict(zip(named, torch.autograd.grad(loss(), list(named.values()), allow_unused=True), strict=True))
    worst = max(_slope_error(loss, named, slopes, seed)[0] for seed in range(DIRECTIONS))
    for name in named if worst > SLOPE else ():
        error, exact, numeric = _slope_error(loss, {name: named[name]}, slopes, 0)
        expect(
            error <= SLOPE, f"the gradient of {name} is off: slope {exact:.6g}, by central differences {numeric:.6g}"
        )
    expect(worst <= SLOPE, f"the gradient is off by {worst:.2g} of its slope")
    return f"{len(named)} tensors, relative error {worst:.0e} along {DIRECTIONS} directions"


@torch.no_grad()
def _slope_error(
    loss: Callable[[], Tensor], parameters: Mapping[str, Tensor], slopes: Mapping[str, Tensor | None], seed: int
) -> tuple[float, float, float]:
    """Relative error, autograd's slope and the one by central differences, along a random direction."""
    generator = torch.Generator().manual_seed(seed)
    scale = sum(p.numel() for p in parameters.values()) ** -0.5
    along = {n: scale * torch.randn(p.shape, generator=generator).to(p) for n, p in parameters.items()}
    exact = sum(float((slope * along[n]).sum()) for n in parameters if (slope := slopes[n]) is not None)
    start, values = {n: p.clone() for n, p in parameters.items()}, []
    for sign in (1, -1, 0):
        for name, parameter in parameters.items():
            parameter.copy_(start[name] + sign * STEP * along[name])
        values.append(float(loss()) if sign else 0.0)
    numeric = (values[0] - values[1]) / (2 * STEP)
    return abs(exact - numeric) / max(abs(numeric), 1e-3), exact, numeric


@check("expectation")
def expectation(subject: Subject) -> str:
    """Averaged over its noise a touched layer gives what it gives without; dropout's noise has variance p/(1-p)."""
    trial = subject.trial(dtype=torch.float64).shift().begin()
    calls, modules = called_modules(trial), dict(trial.model.named_modules())
    names = [name for name in dict.fromkeys(trial.touched) if name in calls]
    noisy = 0
    for name in names:
        args, kwargs = calls[name]
        clean, samples = _sample(trial, modules[name], args, kwargs)
        relative = float((samples - clean).square().mean() / clean.square().mean().clamp_min(1e-30)) ** 0.5
        spread = torch.maximum(samples.std(0), relative * clean.abs())  # a rare event may be absent from the sample
        noisy += relative > 0
        allowed = SIGMAS * spread / math.sqrt(DRAWS) + EXACT * (1 + clean.abs())
        mean = samples.mean(0)
        at = ((mean - clean).abs() / allowed).argmax()
        expect(
            bool(((mean - clean).abs() <= allowed).all()),
            f"the mean output of {name} over {DRAWS} draws is {mean.flatten()[at]:.4g} where it is "
            f"{clean.flatten()[at]:.4g} without noise",
        )
        _check_variance(subject, name, args[0] if args else None, clean, samples)
    if not noisy:
        raise NotApplicable("no touched layer is noisy by itself")
    return f"{noisy} noisy layers, {DRAWS} draws"


@torch.no_grad()
def _sample(trial: Trial, module: nn.Module, args: Any, kwargs: Any) -> tuple[Tensor, Tensor]:
    """Output of one module in evaluation, and (draws, ...) outputs in training with fresh noise."""

    def call() -> Tensor:
        output = module(*args, **kwargs)
        return (output[0] if isinstance(output, tuple) else output).detach()

    trial.model.eval()
    clean = call()
    trial.model.train()
    samples = []
    for _ in range(DRAWS):
        trial.bound.draw()
        samples.append(call())
    return clean, torch.stack(samples)


def _check_variance(subject: Subject, name: str, x: Any, clean: Tensor, samples: Tensor) -> None:
    """A layer that is the identity without noise, of a method with a probability p, multiplies by variance p/(1-p)."""
    chosen = [getattr(term.regularizer, "p", None) for _, term in subject.terms()]
    rates = [p for p in chosen if isinstance(p, float)]
    if len(rates) != 1 or not isinstance(x, Tensor) or x.shape != clean.shape or not torch.equal(x, clean):
        return
    wanted = rates[0] / (1 - rates[0])
    measured = float((samples - clean).square().mean() / clean.square().mean())
    expect(
        abs(measured - wanted) <= MOMENT * wanted + EXACT,
        f"the noise of {name} has relative variance {measured:.4g} where p = {rates[0]:g} means p/(1-p) = {wanted:.4g}",
    )


@check("mean over examples")
def mean_over_examples(subject: Subject) -> str:
    """The loss is a mean: duplicating the batch leaves it as it is."""
    trial = subject.trial(subject.noisy(), dtype=torch.float64, attention="eager").shift().begin()
    share_noise(trial)
    trial.bound.draw()
    batch = trial.batch(0)
    doubled = {name: torch.cat([value, value]) for name, value in batch.items()}
    once, twice = (trial.loss(b).loss.item() for b in (batch, doubled))
    expect(
        abs(once - twice) <= EXACT * (1 + abs(once)), f"the loss of a duplicated batch is {twice:.6g}, not {once:.6g}"
    )
    return f"loss {once:.6g} for the batch and its double"


@check("accumulation")
def accumulation(subject: Subject) -> str:
    """Micro-batches give the gradient of the large batch, in float64 and with the same noise for every example."""
    gradients = []
    for micro_batch in (0, 9):
        trial = subject.trial(subject.noisy(), dtype=torch.float64, attention="eager").shift().begin()
        share_noise(trial)
        trial.step(trial.batch(0, size=14), micro_batch=micro_batch)
        gradients.append({n: p.grad for n, p in trial.model.named_parameters() if p.grad is not None})
    for name, whole in gradients[0].items():
        apart = float((whole - gradients[1][name]).abs().max())
        expect(apart <= EXACT * (1 + float(whole.abs().max())), f"micro-batches change the gradient of {name}")
    return f"14 = 9 + 5 examples, {len(gradients[0])} tensors"
