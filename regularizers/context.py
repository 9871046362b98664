"""What the hooks of one trial see: the model, its head, its start, its dropout sites, and how far the training is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from fisher.common.errors import require
from fisher.scores import Scores
from regularizers.surgery.sites import Sites, find_sites

Batch = dict[str, Tensor]
FAMILY_FREE = Sites(family="none")


class Output(NamedTuple):
    """One forward pass: `loss` is the mean over the examples of the batch (scalar), `logits` is (batch, classes)."""

    loss: Tensor
    logits: Tensor


class SkipTrial(Exception):
    """The method cannot act on this model or task; the trial is recorded as skipped with this sentence."""


class NoSiteTable(SkipTrial):
    """The term needs the sites of a family that has no table of them."""


def forward(model: nn.Module, batch: Batch) -> Tensor:
    """Logits (batch, classes) of a transformers model; a bare module brings its own function of this form."""
    return model(**{name: value for name, value in batch.items() if name != "labels"}).logits


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on `device`, copied without waiting; its mask is kept on the host as well, for `host_mask`."""
    moved = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
    if "attention_mask" in batch and moved["attention_mask"] is not batch["attention_mask"]:
        moved["attention_mask"].on_host = host_mask(batch)  # type: ignore[attr-defined]
    return moved


def host_mask(batch: Batch) -> Tensor:
    """The attention mask on the host; of a batch that `to_device` did not move, a copy that waits for the device."""
    mask = batch["attention_mask"]
    return getattr(mask, "on_host", mask).cpu()


def criterion(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy for integer labels (batch,), mean squared error for real ones (one output), never in half
    precision, which would round the labels."""
    if labels.is_floating_point():
        kind = torch.promote_types(logits.dtype, torch.float32)
        return nn.functional.mse_loss(logits.squeeze(-1).to(kind), labels.to(kind))
    return nn.functional.cross_entropy(logits, labels)


@dataclass
class Training:
    """How far the training is; shared by all terms of a trial. `steps` is the planned total, `step` those done.

    The optimizer is there from the first step on, and None before.
    """

    optimizer: torch.optim.Optimizer = field(default=None, init=False, repr=False)  # type: ignore[assignment]
    steps: int = 0
    step: int = 0


@dataclass
class History:
    """What a training left: mean loss of every step, what `evaluate` returned each time, the step that diverged."""

    losses: list[float] = field(default_factory=list)
    epochs: list[Any] = field(default_factory=list)
    diverged_at: int | None = None


@dataclass
class Context:
    """What the hooks of one trial see. `initial` holds w_pre for what the checkpoint provided and w_0 for the head.

    Args:
        model: the module that is trained; its parameters are what `initial` names.
        head: names of the parameters that the checkpoint did not provide (`methods` call them the head).
        generator: source of the method's own draws; torch's default generator belongs to stock dropout alone.
        sites: where dropouts sit and which layers are mixed; found by the model's family unless given.
        fisher: for each source a strategy names, its scores under the base model's parameter names.
        examples: number of training examples.
        forward: (model, batch) -> logits; criterion: (logits, labels) -> mean loss.
        added: names of parameters that a technique registered for itself (a learned noise level). They are no weights
            of the model: other techniques leave them alone, and its `groups` gives them to the optimizer.
        scope: where the term that holds this context acts.
        term: how that term is written.
    """

    model: nn.Module
    head: frozenset[str] = frozenset()
    generator: torch.Generator = field(default_factory=torch.Generator)
    sites: Sites | None = None
    fisher: Mapping[str, Scores] = field(default_factory=dict)
    examples: int = 1
    forward: Callable[[nn.Module, Batch], Tensor] = forward
    criterion: Callable[[Tensor, Tensor], Tensor] = criterion
    scope: str = "all"
    term: str = ""
    initial: dict[str, Tensor] = field(default_factory=dict)
    training: Training = field(default_factory=Training)
    added: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.sites is None:
            self.sites = find_sites(self.model, self.head) if hasattr(self.model, "config") else FAMILY_FREE
        if not self.initial:
            self.initial = {name: p.detach().clone() for name, p in self.model.named_parameters()}

    def scoped(self, scope: str, term: str = "") -> Context:
        """The same context seen by a term that acts on `all`, on the `body` alone or on the `head` alone."""
        return dataclasses.replace(self, scope=scope, term=term)

    def table(self) -> Sites:
        """The sites of the model. Raises NoSiteTable, which names the term, for a family without one."""
        assert self.sites is not None
        if self.sites.missing:
            needs = f"{self.term or 'the technique'} needs the dropout sites or the mixed layers of the model"
            raise NoSiteTable(f"{needs}, and {self.sites.missing}")
        return self.sites

    def in_scope(self, parameter: str) -> bool:
        """Whether the term may act on this parameter."""
        return self.scope == "all" or (parameter in self.head) == (self.scope == "head")

    def parameters(self) -> dict[str, nn.Parameter]:
        """Trainable weights in scope, by name."""
        named = [(name, p) for name, p in self.model.named_parameters() if name not in self.added]
        return {name: p for name, p in named if p.requires_grad and self.in_scope(name)}

    def pretrained(self) -> dict[str, nn.Parameter]:
        """Those of `parameters` that have a w_pre: all outside the head."""
        return {name: p for name, p in self.parameters().items() if name not in self.head}

    def scores(self, source: str, technique: str) -> Scores:
        """The Fisher scores of a source. Raises InputError where the trial was given none."""
        require(
            source in self.fisher,
            f"{technique} must be given Fisher scores from {source}",
            "none",
            "estimate them first",
        )
        return self.fisher[source]

    def dropout_sites(self) -> list[Any]:
        """Dropout sites in scope, in the model's order. Raises SkipTrial where the model has none."""
        table = self.table()
        sites = [s for s in table.dropouts if self.scope == "all" or (s.kind == "head") == (self.scope == "head")]
        if not sites:
            raise SkipTrial(f"the {table.family} model has no dropout site in scope {self.scope!r}")
        return sites

    def mixed_layers(self, layers: str) -> list[str]:
        """Names of the linear layers that a weight-mixing method acts on: a reading's or `all`; in the head its own."""
        if self.scope == "head":
            names = [n for n, m in linear_layers(self.model).items() if f"{n}.weight" in self.head]
        elif layers == "all":
            names = [n for n, m in linear_layers(self.model).items() if f"{n}.weight" not in self.head]
        else:
            names = list(self.table().mixed.get(layers, ()))
        if not names:
            assert self.sites is not None
            raise SkipTrial(f"the {self.sites.family} model has no layer to mix in scope {self.scope!r}")
        return names

    def compute(self, batch: Batch) -> Output:
        """One forward pass of the model on one (micro-)batch."""
        logits = self.forward(self.model, batch)
        return Output(self.criterion(logits, batch["labels"]), logits)

    def count(self, batch: Batch) -> int:
        """How many losses the mean over a batch is of: its examples."""
        return len(batch["labels"])


def linear_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Every linear layer by name: `nn.Linear` with an (out, in) weight and GPT-2's `Conv1D` with an (in, out) one."""
    return {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear | Conv1D)}
