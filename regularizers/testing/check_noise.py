"""Conformance: where random numbers come from, and that they repeat."""

import random

import numpy as np
import torch

from regularizers.testing.checks import Subject, check, common_difference, expect
from regularizers.testing.tiny_trial import SIZE, bits, first_difference, tiny_model
from regularizers.testing.watching import DefaultDraws

EXACT = 1e-9  # what float64 arithmetic in another order may differ by here


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
    start, now = (
        {name: p.detach() for name, p in model.named_parameters() if name in trial.context.head}
        for model in (tiny_model(subject.family), trial.model)
    )
    changed = common_difference(start, now)
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
    different = first_difference(subject.trial().begin().train(3).outcome(), subject.trained(subject.strategy))
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
