"""The state of a training between two steps as plain data, and a training that goes on from it, bit for bit.

What follows from a trial's config is made anew: the model's start, what `attach` and `start` do, the optimizer's
groups. On top of that comes back what training has changed: the model's parameters and persistent buffers, every
term's `state_dict`, optimizer, schedule, all noise generators, the step and the history.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fisher.common.flatten import foreign, leaves
from regularizers.base import Regularizer
from regularizers.context import Context, History
from regularizers.strategy import BoundStrategy

State = dict[str, Any]
DEVICES = ("cpu", "cuda")  # those whose generators are saved


class CannotSave(Exception):
    """A training whose state no checkpoint can hold; the sentence says of which technique, and why."""


class BadState(Exception):
    """A state that this training cannot go on from; the model may have taken some of it and must not be used."""


@dataclass(frozen=True)
class Checkpoints:
    """What `fit` does about checkpoints.

    every: optimizer steps between two; load: the state to go on from, or None to begin; keep: called with a function
    that returns the state as it is now, or raises CannotSave.
    """

    every: int
    load: Callable[[], State | None]
    keep: Callable[[Callable[[], State]], None]

    def resume(self, snapshots: Snapshots) -> None:
        """Put back the state to go on from, if there is one. Raises BadState."""
        if (state := self.load()) is not None:
            snapshots.put(state)

    def due(self, steps: int) -> bool:
        """Whether a state is to be kept after that many steps since the last one or the begin."""
        return steps > 0 and steps % self.every == 0


class Snapshots:
    """Takes the state of one training, and puts it back into one that is about to begin."""

    def __init__(
        self, strategy: BoundStrategy, scheduler: torch.optim.lr_scheduler.LRScheduler, history: History
    ) -> None:
        self.strategy, self.scheduler, self.history = strategy, scheduler, history
        self.technique = TechniqueState(strategy)

    def take(self) -> State:
        """The state between two steps; its tensors are those of the training, not copies. Raises CannotSave."""
        return {
            "step": self.strategy.context.training.step,
            **self.technique.take(),
            "optimizer": self.technique.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "history": dict(vars(self.history)),
        }

    def put(self, state: State) -> None:
        """Go on from `state`. Raises BadState unless it is one of this very training."""
        try:
            self._put(state)
        except Exception as error:  # whatever a file from strangers leads to
            raise BadState(f"{type(error).__name__}: {error}") from error

    def _put(self, state: State) -> None:
        training = self.strategy.context.training
        _require(state["history"].keys() == vars(self.history).keys(), "the history has other parts")
        _require(len(state["history"]["losses"]) == state["step"] <= training.steps, "step and losses do not agree")
        _require(state["scheduler"].keys() == self.scheduler.state_dict().keys(), "the schedule is another one")
        self.technique.put(state)
        self.technique.optimizer.load_state_dict(state["optimizer"])
        for parameter, moments in self.technique.optimizer.state.items():
            shapes = {value.shape for value in moments.values() if isinstance(value, Tensor) and value.dim()}
            _require(shapes <= {parameter.shape}, "the optimizer's state is of other parameters")
        self.scheduler.load_state_dict(state["scheduler"])
        training.step = state["step"]
        vars(self.history).update(state["history"])


class TechniqueState:
    """What training changes next to the optimizer: the model, the terms' own state, and the generators."""

    def __init__(self, strategy: BoundStrategy) -> None:
        self.strategy = strategy
        self.optimizer = strategy.context.training.optimizer
        self.remade = [self._at_first(term) for term, _, _ in strategy.terms]

    def take(self) -> State:
        """The state between two steps; its tensors are those of the training, not copies. Raises CannotSave."""
        context = self.strategy.context
        device = next(context.model.parameters()).device.type
        if device not in DEVICES:
            raise CannotSave(f"a training on {device} cannot be saved, its generators' states are not known")
        return {
            "model": dict(context.model.state_dict()),
            "terms": [self._state_of(at) for at in range(len(self.strategy.terms))],
            "generators": generators(context),
        }

    def put(self, state: State) -> None:
        """Go on from what `take` gave."""
        self.strategy.context.model.load_state_dict(state["model"])
        for (term, _, _), saved in zip(self.strategy.terms, state["terms"], strict=True):
            term.load_state_dict(saved)
        restore_generators(self.strategy.context, state["generators"])

    def _state_of(self, at: int) -> Any:
        """The state of one term, if it is all that the term has changed since it began."""
        term, _, text = self.strategy.terms[at]
        before = self.remade[at]
        if isinstance(before, Exception):
            why = f"{type(before).__name__}: {before}"
            raise CannotSave(f"{text} cannot be saved in a checkpoint: its attributes cannot be looked at ({why})")
        state = term.state_dict()
        if (kind := foreign(state)) is not None:
            raise CannotSave(f"{text} cannot be saved in a checkpoint: its state holds a {kind}")
        live = self._live()
        if any(_memory(leaf) in live for leaf in leaves(state) if isinstance(leaf, Tensor)):
            key = next((f" {key!r}" for key, value in state.items() if _refers(value, live)), "")
            raise CannotSave(
                f"{text} cannot be saved in a checkpoint: its state{key} refers to the model's own tensors, which a "
                "copy would not follow; mark references with a leading _"
            )
        now = self._remade(term)
        changed = sorted(key for key in {**before, **now} if before.get(key) != now.get(key))
        if changed:
            raise CannotSave(
                f"{text} cannot be saved in a checkpoint: its {changed[0]!r} changes in training and is no part of its "
                "state_dict(); give it a name without leading _, or a state_dict and load_state_dict that hold it"
            )
        return state

    def _at_first(self, term: Regularizer) -> dict[str, Any] | Exception:
        """Marks at the begin, or what came of looking: a training that is never saved need not end for it."""
        try:
            return self._remade(term)
        except Exception as error:  # of a plugin's attributes
            return error

    def _remade(self, term: Regularizer) -> dict[str, Any]:
        """Marks of what a term has outside its saved state and thus must not change; a class with a state_dict of its
        own answers for itself."""
        if type(term).state_dict is not Regularizer.state_dict:
            return {}
        saved, live = term.state_dict(), self._live()
        return {key: _mark(value, live) for key, value in vars(term).items() if key not in saved}

    def _live(self) -> set[int]:
        """Where the memory of the model's and the optimizer's tensors lies."""
        tensors = [*self.strategy.context.model.state_dict(keep_vars=True).values()]
        tensors += [value for moments in self.optimizer.state.values() for value in moments.values()]
        return {_memory(tensor) for tensor in tensors if isinstance(tensor, Tensor) and tensor.numel()}


