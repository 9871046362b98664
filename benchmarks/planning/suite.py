"""What is asked for: a suite, resolved, and the plain blocks that its variants make of it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import tomli_w

from benchmarks.data.splits import Size
from benchmarks.trial.protocol import make_protocol
from benchmarks.tuning.families import read_family

AUTO = "auto"  # the objective of Fisher scores that the checkpoint's own head decides


@dataclass(frozen=True)
class FisherRecipe:
    """How the scores of `fisher=estimate` are made; part of a trial's identity where its strategy needs them.

    corpus: a text file, one document a line, or HUB_ID[:config[:split]]; empty for pocket's own. objective `auto` is
    the checkpoint's own masked-LM head where it has one, else `mlm-tied`. max_length 0: the model's, at most 512.
    """

    corpus: str = ""
    samples: int = 200
    seed: int = 0
    objective: str = AUTO
    max_length: int = 0


@dataclass(frozen=True)
class Variant:
    """One block of a suite: `values` stand in place of the suite's own, `settings` are laid over the suite's."""

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tuning:
    """How families are tuned, all with the same effort.

    budget: configurations per family, task, size and restart; holdout: share of the labelled examples that chooses
    between them; families: strategies whose unset hyperparameters are searched; floors: of `benchmarks.tuning.floors`;
    default: protocol fields of draw 0; shared: protocol field -> its range, {low, high, scale} or a list of values;
    same_draws: every restart has the configurations of restart 0, so that a configuration has a mean over restarts;
    control: families of several passes a step are compared with `none` at equal compute, too.
    """

    budget: int = 8
    holdout: float = 0.25
    families: tuple[str, ...] = ()
    floors: tuple[str, ...] = ()
    default: Mapping[str, Any] = field(default_factory=dict)
    shared: Mapping[str, Any] = field(default_factory=dict)
    same_draws: bool = False
    control: bool = False

    @property
    def controls(self) -> dict[str, int]:
        """{name of a row: how many times the steps of `none` it has}, one for each number of passes of a family."""
        factors = {read_family(text).passes for text in self.families} if self.control else set()
        return {f"none, {factor}x steps": factor for factor in sorted(factors - {1})}


@dataclass(frozen=True)
class Suite:
    """The whole request, resolved. `settings` are protocol fields that differ from the named protocol's.

    split_seeds: how many splits of the training data the restarts take turns on; None gives each restart its own.
    citation, reproduces, deviations (from what is cited), assumptions (where it says nothing) and cost are for readers.
    predict_test: trials also predict the test set, for `benchmarks.submit`; no part of a trial's identity, because its
    training and its score do not depend on it; nor is logits: whether records keep the logits on dev, nor forgetting:
    whether the pretraining loss is measured before and after (`benchmarks.trial.forgetting`), on the sample of
    `fisher`. sizes: numbers of training examples, per_class: of every class, both next to fractions.
    """

    name: str
    tasks: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    fractions: tuple[float, ...] = ()
    sizes: tuple[int, ...] = ()
    per_class: tuple[int, ...] = ()
    restarts: int = 0
    split_seeds: int | None = None
    protocol: str = "lee20"
    model: str = ""
    description: str = ""
    citation: str = ""
    reproduces: str = ""
    deviations: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    cost: str = ""
    predict_test: bool = False
    logits: bool = True
    forgetting: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    fisher: FisherRecipe = field(default_factory=FisherRecipe)
    tuning: Tuning | None = None
    variants: tuple[Variant, ...] = ()

    def amounts(self) -> list[float | Size]:
        """How much of the training set is used: shares, sizes, and sizes per class."""
        sizes = [Size("examples", count) for count in self.sizes] + [Size("per_class", k) for k in self.per_class]
        return list(dict.fromkeys((*self.fractions, *sizes)))

    def blocks(self) -> list[Suite]:
        """The plain suites that the variants make of this one; itself where it has none."""
        return [self._as(variant) for variant in self.variants] or [self]

    def _as(self, variant: Variant) -> Suite:
        own = variant.values.get("protocol", self.protocol) != self.protocol
        settings = {**({} if own else self.settings), **variant.settings}
        return dataclasses.replace(self, **variant.values, settings=settings, variants=())

    def every(self, axis: str) -> tuple[Any, ...]:
        """All values of an axis over the blocks, each once."""
        return tuple(dict.fromkeys(value for block in self.blocks() for value in getattr(block, axis)))

    def split_of(self, restart: int) -> int:
        """The split seed of a restart."""
        return restart % (self.split_seeds or self.restarts)

    def size(self) -> int:
        """Number of trials."""
        return len({trial for block in self.blocks() for trial in _trials(block)})

    def to_toml(self) -> str:
        """The suite as a file that `--suite` reads back; what is empty is left out."""
        known = dataclasses.asdict(self)
        fisher, settings, variants = (known.pop(key) for key in ("fisher", "settings", "variants"))
        tuning, logits = known.pop("tuning"), known.pop("logits")
        plain = {key: value for key, value in known.items() if value not in ((), "", 0, False, None)}
        tables = [{"name": v["name"], **v["values"]} | {"set": v["settings"]} for v in variants]
        content = plain | ({} if logits else {"logits": False}) | {"set": dict(settings), "fisher": fisher}
        content |= ({"tuning": tuning} if tuning else {}) | ({"variants": tables} if tables else {})
        return tomli_w.dumps(content, multiline_strings=False)


def _trials(block: Suite) -> Iterable[tuple[Any, ...]]:
    """What tells the trials of a plain suite apart, without their data."""
    protocol = make_protocol(block.protocol, block.settings)
    runs: list[Any] = list(block.strategies)
    if block.tuning is not None:
        names = (*block.tuning.families, *block.tuning.controls, *block.tuning.floors)
        runs += [(name, draw) for name in names for draw in range(-1, block.tuning.budget)]
    for task, amount, run, restart in itertools.product(block.tasks, block.amounts(), runs, range(block.restarts)):
        yield protocol, task, amount, run, restart, block.split_of(restart)
