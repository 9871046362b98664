"""What a regularizer is: a dataclass of hyperparameters with a few hooks, and the context the hooks act on.

The training loop (`regularizers.loop.fit`) is, in full:

    strategy.attach(context)                      # model built, head initialised, before the optimizer
    strategy.start(batches)                       # optional passes over the training data
    optimizer = Adam(strategy.groups(...))
    for epoch in epochs:
        for batch in batches(epoch):
            strategy.draw()                       # fresh masks, once per optimizer step
            strategy.gradients(backward)          # backward: for micro in batch: strategy.loss(micro).backward()
            clip(gradients)
            strategy.update(optimizer.step)
        with strategy.evaluation():               # running averages, interpolations
            evaluate(model)

`loss`, `gradients` and `update` *wrap* what they are given: R-Drop calls `compute` twice, SAM calls `backward` twice,
Child-Tuning masks gradients after `backward()`, weight decay acts before `apply()` and an average after it. A method
overrides the hooks it needs and nothing else; no method's name stands in the loop.
"""

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from fisher.common.errors import require
from regularizers.context import Batch, Context, Output, SkipTrial, criterion, forward, linear_layers
from regularizers.search import Search

__all__ = [
    "Batch", "Context", "Output", "Regularizer", "SkipTrial", "criterion", "forward", "linear_layers",
    "outside_head", "own_rate", "require",
]  # fmt: skip
DROPOUT_SITES = "the dropout sites"  # what terms of a sum set; two that set the same thing contradict each other
ATTENTION_NOISE = "the noise on attention"
MIXED_WEIGHTS = "the mixed weights"
TRAINED_WEIGHTS = "which weights train"
STARTING_WEIGHTS = "the weights at the start"
AVERAGED_WEIGHTS = "the average that is evaluated"
EVERYTHING = "everything"
Compute = Callable[[Batch], Output]  # the loss that a `loss` hook wraps
Step = Callable[[], None]  # what a `gradients` or `update` hook wraps
BARE = re.compile(r"""[^\s(),+=:"]+""")  # what stands in a strategy without quotes

RANGES: dict[str, Callable[[Any], bool]] = {  # what `number` takes, in the words of its message
    ">= 0": lambda value: value >= 0,
    "> 0": lambda value: value > 0,
    "in [0, 1)": lambda value: 0 <= value < 1,
    "in [0, 1]": lambda value: 0 <= value <= 1,
    "in (0, 1]": lambda value: 0 < value <= 1,
    "an integer >= 0": lambda value: isinstance(value, int) and value >= 0,
    "an integer >= 1": lambda value: isinstance(value, int) and value >= 1,
}
NOUNS = ("decay", "form", "noise", "share", "strength")  # hyperparameters that messages call `the ...`


def number(must_be: str, default: Any = dataclasses.MISSING, *, kw_only: bool = False) -> Any:
    """A hyperparameter of one of the `RANGES`: `p: float = number("in [0, 1)", 0.1)`. Raises InputError for another."""
    require(must_be in RANGES, f"a range must be one of {', '.join(RANGES)}", must_be, "check others in __post_init__")
    return field(default=default, kw_only=kw_only, metadata={"must be": must_be, "holds": RANGES[must_be]})


def one_of(*options: str) -> Any:
    """A hyperparameter, written with its name, that is one of a few words; the first is its default."""
    words = f"{', '.join(options[:-1])} or {options[-1]}"
    return field(default=options[0], kw_only=True, metadata={"must be": words, "holds": options.__contains__})


class SiteRate(NamedTuple):
    """One dropout site of a schedule: its name, kind, score and probability."""

    site: str
    kind: str
    score: float
    p: float


