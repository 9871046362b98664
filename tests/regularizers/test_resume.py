"""States of trainings: what is taken, what is put back, and what is refused rather than saved wrongly."""

import dataclasses
import itertools
from collections import deque
from dataclasses import dataclass

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from fisher.common.flatten import flatten, unflatten
from regularizers.base import Context, Regularizer
from regularizers.loop import Recipe, fit
from regularizers.resume import BadState, CannotSave, Checkpoints
from regularizers.strategy import Strategy, Term, parse
from regularizers.testing.tiny_trial import HEAD, first_difference, make_batch, tiny_bert

EPOCHS, BATCHES = 2, 5
RECIPE = Recipe(
    epochs=EPOCHS, lr=1e-2, beta1=0.9, beta2=0.999, eps=1e-6, warmup=0.2, schedule="linear", clip=1.0,
    bias_correction=False, micro_batch=0,
)  # fmt: skip


@dataclass
class Term_(Regularizer):
    """A weight decay whose rate follows the number of steps that it has counted: what is lost shows in the weights."""

    def attach(self, context):
        self.count = 0
        return list(context.parameters())

    def update(self, apply, context):
        apply()
        self.count += 1
        for p in context.parameters().values():
            p.data.mul_(1 - 0.01 * self.count)


class Killed(Exception):
    pass


class Training:
    """One training on fixed batches; `until` kills it when it would keep its n-th state, which is then in `kept`."""

    def __init__(self, strategy, state=None, *, every=3, until=None, recipe=RECIPE):
        def batches(epoch):
            return [make_batch(10 * epoch + at) for at in range(BATCHES)]

        self.kept, self.refused, self.until = [], [], until
        model = tiny_bert()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(4)
            context = Context(model, HEAD, torch.Generator().manual_seed(6), examples=7 * BATCHES)
            self.bound = strategy.bind(context)
            self.bound.attach()
            self.bound.start(lambda: batches(0))
            try:
                self.history = fit(
                    self.bound,
                    batches,
                    recipe,
                    accelerator=Accelerator(cpu=True),
                    evaluate=lambda: {"w": float(sum(p.detach().sum() for p in model.parameters()))},
                    checkpoints=Checkpoints(every, lambda: state, self.keep),
                )
            except Killed:
                return
            self.generators = context.generator.get_state(), torch.get_rng_state()
        moments = enumerate(context.training.optimizer.state.values())
        self.weights = {n: p.detach() for n, p in model.named_parameters()}
        self.weights |= {f"{at} {key}": value for at, state in moments for key, value in state.items()}

    def keep(self, take):
        try:
            self.kept.append(unflatten(flatten(take())))
        except CannotSave as reason:
            self.refused.append(str(reason))
        if len(self.kept) == self.until:
            raise Killed


def of(*terms):
    return Strategy(tuple(Term(term, "all") for term in terms))


def assert_same(one, two):
    assert one.history == two.history
    assert first_difference(one.weights, two.weights) is None
    assert all(torch.equal(a, b) for a, b in zip(one.generators, two.generators, strict=True))


@pytest.mark.parametrize(("evaluate", "evaluations"), [("epoch", 2), ("last", 1)])
def test_a_number_of_steps_cuts_the_last_epoch_short(evaluate, evaluations):
    """7 steps are one epoch of 5 and 2 more; the schedule ends with them, wherever a training was killed."""
    strategy, recipe = parse("dropout(0.1) + ema(0.9)"), dataclasses.replace(RECIPE, steps=7, evaluate=evaluate)
    whole = Training(strategy, every=100, recipe=recipe)
    assert (len(whole.history.losses), len(whole.history.epochs)) == (7, evaluations)
    part = Training(strategy, every=3, until=1, recipe=recipe)
    while part.kept:
        part = Training(strategy, part.kept[0], every=3, until=1, recipe=recipe)
    assert_same(part, whole)


def test_steps_and_evaluation_change_nothing_else():
    """As many steps as the epochs have, looked at once: the same weights."""
    strategy = parse("dropout(0.1)")
    whole = Training(strategy)
    same = Training(strategy, recipe=dataclasses.replace(RECIPE, steps=EPOCHS * BATCHES, evaluate="last"))
    assert same.history.epochs == whole.history.epochs[-1:] and same.history.losses == whole.history.losses
    assert first_difference(same.weights, whole.weights) is None


def test_looking_does_not_disturb():
    strategy = parse("dropout(0.1) + child_tuning(0.5)")
    looked, alone = Training(strategy, every=1), Training(strategy, every=100)
    assert len(looked.kept) == EPOCHS * BATCHES - 1 and not looked.refused
    assert_same(looked, alone)


# --- what is not saved


@dataclass
class Hidden(Term_):
    """Changes something that `attach` would not make anew: `where` says what."""

    where: str = ""
    rate: float = 0.1

    def attach(self, context):
        self._count, self._list, self._queue, self._net = 0, [0], deque([0]), nn.Linear(2, 2)
        self._tensor, self._generator = torch.zeros(1), torch.Generator().manual_seed(1)
        self.layer = context.model.get_submodule("classifier")
        return super().attach(context)

    def draw(self, context):
        CHANGES[self.where](self, context)


