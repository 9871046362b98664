"""The conformance checks: what every regularizer must do right, whatever it does.

Each check is a function of a `Subject` that returns a sentence on what it saw, or raises `Failure` with what is wrong
or `NotApplicable` with why there is nothing to check. A method opts out of a check only by saying why (`exempt`). The
checks know no method by name; most of them stand for a defect seen in published code of this field.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from fisher.common.errors import InputError
from regularizers.base import Batch, Regularizer, SkipTrial, forward
from regularizers.context import History
from regularizers.flatten import flatten, unflatten
from regularizers.resume import CannotSave, Snapshots
from regularizers.strategy import Strategy, Term, parse
from regularizers.testing.tiny_trial import (
    CLASSES,
    HEAD,
    SIZE,
    DefaultDraws,
    Trial,
    bits,
    first_difference,
    make_batch,
    share_noise,
    tiny_bert,
)

DRAWS = 120  # noise draws behind an expectation
SIGMAS = 7.0  # how far a mean may lie from its expectation, in standard errors; thousands of means are compared
MOMENT = 0.15  # relative tolerance of a noise variance measured on hundreds of entries
EXACT = 1e-9  # what float64 arithmetic in another order may differ by here
DIRECTIONS = 3  # random directions along which slopes are compared; a difference is then traced to its tensor
STEP = 1e-4  # of central differences, along a direction of length 1
SLOPE = 1e-5  # relative tolerance of a slope by central differences


class Failure(Exception):
    """The method does something wrong; the message says what."""


class NotApplicable(Exception):
    """The check's premise does not hold for this method; the message says why."""


@dataclass(frozen=True)
class Subject:
    """A strategy under test: `name` is the regularizer it stands for, `off` equals none, `exempt` {check: reason}."""

    name: str
    strategy: Strategy
    off: tuple[str, ...] = ()
    exempt: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def trial(self, **options: Any) -> Trial:
        """A fresh trial of the strategy, attached."""
        return Trial(self.strategy, **options)

    def terms(self) -> Iterator[tuple[int, Term]]:
        """The terms of the method itself, with their places in the sum."""
        return ((at, t) for at, t in enumerate(self.strategy.terms) if t.regularizer.name == self.name)

    def rest(self) -> Strategy:
        """The sum without the method's own terms: `none` where nothing else is in it."""
        own = {at for at, _ in self.terms()}
        terms = tuple(term for at, term in enumerate(self.strategy.terms) if at not in own)
        return Strategy(terms) if terms else parse("none")

    def noisy(self) -> Strategy:
        """The strategy with stock dropout beside it where the sum allows that: noise for losses that compare passes."""
        try:
            return parse(f"{self.strategy} + dropout(0.3)")
        except InputError:
            return self.strategy


CHECKS: dict[str, Callable[[Subject], str]] = {}
Check = Callable[[Subject], str]


def check(name: str) -> Callable[[Check], Check]:
    """Add a function to the checks under a short name; its docstring is what the table explains."""

    def add(function: Check) -> Check:
        CHECKS[name] = function
        return function

    return add


def expect(condition: bool, problem: str) -> None:
    """Raise Failure unless the condition holds."""
    if not condition:
        raise Failure(problem)


@functools.cache
def trained(strategy: str, steps: int = 3) -> dict[str, Tensor]:
    """Outcome of a short training under fixed seeds."""
    return Trial(parse(strategy)).begin().train(steps).outcome()


def common_difference(a: dict[str, Tensor], b: dict[str, Tensor]) -> str | None:
    """As `first_difference`, over the names that both have."""
    both = a.keys() & b.keys()
    return first_difference({n: a[n] for n in sorted(both)}, {n: b[n] for n in sorted(both)})


# What the method is and what it touches


@check("canonical")
def canonical(subject: Subject) -> str:
    """Its canonical text reads back as itself."""
    text = str(subject.strategy)
    expect(str(parse(text)) == text, f"{text} reads back as {parse(text)}")
    return text