@dataclass
class Regularizer:
    """Base of every technique: fields are hyperparameters, hooks are the places where it acts.

    A subclass is a dataclass registered with `@register("name")`. Positional fields always stand in the canonical
    form, keyword-only fields only where they differ from their default; `parse(str(r)) == r`. Each trial works on a
    copy of its own, so a hook may keep state in attributes that are no fields: `name` is saved in checkpoints, `_name`
    is not, because `attach` makes it anew. A trial whose terms change anything else that can be seen (a field, a
    `_name`, what a `_name` holds) runs without checkpoints and says so; so does one whose `state_dict` raises
    `regularizers.resume.CannotSave`. What is not seen (state in objects of its own) `regbench check`
    finds.

    Class attributes:
        version: raised whenever results change; part of every trial's identity.
        paper: citation; summary: one line; deviations: how this differs from the paper or the authors' code.
        passes: (forward, backward) passes per optimizer step.
        sets: what two terms of one sum cannot both set (default: the technique's own name).
        body_only: whether a `head:` term of it is refused, because it acts on the whole model or on its layers.
        example: the strategy that `regbench check` tries (default: the bare name).
        off: strategies that must equal `none` bit for bit, such as `mixout(w_pre, 0)`.
        loss_order: losses of lower order are wrapped by those of higher order; below 0 for what changes the task's own
            loss, so that penalties of other terms are added to the changed one.
        forward: `stock` for a technique that must see the model's own forward pass; others are compared in a first step
            (`regularizers.agreement`).
        search: {hyperparameter: range}, where a tuner looks for values (`regularizers.search`).
        exempt: {check: reason} for the checks whose premise the method denies by design.
    """

    name: ClassVar[str] = ""
    version: ClassVar[int] = 1
    summary: ClassVar[str] = ""
    paper: ClassVar[str] = ""
    equation: ClassVar[str] = ""
    deviations: ClassVar[str] = ""
    passes: ClassVar[tuple[int, int]] = (1, 1)
    sets: ClassVar[frozenset[str]] = frozenset()
    body_only: ClassVar[bool] = False
    loss_order: ClassVar[int] = 0
    forward: ClassVar[str] = ""
    example: ClassVar[str] = ""
    off: ClassVar[tuple[str, ...]] = ()
    search: ClassVar[Mapping[str, Search]] = {}
    exempt: ClassVar[Mapping[str, str]] = {}

    def __post_init__(self) -> None:
        """Raise InputError for a hyperparameter out of the range that it was declared with (`number`, `one_of`)."""
        for f in dataclasses.fields(self):
            if rule := _range_of(type(self), f.name):
                value, article = getattr(self, f.name), "the " if f.name in NOUNS else ""
                must = f"{article}{f.name} of {self.name} must be {rule['must be']}"
                require(rule["holds"](value), must, value)

    def acts_on(self) -> frozenset[str]:
        """What this term sets; two terms of one scope that set the same thing contradict each other."""
        return self.sets or frozenset({self.name})

    def check_scope(self, scope: str) -> None:
        """Raise InputError where the term makes no sense on the `head` (or on `all` and `body`)."""
        if self.body_only:
            outside_head(self.name, scope)

    def fisher_source(self) -> str | None:
        """Where the Fisher scores come from: None (needs none), `estimate`, `published` or a file."""
        return None

    def files(self) -> tuple[str, ...]:
        """Paths of the files whose content is part of what this term computes; Fisher scores are not among them."""
        return ()

    def attach(self, context: Context) -> list[str]:
        """Act on the model before the optimizer exists; returns the names of the modules or parameters touched.

        A method that has no place of its own, such as a loss, touches every weight in scope.
        """
        return list(context.parameters())

    def start(self, batches: Iterable[Batch], context: Context) -> None:
        """Look at the training data once before the first step (the model is in evaluation mode)."""

    def groups(self, groups: list[dict[str, Any]], context: Context) -> list[dict[str, Any]]:
        """Optimizer parameter groups: dicts with `names` (tuple of parameter names) and `lr`.

        A term that scales rates notes the factor as `scale`, so that a term that sets rates keeps it in any order.
        """
        return groups

    def draw(self, context: Context) -> None:
        """Draw fresh noise from `context.generator`; called once per optimizer step."""

    def loss(self, compute: Compute, batch: Batch, context: Context) -> Output:
        """The loss of one micro-batch; `compute(batch)` is the inner loss and may be called several times."""
        return compute(batch)

    def gradients(self, backward: Step, context: Context) -> None:
        """Around the gradient computation; `backward()` sets every `.grad` anew and may be called several times."""
        backward()

    def update(self, apply: Step, context: Context) -> None:
        """Around the optimizer's step; gradients are clipped, `apply()` moves the weights."""
        apply()

    def evaluation(self, context: Context) -> contextlib.AbstractContextManager[Any]:
        """A context within which the model carries the weights that are evaluated."""
        return contextlib.nullcontext()

    def site_rates(self, context: Context) -> list[SiteRate]:
        """The schedule of a term that sets dropout site by site, for tables and figures."""
        return []

    def notes(self) -> list[str]:
        """What a reader of the finished trial must know of this term, such as that it did practically nothing."""
        return []

    def state_dict(self) -> dict[str, Any]:
        """The data that the trial's copy holds beyond its fields; `attach` makes `_names` and references anew."""
        names = {f.name for f in dataclasses.fields(self)}
        own = {key: value for key, value in vars(self).items() if key not in names and not key.startswith("_")}
        return {key: value for key, value in own.items() if is_data(value)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave. Raises ValueError for what it cannot give: fields, methods, `_names`."""
        fields = {f.name for f in dataclasses.fields(self)}
        for key in state:
            if key in fields or key.startswith("_") or callable(getattr(type(self), key, None)):
                raise ValueError(f"{self.name} has no state {key!r}")
        vars(self).update(state)

    def __str__(self) -> str:
        """Canonical form, as the papers write it: `mixout(w_pre, 0.7)`."""
        words = []
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if not f.kw_only:
                words.append(spell(value))
            elif value != f.default:
                words.append(f"{f.name}={spell(value)}")
        return f"{self.name}({', '.join(words)})" if words else self.name


def _range_of(kind: type, name: str) -> Mapping[str, Any]:
    """The range that a hyperparameter was declared with, last; one that is declared anew without a range keeps it."""
    declared = (vars(base).get("__dataclass_fields__", {}).get(name) for base in kind.__mro__)
    return next((f.metadata for f in declared if f is not None and "must be" in f.metadata), {})


def is_data(value: Any) -> bool:
    """Whether a value belongs in a checkpoint: tensors (no parameters), numbers, text, and containers of such."""
    if isinstance(value, dict):
        return all(is_data(key) and is_data(item) for key, item in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(is_data(item) for item in value)
    return value is None or (isinstance(value, (Tensor, bool, int, float, str)) and not isinstance(value, nn.Parameter))


def kind_of(field: dataclasses.Field[Any]) -> str:
    """The type of a hyperparameter as text, such as `int`, whether annotations are types or texts where it stands."""
    if isinstance(field.type, str):
        return field.type
    return field.type.__name__ if isinstance(field.type, type) else str(field.type)


def spell(value: Any) -> str:
    """A hyperparameter as text that `parse` reads back: numbers shortest, words bare, other strings quoted."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value).replace("e+", "e")
    if isinstance(value, str) and not BARE.fullmatch(value):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


def outside_head(name: str, scope: str) -> None:
    """Refuse a `head:` term of a technique that acts on the whole model or on its layers."""
    require(scope != "head", f"{name} must act outside the head", f"head:{name}", "leave out head:")


def own_rate(groups: list[dict[str, Any]], context: Context, lr: float) -> list[dict[str, Any]]:
    """The groups with learning rate `lr`, scaled as other terms scale it, for the parameters in scope."""
    split = []
    for group in groups:
        mine = tuple(name for name in group["names"] if context.in_scope(name))
        rest = tuple(name for name in group["names"] if not context.in_scope(name))
        split += [group | {"names": mine, "lr": lr * group.get("scale", 1.0)}, group | {"names": rest}]
    return split
