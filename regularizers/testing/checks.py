"""What a conformance check is: a function of a `Subject`, registered under a short name, and what it found.

A check returns a sentence on what it saw, or raises `Failure` with what is wrong or `NotApplicable` with why there is
nothing to check. A method opts out of a check only by saying why (`exempt`).
"""

import dataclasses
import functools
import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fisher.common.errors import InputError
from regularizers.base import SkipTrial
from regularizers.registry import find
from regularizers.strategy import Strategy, Term, parse
from regularizers.testing.tiny_trial import STEPS, Trial, first_difference

SHORT, LONG = 3, 15  # steps after which two trainings are compared


class Failure(Exception):
    """The method does something wrong; the message says what."""


class NotApplicable(Exception):
    """The check's premise does not hold for this method; the message says why."""


@dataclass(frozen=True)
class Subject:
    """A strategy under test on a small model of a `family`.

    `name` is the regularizer it stands for, `off` equals none, `exempt` {check: reason}.
    """

    name: str
    strategy: Strategy
    off: tuple[str, ...] = ()
    exempt: Mapping[str, str] = dataclasses.field(default_factory=dict)
    family: str = "bert"

    def trial(self, strategy: Strategy | None = None, **options: Any) -> Trial:
        """A fresh trial of the strategy, or of another one on the same model, attached."""
        return Trial(strategy or self.strategy, family=self.family, **options)

    def terms(self) -> Iterator[tuple[int, Term]]:
        """The terms of the method itself, with their places in the sum."""
        return ((at, t) for at, t in enumerate(self.strategy.terms) if t.regularizer.name == self.name)

    def rest(self) -> Strategy:
        """The sum without the method's own terms: `none` where nothing else is in it."""
        own = {at for at, _ in self.terms()}
        terms = tuple(term for at, term in enumerate(self.strategy.terms) if at not in own)
        return Strategy(terms) if terms else parse("none")

    def noisy(self) -> Strategy:
        """The strategy with stock dropout added where the sum allows that: noise for losses that compare passes."""
        try:
            return parse(f"{self.strategy} + dropout(0.3)")
        except InputError:
            return self.strategy

    def trained(self, strategy: Strategy | str, steps: int = SHORT) -> dict[str, Tensor]:
        """Outcome of a short training with a strategy under fixed seeds."""
        return _trained(str(strategy), steps, self.family)

    def lead_apart(self, one: Strategy | str, other: Strategy | str) -> bool:
        """Whether two strategies lead to different bits; a few steps tell, but an average needs more."""
        pairs = ((self.trained(one, steps), self.trained(other, steps)) for steps in (SHORT, LONG))
        return any(common_difference(*pair) is not None for pair in pairs)


@functools.cache
def _trained(strategy: str, steps: int, family: str) -> dict[str, Tensor]:
    trial = Trial(parse(strategy), family=family, steps=max(steps, STEPS))
    return trial.begin().train(steps).outcome()


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


def common_difference(a: dict[str, Tensor], b: dict[str, Tensor]) -> str | None:
    """As `first_difference`, over the names that both have."""
    both = a.keys() & b.keys()
    return first_difference({n: a[n] for n in sorted(both)}, {n: b[n] for n in sorted(both)})


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
        return Finding(name, "fail", f"it raised {type(error).__name__}: {error}{location(error, subject)}")


def location(error: Exception, subject: Subject) -> str:
    """Where in the method's own file an exception passed: ` (my_plugin.py, line 12)`; empty where it did not."""
    own = inspect.getsourcefile(find(subject.name))
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == own]
    return f" ({Path(own).name}, line {lines[-1]})" if own and lines else ""
