"""Multiplicative noise at a model's dropout sites: what gaussian_dropout and variational_dropout share.

Where the model calls its dropout module, the module multiplies its output. Attention probabilities are dropped inside
an attention function, which reads a probability and calls no module; there the model gets an attention function of ours
(registered with transformers), which computes the probabilities and hands them to the noise of its module. Models under
sdpa and eager are switched to it alike; a model whose attention function knows of the noise (`AWARE`) keeps its own.
In evaluation no noise acts.
"""

import functools
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from regularizers.base import Context, SkipTrial
from regularizers.surgery.sites import Site, place

IMPLEMENTATION = "regbench_noise"
AWARE = {IMPLEMENTATION}  # attention functions that apply `noise_of(module)` to their probabilities


def step_generator(context: Context, device: torch.device) -> torch.Generator:
    """A generator on the model's device for one step's large draws, seeded by one draw of the trial's own."""
    seed = torch.randint(2**62, (), generator=context.generator).item()
    return torch.Generator(device).manual_seed(int(seed))


def noise_like(hidden: Tensor, noise: str, generator: torch.Generator) -> Tensor:
    """A draw of N(0, 1) (`normal`) or U(-1, 1) (`uniform`) per element, of the shape, dtype and device of `hidden`."""
    empty = torch.empty(hidden.shape, dtype=hidden.dtype, device=generator.device)
    drawn = empty.normal_(generator=generator) if noise == "normal" else empty.uniform_(-1, 1, generator=generator)
    return drawn.to(hidden.device, non_blocking=True)


class StepNoise:
    """Random numbers on the model's device, from a stream that every optimizer step seeds anew."""

    def __init__(self) -> None:
        self.generator = torch.Generator()

    def reseed(self, context: Context) -> None:
        """Start the stream of a new step; takes one draw from the trial's own generator."""
        self.generator = step_generator(context, next(context.model.parameters()).device)

    def on(self, device: torch.device) -> torch.Generator:
        """The stream, for draws on `device` (a model that moved since the last step takes its seed along)."""
        if self.generator.device.type != device.type:
            self.generator = torch.Generator(device).manual_seed(self.generator.initial_seed())
        return self.generator

    def normal(self, like: Tensor) -> Tensor:
        """Standard normal numbers of the shape, type and device of `like`."""
        return torch.randn(like.shape, generator=self.on(like.device), dtype=like.dtype, device=like.device)


class Noise(Protocol):
    """What sits at a site: (the module it sits on, activations) -> noisy activations of the same shape.

    It acts on what the site's dropout leaves, or where it says `before_dropout = True` on what the dropout is given.
    """

    def __call__(self, module: nn.Module, x: Tensor) -> Tensor: ...


class NoisyDropout(nn.Dropout):
    """A dropout module that multiplies by noise in training; its own `p` stays as it is."""

    def forward(self, x: Tensor) -> Tensor:
        """x of any shape."""
        return noisy(self, x, super().forward)


def noise_of(module: nn.Module) -> Noise | None:
    """The noise that acts on this module now: None without one and in evaluation."""
    return getattr(module, "site_noise", None) if module.training else None


def noisy(module: nn.Module, x: Tensor, drop: Callable[[Tensor], Tensor]) -> Tensor:
    """Activations behind the dropout `drop` and the noise of the module, in the order that the noise asks for."""
    noise = noise_of(module)
    if noise is None:
        return drop(x)
    return drop(noise(module, x)) if getattr(noise, "before_dropout", False) else noise(module, drop(x))


def holder(model: nn.Module, site: Site) -> nn.Module:
    """The module that carries a site's noise: the dropout that is called, or the attention module."""
    return place(model, site) if site.owner is None else model.get_submodule(site.owner)


def attention_sites(context: Context, name: str) -> list[Site]:
    """The sites of attention probabilities; SkipTrial with the name of the technique where none are known."""
    sites = [site for site in context.dropout_sites() if site.kind == "attention"]
    if not sites:
        raise SkipTrial(f"{name} needs a model with a table of its attentions")
    return sites


def attach_noise(model: Any, site: Site, noise: Noise) -> None:
    """Let `noise` act at `site` in training."""
    module = holder(model, site)
    if site.owner is None:
        module.__class__ = NoisyDropout
    elif model.config._attn_implementation not in AWARE:
        model.set_attn_implementation(IMPLEMENTATION)
    module.site_noise = noise  # type: ignore[assignment]


def per_head(x: Tensor, heads: int) -> Tensor:
    """Keys or values (batch, groups, tokens, width) for every head of the query, (batch, heads, tokens, width)."""
    return x if x.shape[1] == heads else x.repeat_interleave(heads // x.shape[1], dim=1)


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    position_bias: Tensor | None = None,
    softcap: float | None = None,
    **options: Any,
) -> tuple[Tensor, Tensor]:
    """Attention whose probabilities pass through dropout and the module's noise.

    query: (batch, heads, tokens, width); key, value: the same with as many heads or fewer, each of which serves a group
    of the query's; attention_mask and position_bias are added to the scores, which `softcap` bounds before.
    Returns (batch, tokens, heads, width) and the probabilities as used, (batch, heads, tokens, tokens). Raises
    ValueError for attention that is not computed so.
    """
    if options.get("s_aux") is not None:
        raise ValueError("noise on attention probabilities must be without s_aux")
    key, value = per_head(key, query.shape[1]), per_head(value, query.shape[1])
    scores = query @ key.transpose(2, 3) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    scores = scores if softcap is None else (scores / softcap).tanh() * softcap
    for bias in (position_bias, attention_mask):
        scores = scores if bias is None else scores + bias
    drop = functools.partial(nn.functional.dropout, p=dropout, training=module.training)
    used = noisy(module, scores.softmax(-1), drop)
    return (used @ value).transpose(1, 2).contiguous(), used


AttentionInterface.register(IMPLEMENTATION, attention)
AttentionMaskInterface.register(IMPLEMENTATION, eager_mask)
