"""Conformance: what a method is, what it touches, and that it acts."""

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from fisher.common.errors import InputError
from regularizers.base import Regularizer, kind_of
from regularizers.strategy import Strategy, parse
from regularizers.testing.checks import LONG, NotApplicable, Subject, check, expect
from regularizers.testing.tiny_trial import LAYERS, Trial, first_difference


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
    """Some steps with it lead elsewhere than the same steps without, and every numeric hyperparameter matters."""
    without = subject.rest()
    expect(subject.lead_apart(subject.strategy, without), f"{LONG} steps lead to the same bits as {without}")
    fields = []
    for at, term in subject.terms() if subject.family == "bert" else ():  # a decoder has no site before its head
        for field in dataclasses.fields(term.regularizer):
            other = nudge(term.regularizer, field)
            if other is not None:
                moved = subject.lead_apart(subject.strategy, with_term(subject.strategy, at, other))
                expect(moved, f"{field.name} is ignored: {term} and {other} lead to the same bits")
                fields.append(field.name)
    return f"{', '.join(dict.fromkeys(fields)) or 'no number to set'}: each changes the result"


def with_term(strategy: Strategy, at: int, regularizer: Regularizer) -> Strategy:
    """The strategy with another technique in its place `at`."""
    terms = [*strategy.terms]
    terms[at] = dataclasses.replace(terms[at], regularizer=regularizer)
    return Strategy(tuple(terms))


def nudge(regularizer: Regularizer, field: dataclasses.Field[Any]) -> Regularizer | None:
    """A copy with another value of a numeric field; None for a field that is no number."""
    value = getattr(regularizer, field.name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    options = (value + 1, value - 1) if kind_of(field) == "int" else (value / 2, value + 0.05) if value else (0.05, 0.5)
    for option in options:
        try:
            return dataclasses.replace(regularizer, **{field.name: option})
        except InputError:
            continue
    return None


@check("search")
def search(subject: Subject) -> str:
    """Both ends of every range that it declares for tuners can be trained with."""
    declared = []
    for at, term in subject.terms():
        for name, space in term.regularizer.search.items():
            for value in space.within(LAYERS).ends():
                other = dataclasses.replace(term.regularizer, **{name: value})
                outcome = subject.trained(with_term(subject.strategy, at, other))
                broken = [key for key, tensor in outcome.items() if not bool(torch.isfinite(tensor).all())]
                expect(not broken, f"at {name} = {value}, an end of its range, {broken[:1]} becomes NaN or infinite")
            declared.append(f"{name} {space}")
    if not declared:
        raise NotApplicable("not declared: search = {'p': Linear(0.1, 0.9)}; tuners leave its hyperparameters alone")
    return "; ".join(dict.fromkeys(declared))


@check("off")
def off(subject: Subject) -> str:
    """Switched off it equals none bit for bit."""
    if not subject.off:
        raise NotApplicable("not declared: name a strategy that must equal none, off = ('my(0)',)")
    for text in subject.off:
        different = first_difference(subject.trained(text), subject.trained("none"))
        expect(different is None, f"{text} differs from none in {different}")
    return f"{', '.join(subject.off)}: same bits as none"
