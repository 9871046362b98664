"""LoRA: freeze the weights and train a low-rank correction of some of them, with a learning rate of its own.

    W = W_0 + alpha / r * B A,   A (r, in) ~ Kaiming uniform, B (out, r) = 0, W_0 frozen         [Hu et al. 2022, eq. 3]

The layers are those that the library peft names for the model's family (BERT: query and value, as in the paper). The
head trains. For evaluation the corrections are merged into the weights, so that the distance from w_pre and `wise_ft`
are about W; afterwards W_0 is back bit for bit. A and B start as their `initial`: `wdecay(w_pre, ...)` pulls B A to 0.
With `dropout` the input of A is dropped in training: y = x W_0^T + alpha / r * drop(x) A^T B^T.
With `mask` it is LoRA Dropout: whole columns of A and rows of B are dropped, one draw per layer and step,

    A' = A diag(m_A),  B' = diag(m_B) B,   m ~ Bernoulli(1 - mask) per in- and output feature   [Lin et al. 2024, eq. 2]

With `dora` it is DoRA: the length of every row of W (one output feature) trains apart from its direction,

    W = m * V / ||V||,   V = W_0 + alpha / r * B A,   m starts as ||W_0||,   d||V|| = 0   [Liu et al. 2024, eq. 5, §4.3]

Deviations: dropout is 0 unless given, since a strategy says every dropout. The paper tunes alpha and the learning rate
by task and model; alpha 16 is a usual choice and lr 5e-4 our reading of its GLUE settings, not verified. LoRA Dropout
averages the loss over several draws (its eq. 7), here it is one, and the predictions of several (its eq. 8), where here
a model is one set of weights, the mean: (1 - mask)^2 B A. Its equations are those of a translation of the paper.
References: Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang, Chen 2022 (ICLR), arXiv:2106.09685; Lin, Ma, Chu, Jin, Yang,
Wang, Mei 2024, arXiv:2404.09610; Liu, Wang, Yin, Molchanov, Wang, Cheng, Chen 2024 (ICML), arXiv:2402.09353, as peft
computes it.
"""

import contextlib
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from regularizers import (
    MIXED_WEIGHTS,
    STARTING_WEIGHTS,
    TRAINED_WEIGHTS,
    Choice,
    Context,
    Log,
    Regularizer,
    SkipTrial,
    number,
    own_rate,
    register,
    require,
)
from regularizers.surgery.swapping import swapped_parameters


def inject(
    model: nn.Module, targets: Sequence[str], r: int, alpha: float, generator: torch.Generator, **options: Any
) -> dict[str, Any]:
    """Put corrections on the layers `targets`; returns them by name.

    A ~ U(-1/sqrt(in), 1/sqrt(in)), drawn from `generator` in the model's order; every other parameter is frozen.
    `options` are peft's, such as `lora_dropout`.
    """
    import peft

    conv = isinstance(model.get_submodule(targets[0]), Conv1D)
    kind: dict[str, Any] = {"bias": "none", "fan_in_fan_out": conv, **options}
    config = peft.LoraConfig(r=r, lora_alpha=alpha, target_modules=list(targets), **kind)
    peft.inject_adapter_in_model(config, model, low_cpu_mem_usage=True)  # no values yet, so nothing is drawn
    layers: dict[str, Any] = {name: module for name, module in model.named_modules() if hasattr(module, "lora_A")}
    for layer in layers.values():
        like, (a, b) = layer.base_layer.weight, (layer.lora_A["default"], layer.lora_B["default"])
        bound = a.weight.shape[1] ** -0.5
        drawn = torch.empty(a.weight.shape, dtype=like.dtype).uniform_(-bound, bound, generator=generator)
        a.weight = nn.Parameter(drawn.to(like.device))
        b.weight = nn.Parameter(torch.zeros_like(b.weight, dtype=like.dtype, device=like.device))
        if options.get("use_dora"):
            lengths = torch.linalg.vector_norm(like.detach(), dim=0 if conv else 1)
            layer.lora_magnitude_vector["default"].weight = nn.Parameter(lengths)
    return layers


def merged(layer: Any, share: float = 1.0) -> Tensor:
    """The weight that a corrected layer computes with, of its own shape; `share` is the part of B A that counts."""
    weight = layer.base_layer.weight.detach() + share * layer.get_delta_weight("default")
    if "default" not in layer.lora_magnitude_vector:
        return weight
    inputs = 0 if layer.fan_in_fan_out else 1
    direction = weight / torch.linalg.vector_norm(weight, dim=inputs, keepdim=True)
    return layer.lora_magnitude_vector["default"].weight.detach().unsqueeze(inputs) * direction