@check("touched")
def touched(subject: Subject) -> str:
    """It lists what it touches; what it lists exists and takes part in the model's forward pass."""
    trial = subject.trial()
    known = {**dict(trial.model.named_modules()), **dict(trial.model.named_parameters())}
    expect(bool(trial.touched), "attach lists nothing: it must return the modules or parameters it touches")
    ghosts = [name for name in trial.touched if name not in known]
    expect(not ghosts, f"attach lists {ghosts[:1]}, which is no module or parameter of the model")
    called = called_modules(trial)
    for name in trial.touched:
        module = known[name]
        if isinstance(module, nn.Module) and is_leaf(module) and name not in called:
            expect(
                isinstance(module, nn.modules.dropout._DropoutNd) and rate_matters(trial, module),
                f"{name} ({type(module).__name__}) is touched but the model never calls it",
            )
    return f"{len(trial.touched)}: {', '.join(trial.touched[:2])}{', ...' if len(trial.touched) > 2 else ''}"


def is_leaf(module: nn.Module) -> bool:
    """Whether a module holds no other module."""
    return next(module.children(), None) is None


def called_modules(trial: Trial) -> dict[str, tuple[Any, Any]]:
    """{name: (args, kwargs)} of the first call of every module within one regularized loss."""
    calls: dict[str, tuple[Any, Any]] = {}

    def note(name: str) -> Callable[..., None]:
        return lambda module, args, kwargs: calls.setdefault(name, (args, kwargs)) and None

    handles = [
        m.register_forward_pre_hook(note(n), with_kwargs=True) for n, m in trial.model.named_modules() if is_leaf(m)
    ]
    trial.bound.draw()
    trial.loss(trial.batch(0))
    for handle in handles:
        handle.remove()
    return calls


def rate_matters(trial: Trial, module: nn.Module) -> bool:
    """Whether the loss feels the module's probability, which attention reads without calling the module."""
    states, before, losses = trial.generators(), module.p, []
    own_forward = type(module).forward is not nn.Dropout.forward
    for rate in (0.0, 0.9):
        module.p = rate  # type: ignore[assignment]
        trial.restore(states)
        losses.append(trial.loss(trial.batch(0)).loss.item())
    module.p = before
    return losses[0] != losses[1] and not own_forward


@check("acts")
def acts(subject: Subject) -> str:
    """Three steps with it lead elsewhere than three steps without, and every numeric hyperparameter matters."""
    outcome, without = trained(str(subject.strategy)), str(subject.rest())
    same = common_difference(outcome, trained(without)) is None
    expect(not same, f"three steps lead to the same bits as {without}")
    fields = []
    for at, term in subject.terms():
        for field in dataclasses.fields(term.regularizer):
            other = nudge(term.regularizer, field)
            if other is not None:
                terms = [*subject.strategy.terms]
                terms[at] = dataclasses.replace(term, regularizer=other)
                moved = common_difference(outcome, trained(str(Strategy(tuple(terms)))))
                expect(moved is not None, f"{field.name} is ignored: {term} and {terms[at]} lead to the same bits")
                fields.append(field.name)
    return f"{', '.join(dict.fromkeys(fields)) or 'no number to set'}: each changes the result"


