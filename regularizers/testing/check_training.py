"""Conformance: resuming, moving, regression, forward passes and cost."""

import contextlib
import dataclasses
import math
import time

import torch
from safetensors.torch import load, save
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from fisher.common.flatten import flatten, leaves, unflatten
from regularizers.agreement import start_exactly
from regularizers.base import SkipTrial
from regularizers.context import History
from regularizers.resume import CannotSave, Snapshots
from regularizers.strategy import parse
from regularizers.testing.checks import CHECKS, Failure, NotApplicable, Subject, check, expect
from regularizers.testing.tiny_trial import Trial, first_difference

DECODER = "gpt2"
ELSEWHERE = ("canonical", "search", "decoder", "cost")  # what need not be asked of a decoder again


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


@check("decoder")
def decoder(subject: Subject) -> str:
    """On a small GPT-2, whose head reads the last token, it acts and passes the other checks, regression included."""
    subject = dataclasses.replace(subject, family=DECODER)
    try:
        subject.trial()
    except SkipTrial as skip:
        raise NotApplicable(str(skip)) from None
    for name in [name for name in CHECKS if name not in {*ELSEWHERE, *subject.exempt}]:
        with contextlib.suppress(NotApplicable, SkipTrial):
            try:
                CHECKS[name](subject)
            except Failure as failure:
                raise Failure(f"{name} on {DECODER}: {failure}") from None
    return "the other checks hold"


@check("packed")
def packed(subject: Subject) -> str:
    """Batches without padding, which trials use by default, give what padded ones give, and train."""
    if any(term.regularizer.forward == "stock" for _, term in subject.terms()):
        raise NotApplicable("declared: forward = 'stock', so trials pad")
    trial = subject.trial(way="packed")
    problem = start_exactly(trial.bound, [trial.batch(0)], "packed", trust=False)
    expect(problem is None, f"{problem}; declare forward = 'stock' if that is meant")
    outcomes = [subject.trial(way="packed").begin().train(3).outcome() for _ in range(2)]
    different = first_difference(*outcomes)
    expect(different is None, f"without padding two runs with the same seeds differ in {different}")
    broken = [name for name, value in outcomes[0].items() if not bool(torch.isfinite(value).all())]
    expect(not broken, f"without padding {broken[:1]} becomes NaN or infinite")
    return "as with padding"


@check("cost")
def cost(subject: Subject) -> str:
    """Passes per step are those declared; time and memory of a step are measured against none."""
    trial, plain = subject.trial().begin(), subject.trial(parse("none")).begin()
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
        output = trial.loss(trial.batch(0))  # kept alive: a freed storage would be counted again
    del output
    return sum(kept.values())


def _state_bytes(trial: Trial, plain: Trial) -> int:
    """Bytes of what the method keeps: tensors of its own, and what it added to the model."""
    tensors = [*trial.model.state_dict(keep_vars=True).values(), *trial.model.buffers()]
    values = [value for term, _, _ in trial.bound.terms for value in vars(term).values()]
    shared = {id(t) for t in (*trial.context.initial.values(), *trial.model.parameters())}
    own = [t for t in leaves(values) if isinstance(t, Tensor) and id(t) not in shared]
    bytes_of = {id(t): t.numel() * t.element_size() for t in (*tensors, *own)}
    base = [*plain.model.state_dict(keep_vars=True).values(), *plain.model.buffers()]
    return sum(bytes_of.values()) - sum({id(t): t.numel() * t.element_size() for t in base}.values())