def generators(context: Context) -> dict[str, Any]:
    """States of the techniques' generator and of torch's default ones."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"own": context.generator.get_state(), "default": torch.get_rng_state(), "cuda": cuda}


def restore_generators(context: Context, states: dict[str, Any]) -> None:
    """Back to what `generators` gave: the same noise follows again."""
    context.generator.set_state(states["own"])
    torch.set_rng_state(states["default"])
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _refers(value: Any, live: set[int]) -> bool:
    return any(isinstance(leaf, Tensor) and _memory(leaf) in live for leaf in leaves(value))


def _mark(value: Any, live: set[int]) -> Any:
    """What differs between two looks if the value has changed; the model's own tensors are expected to.

    Of an object that is neither a module nor a generator only the identity is seen.
    """
    if isinstance(value, Tensor) and (value.is_meta or foreign(value.detach().data) is not None):
        return id(value)
    if isinstance(value, Tensor):
        if _memory(value) in live:
            return "model"
        writes = 0 if value.is_inference() else value._version  # those through `.data` are not counted
        whole = value.detach().reshape(-1).view(torch.uint8).sum(dtype=torch.int64).item()
        return value.data_ptr(), writes, whole, tuple(value.shape)
    if isinstance(value, torch.Generator):
        return value.get_state().numpy().tobytes()
    if isinstance(value, nn.Module):
        return [_mark(tensor, live) for tensor in value.state_dict(keep_vars=True).values()]
    if isinstance(value, Mapping):
        return [(_mark(key, live), _mark(item, live)) for key, item in value.items()]
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return [_mark(item, live) for item in value]
    return value if isinstance(value, (bool, int, float, str, bytes)) else id(value)