def nudge(regularizer: Regularizer, field: dataclasses.Field[Any]) -> Regularizer | None:
    """A copy with another value of a numeric field; None for a field that is no number."""
    value = getattr(regularizer, field.name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    whole = str(field.type) in ("int", "<class 'int'>")
    options = (value + 1, value - 1) if whole else (value / 2, value + 0.05) if value else (0.05, 0.5)
    for option in options:
        try:
            return dataclasses.replace(regularizer, **{field.name: option})
        except InputError:
            continue
    return None


@check("off")
def off(subject: Subject) -> str:
    """Switched off it equals none bit for bit."""
    if not subject.off:
        raise NotApplicable("not declared: name a strategy that must equal none, off = ('my(0)',)")
    for text in subject.off:
        different = first_difference(trained(text), trained("none"))
        expect(different is None, f"{text} differs from none in {different}")
    return f"{', '.join(subject.off)}: same bits as none"


# Randomness


@check("pairing")
def pairing(subject: Subject) -> str:
    """Attaching draws nothing from torch's default generator and leaves the head and the batch order alone."""
    trial = subject.trial(default=3)
    order = torch.randperm(1000)
    torch.manual_seed(3)
    expect(
        torch.equal(order, torch.randperm(1000)),
        "attaching draws from torch's default generator, so restarts are no longer paired; use context.generator",
    )
    if any(term.scope == "head" for _, term in subject.terms()):
        return "default generator untouched"
    start, now = dict(tiny_bert().named_parameters()), dict(trial.model.named_parameters())
    changed = common_difference(
        {n: p for n, p in start.items() if n in HEAD}, {n: p for n, p in now.items() if n in HEAD}
    )
    expect(changed is None, f"attaching changes the head's start in {changed}")
    return "default generator, head and batch order as with none"


@check("random sources")
def random_sources(subject: Subject) -> str:
    """Draws come from context.generator; Python's, NumPy's and torch's default states belong to others."""
    python, numpy = random.getstate(), np.random.get_state(legacy=False)
    trial = subject.trial()
    with DefaultDraws() as watch:
        trial.begin().train(2).outcome()
    expect(random.getstate() == python, "it moves the state of Python's random; use context.generator")
    after = np.random.get_state(legacy=False)
    same = str(after) == str(numpy) and np.array_equal(after["state"]["key"], numpy["state"]["key"])
    expect(same, "it moves NumPy's random state; use context.generator")
    names = ", ".join(dict.fromkeys(watch.offenders))
    expect(not names, f"{names} draws from torch's default generator, which is stock dropout's; use context.generator")
    return "Python's and NumPy's states still, no foreign draw from torch's"


@check("reproducible")
def reproducible(subject: Subject) -> str:
    """Two runs with the same seeds agree bit for bit; setting the generators back repeats the noise."""
    different = first_difference(subject.trial().begin().train(3).outcome(), trained(str(subject.strategy)))
    expect(different is None, f"two runs with the same seeds differ in {different}")
    trial = subject.trial().shift().begin()
    states, losses = trial.generators(), []
    for _ in range(2):
        trial.restore(states)
        trial.bound.draw()
        losses.append(trial.loss(trial.batch(0)).loss.detach())
    expect(torch.equal(bits(losses[0]), bits(losses[1])), "its noise comes from a source other than context.generator")
    return "same seeds, same bits"


@check("step noise")
def step_noise(subject: Subject) -> str:
    """Noise that all examples share is drawn once per optimizer step, not once per micro-batch."""
    trial = subject.trial(dtype=torch.float64).shift().begin()
    batch = {name: value[1:2].expand(SIZE, *value.shape[1:]).contiguous() for name, value in trial.batch(0).items()}
    trial.bound.draw()
    first, second = (trial.loss(batch).logits.detach() for _ in range(2))
    if (first - first[:1]).abs().max() > EXACT:
        return "noise differs between examples"
    expect(
        bool((first - second).abs().max() <= EXACT),
        "noise shared by the examples of a batch is drawn anew for every micro-batch; draw it in draw()",
    )
    return "the same within a step"


# Mathematics


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
    trial = Trial(subject.noisy(), dtype=torch.float64, attention="eager").shift().begin()
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
        trial = Trial(subject.noisy(), dtype=torch.float64, attention="eager").shift().begin()
        share_noise(trial)
        trial.step(trial.batch(0, size=14), micro_batch=micro_batch)
        gradients.append({n: p.grad for n, p in trial.model.named_parameters() if p.grad is not None})
    for name, whole in gradients[0].items():
        apart = float((whole - gradients[1][name]).abs().max())
        expect(apart <= EXACT * (1 + float(whole.abs().max())), f"micro-batches change the gradient of {name}")
    return f"14 = 9 + 5 examples, {len(gradients[0])} tensors"


# Weights


@check("decay")
def decay(subject: Subject) -> str:
    """Without a task gradient only listed weights are pulled, by lr times a constant; no bias, no normalisation."""
    trial = subject.trial(dtype=torch.float64).shift().begin()
    pulls = {lr: _pull(trial, lr) for lr in (0.0, 0.05, 0.1)}
    moved = {name for name, change in pulls[0.1].items() if bool(change.any())} | _coupled(trial)
    if not moved:
        raise NotApplicable("nothing moves without a task gradient")
    stray = [n for n in moved if not any(n == t or n.startswith(f"{t}.") for t in trial.touched)]
    expect(not stray, f"it pulls {', '.join(sorted(stray)[:2])}, which attach does not list")
    norms = {n for n, m in trial.model.named_modules() if "norm" in type(m).__name__.lower()}
    spared = [n for n in moved if n.endswith("bias") or n.rpartition(".")[0] in norms]
    expect(
        not spared, f"it decays {', '.join(sorted(spared)[:1])}: biases and normalisation parameters are never decayed"
    )
    still = [name for name, change in pulls[0.0].items() if bool(change.any())]
    expect(not still, f"at learning rate 0 it still moves {still[:1]}")
    bent = [
        n for n, change in pulls[0.1].items() if not torch.allclose(change, 2 * pulls[0.05][n], rtol=1e-6, atol=1e-12)
    ]
    expect(not bent, f"the pull on {bent[:1]} is not proportional to the learning rate")
    return f"{len(moved)} listed tensors are pulled"


def _pull(trial: Trial, lr: float) -> dict[str, Tensor]:
    """What one update with gradient 0 adds to every parameter; the weights are put back."""
    optimizer, start = trial.context.training.optimizer, trial.weights()
    assert optimizer is not None
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr"] / 1e-3 if lr else 0.0
    _zero_gradients(trial)
    trial.bound.update(optimizer.step)
    for group in optimizer.param_groups:
        group["lr"] = 1e-3
    changes = {name: p.detach() - start[name] for name, p in trial.model.named_parameters()}
    with torch.no_grad():
        for name, parameter in trial.model.named_parameters():
            parameter.copy_(start[name])
    return changes


def _coupled(trial: Trial) -> set[str]:
    """Names of the parameters that the gradient hook pulls without a task gradient."""
    trial.bound.gradients(lambda: _zero_gradients(trial))
    return {n for n, p in trial.model.named_parameters() if p.grad is not None and bool(p.grad.any())}


def _zero_gradients(trial: Trial) -> None:
    for parameter in trial.model.parameters():
        parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None


@check("head start")
def head_start(subject: Subject) -> str:
    """The head's random start leaves no trace once the head is overwritten, unless the strategy names w_0."""
    if "w_0" in str(subject.strategy):
        raise NotApplicable("the strategy asks for w_0")
    results = []
    for seed in (1, 11):
        trial = subject.trial(head=seed)
        parameters = dict(trial.model.named_parameters())
        if not parameters.keys() >= HEAD:
            raise NotApplicable("the head is wrapped")
        with torch.no_grad():
            for name in sorted(HEAD):
                parameters[name].fill_(0.05).add_(tiny_bert(head=9).get_parameter(name))
        results.append(trial.begin().train(3).weights())
    different = first_difference(*results)
    expect(different is None, f"training depends on the head's random start, which pulls or mixes {different}")
    return "no trace of w_0"


@check("evaluation")
def evaluation(subject: Subject) -> str:
    """Evaluation is deterministic, draws nothing, leaves modes and weights alone, and is the plain model's."""
    trial = subject.trial().begin().train(2)
    before, batch = trial.weights(), trial.batch(0)
    trial.loss(batch)
    asleep = [name for name, training in _modes(trial.model).items() if not training]
    expect(not asleep, f"a training pass switches {asleep[:1]} to evaluation mode")
    trial.model.eval()
    states, logits = trial.generators(), []
    for _ in range(2):
        with trial.bound.evaluation(), torch.no_grad():
            logits.append(forward(trial.model, batch))
    woken = [name for name, training in _modes(trial.model).items() if training]
    expect(not woken, f"an evaluation pass switches {woken[:1]} to training mode")
    expect(torch.equal(*logits), "two evaluations of the same weights differ: there is noise at evaluation")
    drawn = any(not torch.equal(a, b) for a, b in zip(states, trial.generators(), strict=True))
    expect(not drawn, "evaluation draws random numbers")
    changed = first_difference(before, trial.weights())
    expect(changed is None, f"evaluation does not give the training's {changed} back: is a snapshot an alias?")
    _check_plain(trial, batch)
    return "same bits twice, modes and weights as before"


def _modes(model: nn.Module) -> dict[str, bool]:
    return {name: module.training for name, module in model.named_modules()}


def _check_plain(trial: Trial, batch: Batch) -> None:
    """Where the parameters are the model's own, the evaluated model is the plain one with the same weights."""
    plain, now = tiny_bert(), trial.weights()
    if dict(plain.named_parameters()).keys() != now.keys():
        return
    plain.load_state_dict(now, strict=False)
    with torch.no_grad():
        same = torch.allclose(forward(plain.eval(), batch), forward(trial.model.eval(), batch), rtol=1e-4, atol=1e-5)
    expect(same, "the evaluated model is not the plain model with the same weights: something acts at evaluation")


# Citizenship


@check("resume")
def resume(subject: Subject) -> str:
    """Saving after two steps, loading into a fresh model and going on equals an uninterrupted run."""
    whole = subject.trial().begin().train(4)
    first = subject.trial().begin()
    snapshots = _snapshots(first)
    first.train(2)
    snapshots.history.losses += [0.0, 0.0]
    try:
        saved = save(flatten(snapshots.take()))
    except CannotSave as reason:
        raise Failure(str(reason)) from None
    again = subject.trial(body=21, head=22, noise=23, default=24, initial=first.context.initial).begin()
    _snapshots(again).put(unflatten(load(saved)))
    different = first_difference(again.train(2).outcome(), whole.outcome())
    expect(
        different is None, f"a resumed run differs from an uninterrupted one in {different}: some state was not saved"
    )
    return "2 + 2 steps equal 4"


def _snapshots(trial: Trial) -> Snapshots:
    """What saves a trial whose first step is yet to come, with a schedule of one rate."""
    assert trial.context.training.optimizer is not None
    return Snapshots(trial.bound, LambdaLR(trial.context.training.optimizer, lambda step: 1.0), History())


@check("moves")
def moves(subject: Subject) -> str:
    """After `.to()` everything has moved: tensors of modules are parameters or buffers, and a step still works."""
    trial = subject.trial()
    loose = [
        f"{name}.{key}"
        for name, m in trial.model.named_modules()
        for key, v in vars(m).items()
        if isinstance(v, Tensor)
    ]
    expect(not loose, f"{loose[:1]} is a tensor that is no buffer: .to() and state_dict lose it")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    trial.model.to(device, torch.float64)
    trial.begin().train(2)
    tensors = dict(trial.model.state_dict(keep_vars=True))
    left = [
        n for n, t in tensors.items() if t.is_floating_point() and (t.dtype != torch.float64 or t.device.type != device)
    ]
    expect(not left, f"{left[:1]} did not move with the model")
    return f"to {device}, float64"


@check("regression head")
def regression_head(subject: Subject) -> str:
    """On a one-output head with its one-element bias everything stays finite."""
    trial = subject.trial(outputs=1).begin()
    for at in range(3):
        loss = trial.step(trial.batch(at))
        expect(bool(torch.isfinite(loss)), f"the loss of step {at + 1} on a regression head is {float(loss)}")
    broken = [name for name, value in trial.outcome().items() if not bool(torch.isfinite(value).all())]
    expect(not broken, f"on a regression head {broken[:1]} becomes NaN or infinite")
    return "finite"


@check("cost")
def cost(subject: Subject) -> str:
    """Passes per step are those declared; time and memory of a step are measured against none."""
    trial, plain = subject.trial().begin(), Trial(parse("none")).begin()
    memory = [_saved_bytes(t) for t in (plain, trial)]
    trial.forwards = trial.backwards = 0
    trial.train(1)
    declared = [term.regularizer.passes for _, term in subject.terms()]
    counted = (trial.forwards, trial.backwards)
    expect(
        not declared or counted in declared,
        f"one step takes {counted} (forward, backward) passes, declared {declared[0]}",
    )
    seconds = _seconds(plain, trial)
    return (
        f"passes {counted[0]}+{counted[1]}, time x{seconds[1] / seconds[0]:.2f}, "
        f"activations x{memory[1] / memory[0]:.2f}, own state {_state_bytes(trial, plain) / 1024:.0f} KiB"
    )


def _seconds(*trials: Trial) -> list[float]:
    """Best time of a step for each trial, taken in turns."""
    best = [math.inf] * len(trials)
    for _ in range(5):
        for at, trial in enumerate(trials):
            batch = trial.batch(0)
            started = time.perf_counter()
            trial.step(batch)
            best[at] = min(best[at], time.perf_counter() - started)
    return best


def _saved_bytes(trial: Trial) -> int:
    """Bytes that one regularized loss keeps for its backward pass, parameters and buffers excepted."""
    own = {t.untyped_storage().data_ptr() for t in trial.model.state_dict(keep_vars=True).values()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    trial.bound.draw()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = trial.loss(make_batch(0, CLASSES))  # kept alive: a freed storage would be counted again
    del output
    return sum(kept.values())


def _state_bytes(trial: Trial, plain: Trial) -> int:
    """Bytes of what the method keeps: tensors of its own, and what it added to the model."""
    tensors = [*trial.model.state_dict(keep_vars=True).values(), *trial.model.buffers()]
    values = [value for term, _, _ in trial.bound.terms for value in vars(term).values()]
    shared = {id(t) for t in (*trial.context.initial.values(), *trial.model.parameters())}
    own = [t for t in _tensors(values) if id(t) not in shared]
    bytes_of = {id(t): t.numel() * t.element_size() for t in (*tensors, *own)}
    base = [*plain.model.state_dict(keep_vars=True).values(), *plain.model.buffers()]
    return sum(bytes_of.values()) - sum({id(t): t.numel() * t.element_size() for t in base}.values())


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors(item)


@dataclass(frozen=True)
class Finding:
    """What one check found: status is `pass`, `fail` or `skip`."""

    check: str
    status: str
    reason: str


def run_check(name: str, subject: Subject) -> Finding:
    """One check of one subject; an exception of the method is a failure with its text."""
    if name in subject.exempt:
        return Finding(name, "skip", f"declared: {subject.exempt[name]}")
    try:
        with torch.random.fork_rng(devices=[]):
            return Finding(name, "pass", CHECKS[name](subject))
    except Failure as failure:
        return Finding(name, "fail", str(failure))
    except NotApplicable as reason:
        return Finding(name, "skip", str(reason))
    except SkipTrial as skip:
        return Finding(name, "skip" if name == "regression head" else "fail", f"it skips this model: {skip}")
    except Exception as error:
        return Finding(name, "fail", f"it raised {type(error).__name__}: {error}")
