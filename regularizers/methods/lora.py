"""LoRA: freeze the weights and train a low-rank correction of some of them, with a learning rate of its own.

    W = W_0 + alpha / r * B A,   A (r, in) ~ Kaiming uniform, B (out, r) = 0, W_0 frozen         [Hu et al. 2022, eq. 3]

The layers are those that the library peft names for the model's family (BERT: query and value, as in the paper). The
head trains. For evaluation the corrections are merged into the weights, so that the distance from w_pre and `wise_ft`
are about W; afterwards W_0 is back bit for bit. A and B start as their `initial`: `wdecay(w_pre, ...)` pulls B A to 0.
With `dropout` the input of A is dropped in training: y = x W_0^T + alpha / r * drop(x) A^T B^T.
Deviations: dropout is 0 unless given, since a strategy says every dropout. The paper tunes alpha and the learning rate
by task and model; alpha 16 is a usual choice and lr 5e-4 our reading of its GLUE settings, not verified.
Reference: Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang, Chen 2022 (ICLR), arXiv:2106.09685.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from fisher.common.errors import InputError
from regularizers.base import (
    MIXED_WEIGHTS,
    STARTING_WEIGHTS,
    TRAINED_WEIGHTS,
    Context,
    Regularizer,
    SkipTrial,
    own_rate,
    require,
)
from regularizers.registry import register
from regularizers.search import Choice, Log
from regularizers.surgery.swapping import swapped_parameters


def inject(
    model: nn.Module, targets: Sequence[str], r: int, alpha: float, generator: torch.Generator, *, dropout: float = 0.0
) -> dict[str, Any]:
    """Put corrections on the layers `targets`; returns them by name.

    A ~ U(-1/sqrt(in), 1/sqrt(in)), drawn from `generator` in the model's order; every other parameter is frozen. In
    training the input of A is dropped with probability `dropout`.
    """
    import peft

    conv = isinstance(model.get_submodule(targets[0]), Conv1D)
    kind: dict[str, Any] = {"lora_dropout": dropout, "bias": "none", "fan_in_fan_out": conv}
    config = peft.LoraConfig(r=r, lora_alpha=alpha, target_modules=list(targets), **kind)
    peft.inject_adapter_in_model(config, model, low_cpu_mem_usage=True)  # no values yet, so nothing is drawn
    layers: dict[str, Any] = {name: module for name, module in model.named_modules() if hasattr(module, "lora_A")}
    for layer in layers.values():
        like, (a, b) = layer.base_layer.weight, (layer.lora_A["default"], layer.lora_B["default"])
        bound = a.weight.shape[1] ** -0.5
        drawn = torch.empty(a.weight.shape, dtype=like.dtype).uniform_(-bound, bound, generator=generator)
        a.weight = nn.Parameter(drawn.to(like.device))
        b.weight = nn.Parameter(torch.zeros_like(b.weight, dtype=like.dtype, device=like.device))
    return layers


@register("lora")
@dataclass
class LoRA(Regularizer):
    """Train corrections of rank `r` >= 1, scaled by `alpha` / r, and the head, with learning rate `lr` > 0."""

    r: int = 8
    alpha: float = 16
    lr: float = field(default=5e-4, kw_only=True)
    dropout: float = field(default=0.0, kw_only=True)
    summary: ClassVar[str] = "train a low-rank correction of frozen weights"
    paper: ClassVar[str] = "Hu et al. 2022 (ICLR), eq. 3"
    equation: ClassVar[str] = "W = W_0 + alpha / r * B A, W_0 frozen"
    deviations: ClassVar[str] = (
        "no dropout of its own unless given; merged for evaluation; defaults of alpha and lr not verified"
    )
    search: ClassVar = {"r": Choice((2, 4, 8, 16)), "lr": Log(1e-4, 1e-2, replaces="lr")}
    sets: ClassVar[frozenset[str]] = frozenset({TRAINED_WEIGHTS, MIXED_WEIGHTS, STARTING_WEIGHTS})
    body_only: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(isinstance(self.r, int) and self.r >= 1, "r of lora must be an integer >= 1", self.r)
        require(self.alpha > 0, "alpha of lora must be > 0", self.alpha)
        require(self.lr > 0, "lr of lora must be > 0", self.lr)
        require(0 <= self.dropout < 1, "dropout of lora must be in [0, 1)", self.dropout)
        if importlib.util.find_spec("peft") is None:
            raise InputError("lora must have the library peft, got none; install it with pip install 'regbench[lora]'")

    def attach(self, context: Context) -> list[str]:
        """Inject the corrections; returns the corrected layers. Raises SkipTrial for a model without such layers."""
        targets = context.table().adapted
        if not targets:
            raise SkipTrial("lora needs a model whose family has layers to adapt in its site table, got none")
        self._layers = inject(context.model, targets, self.r, self.alpha, context.generator, dropout=self.dropout)
        for name, parameter in context.model.named_parameters():
            if name in context.head:
                parameter.requires_grad_(True)
            elif ".base_layer." in name:
                context.initial[name] = context.initial[name.replace(".base_layer", "")]
            elif name not in context.initial:
                context.initial[name] = parameter.detach().clone()
        return list(self._layers)

    def groups(self, groups: list[dict[str, Any]], context: Context) -> list[dict[str, Any]]:
        """What trains has the technique's own learning rate; a head with a term of its own keeps the protocol's."""
        return own_rate(groups, context, self.lr)

    @contextlib.contextmanager
    def evaluation(self, context: Context) -> Iterator[None]:
        """Merge, and unmerge by giving W_0 back."""
        layers = self._layers
        weights = {name: layer.base_layer.weight for name, layer in layers.items()}
        with swapped_parameters(
            weights, {name: w.detach() + layers[name].get_delta_weight("default") for name, w in weights.items()}
        ):
            for layer in layers.values():
                layer.merged_adapters.append("default")
            try:
                yield
            finally:
                for layer in layers.values():
                    layer.merged_adapters.clear()