class FeatureMask:
    """Which features of the input of A, or of the output of B, this step keeps; all until the first draw."""

    def __init__(self, features: int) -> None:
        self.kept = torch.ones(features)

    def before(self, module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        """Mask what A is given, (..., in)."""
        return (args[0] * self.kept.to(args[0]),) if module.training else None

    def after(self, module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> Tensor | None:
        """Mask what B gives, (..., out)."""
        return out * self.kept.to(out) if module.training else None


def masked(layer: Any) -> tuple[FeatureMask, FeatureMask]:
    """Put a mask on the input of A and one on the output of B."""
    a, b = layer.lora_A["default"], layer.lora_B["default"]
    masks = FeatureMask(a.in_features), FeatureMask(b.out_features)
    a.register_forward_pre_hook(masks[0].before)
    b.register_forward_hook(masks[1].after)
    return masks


@register("lora")
@dataclass
class LoRA(Regularizer):
    """Train corrections of rank `r` >= 1, scaled by `alpha` / r, and the head, with learning rate `lr` > 0.

    `dropout` and `mask` lie in [0, 1); at 0 nothing is dropped. `dora` is true or false.
    """

    r: int = number("an integer >= 1", 8)
    alpha: float = number("> 0", 16)
    lr: float = number("> 0", 5e-4, kw_only=True)
    dropout: float = number("in [0, 1)", 0.0, kw_only=True)
    mask: float = number("in [0, 1)", 0.0, kw_only=True)
    dora: bool = field(default=False, kw_only=True)
    summary = "train a low-rank correction of frozen weights"
    paper = "Hu et al. 2022 (ICLR), eq. 3"
    equation = "W = W_0 + alpha / r * B A, W_0 frozen"
    deviations = "no dropout of its own unless given; merged for evaluation; defaults of alpha and lr not verified"
    search = {"r": Choice((2, 4, 8, 16)), "lr": Log(1e-4, 1e-2, replaces="lr")}
    sets = frozenset({TRAINED_WEIGHTS, MIXED_WEIGHTS, STARTING_WEIGHTS})
    body_only = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require(isinstance(self.dora, bool), "dora of lora must be true or false", self.dora)
        require(
            importlib.util.find_spec("peft") is not None,
            "lora must have the library peft",
            "none",
            "install it with pip install 'regbench[lora]'",
        )

    def attach(self, context: Context) -> list[str]:
        """Inject the corrections; returns the corrected layers. Raises SkipTrial for a model without such layers."""
        targets = context.table().adapted
        if not targets:
            raise SkipTrial("lora needs a model whose family has layers to adapt in its site table, got none")
        options = {"lora_dropout": self.dropout, "use_dora": self.dora}
        self._layers = inject(context.model, targets, self.r, self.alpha, context.generator, **options)
        self._masks = [mask for layer in self._layers.values() for mask in masked(layer)] if self.mask else []
        for name, parameter in context.model.named_parameters():
            if name in context.head:
                parameter.requires_grad_(True)
            elif ".base_layer." in name:
                context.initial[name] = context.initial[name.replace(".base_layer", "")]
            elif name not in context.initial:
                context.initial[name] = parameter.detach().clone()
        return list(self._layers)

    def draw(self, context: Context) -> None:
        """Which features of every correction this step keeps."""
        for mask in self._masks:
            mask.kept = torch.rand(mask.kept.shape, generator=context.generator) >= self.mask

    def groups(self, groups: list[dict[str, Any]], context: Context) -> list[dict[str, Any]]:
        """What trains has the technique's own learning rate; a head with a term of its own keeps the protocol's."""
        return own_rate(groups, context, self.lr)

    @contextlib.contextmanager
    def evaluation(self, context: Context) -> Iterator[None]:
        """Merge, and unmerge by giving W_0 back."""
        layers, share = self._layers, (1 - self.mask) ** 2
        weights = {name: layer.base_layer.weight for name, layer in layers.items()}
        with swapped_parameters(weights, {name: merged(layer, share) for name, layer in layers.items()}):
            for layer in layers.values():
                layer.merged_adapters.append("default")
            try:
                yield
            finally:
                for layer in layers.values():
                    layer.merged_adapters.clear()