CHANGES = {
    "": lambda term, context: None,
    "field": lambda term, context: setattr(term, "rate", 0.9 * term.rate),
    "number": lambda term, context: setattr(term, "_count", term._count + 1),
    "list": lambda term, context: term._list.append(1),
    "queue": lambda term, context: term._queue.append(1),
    "tensor": lambda term, context: term._tensor.add_(1),
    "module": lambda term, context: term._net.weight.data.add_(1),
    "generator": lambda term, context: torch.rand(1, generator=term._generator),
    "reference": lambda term, context: setattr(term, "kept", {"w": context.model.classifier.weight.detach()}),
    "type": lambda term, context: setattr(term, "scores", itertools.count),
    "plain": lambda term, context: setattr(term, "scores", {"queue": (1, {2})}),
}
NAMES = {"number": "_count", "list": "_list", "queue": "_queue", "tensor": "_tensor", "module": "_net",
         "generator": "_generator", "field": "rate", "type": "scores"}  # fmt: skip


@pytest.mark.parametrize(("where", "name"), NAMES.items())
def test_a_term_with_hidden_state_says_so_and_trains_on(where, name):
    training = Training(of(Hidden(where)), every=4)
    assert not training.kept and len(training.history.losses) == EPOCHS * BATCHES
    sentence = f"cannot be saved in a checkpoint: its '{name}' changes in training and is no part of its state_dict()"
    assert all(sentence in reason for reason in training.refused) and len(training.refused) == 2


@dataclass
class Endless(Term_):
    """Has an attribute that contains itself."""

    name_: str = "kept"

    def attach(self, context):
        vars(self)[self.name_] = ring = []
        ring.append(ring)
        return super().attach(context)


@pytest.mark.parametrize("name", ["kept", "_made"])
def test_a_term_that_cannot_be_looked_at_says_so_and_trains_on(name):
    training = Training(of(Endless(name)), every=4)
    assert not training.kept and len(training.history.losses) == EPOCHS * BATCHES
    sentence = "cannot be saved in a checkpoint: its attributes cannot be looked at (RecursionError: "
    assert all(sentence in reason for reason in training.refused) and len(training.refused) == 2


def test_a_reference_to_the_weights_is_refused_because_a_copy_would_not_follow_them():
    (reason, *_) = Training(of(Hidden("reference")), every=4).refused
    assert "its state 'kept' refers to the model's own tensors" in reason


@pytest.mark.parametrize("where", ["", "plain"])
def test_references_that_attach_makes_anew_do_not_matter(where):
    training = Training(of(Hidden(where)), every=4, until=1)
    assert training.kept and not training.refused
    assert_same(Training(of(Hidden(where)), training.kept[0]), Training(of(Hidden(where))))


@dataclass
class Answers(Hidden):
    """Says itself what its state is."""

    def state_dict(self):
        return {"count": self.count, "hidden": self._count}

    def load_state_dict(self, state):
        self.count, self._count = state["count"], state["hidden"]


@dataclass
class Declines(Term_):
    """Cannot be saved and says why."""

    def state_dict(self):
        raise CannotSave("declines keeps its state elsewhere")


@dataclass
class Foreign(Term_):
    """Gives something that no checkpoint holds."""

    def state_dict(self):
        return {"rows": deque([1])}


def test_a_term_answers_for_itself():
    part = Training(of(Answers("number")), every=4, until=1)
    assert part.kept[0]["terms"] == [{"count": 4, "hidden": 4}]
    assert_same(Training(of(Answers("number")), part.kept[0]), Training(of(Answers("number"))))
    assert set(Training(of(Declines())).refused) == {"declines keeps its state elsewhere"}
    assert "its state holds a deque" in Training(of(Foreign())).refused[0]


def test_an_unknown_device_is_refused(monkeypatch):
    monkeypatch.setattr("regularizers.resume.DEVICES", ("cuda",))
    assert set(Training(parse("none")).refused) == {
        "a training on cpu cannot be saved, its generators' states are not known"
    }


# --- what is not put back


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("model", "classifier.weight"), torch.zeros(1, 1)),
        (("model", "more"), torch.zeros(1)),
        (("terms",), []),
        (("terms", 0, "rate"), 0.3),
        (("terms", 0, "_tensor"), 1),
        (("terms", 0, "update"), 1),
        (("optimizer", "param_groups"), []),
        (("optimizer", "state", 0, "exp_avg"), torch.zeros(1)),
        (("scheduler", "step"), 1),
        (("generators", "own"), torch.zeros(3, dtype=torch.uint8)),
        (("history", "losses"), [0.1]),
        (("history", "more"), 1),
        (("step",), 10**6),
    ],
)
def test_a_state_of_another_training_is_refused(path, value):
    state = Training(of(Hidden()), every=4, until=1).kept[0]
    place = state
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(BadState):
        Training(of(Hidden()), state)
