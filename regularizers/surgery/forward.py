"""The forward passes of a trial: `packed`, `padded` and `stock`, one function computed in three ways.

`stock`: the model as it stands on batches padded to their longest row. `padded`: the same, but what follows the last
layer's attention is computed for the first token alone, the only one that BERT's head reads. `packed`: that, and no
padding. The rows of a batch are sorted by length and concatenated into one row of real tokens, with explicit position
ids; an attention function registered with transformers runs one call per group of equally long sequences, and the head
then reads each sequence's first token.

No model code is ours: attention is chosen through `AttentionInterface`, and rows are chosen by a hook in front of the
module that follows the last attention. Examples of a batch, their order of drawing and the function computed are the
same in all three (float64: tests). The order of additions differs, and which random number an activation dropout gives
to which element; so `forward` is a field of the protocol.

On a GPU a call per group is a launch per group, so attention alone is padded there: one call on a grid of equally long
rows. Where tokens lie is computed on the host, from the mask that `to_device` keeps there: no step waits for the GPU.

Exact for the families of `regularizers.surgery.packing`: position and token-type ids are explicit there, nothing else
depends on the place in the row, and attention is transformers' own. `padded` needs BERT's module names and a head that
reads the first token. Other families are trained with `stock`, and their records say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, eager_mask

from fisher.common.errors import InputError
from regularizers.context import Batch, host_mask
from regularizers.context import forward as stock
from regularizers.surgery import noise
from regularizers.surgery.noise import AWARE, noise_of
from regularizers.surgery.packing import PACKINGS

WAYS = ("packed", "padded", "stock")
IMPLEMENTATION = "regbench_packed"


def available(way: str, family: str) -> str:
    """The way that models of this family are trained with where `way` is asked for."""
    known = family in PACKINGS and (way != "padded" or PACKINGS[family].trims)
    return way if known else "stock"


def prepare(model: Any, way: str) -> Callable[[Any, Batch], Tensor]:
    """The forward function (model, batch) -> logits of one of `WAYS`; ValueError where the family has only `stock`."""
    if way == "stock":
        return stock
    if available(way, model.config.model_type) != way:
        raise ValueError(f"the forward pass must be stock for {model.config.model_type}, got {way}")
    if way == "padded":
        return padded
    model.set_attn_implementation(IMPLEMENTATION)
    return packed


def restore_stock(model: Any) -> Callable[[Any, Batch], Tensor]:
    """Give a prepared model its usual attention back (the noisy one where a technique put noise on it)."""
    if model.config._attn_implementation == IMPLEMENTATION:
        noisy = any(hasattr(module, "site_noise") for module in model.modules())
        usual = "sdpa" if model._supports_sdpa else "eager"
        model.set_attn_implementation(noise.IMPLEMENTATION if noisy else usual)
    return stock


def padded(model: Any, batch: Batch) -> Tensor:
    """Logits (batch, classes); the last layer's feed-forward part sees (batch, 1, width)."""
    with last_layer_on(model, lambda hidden: hidden[:, :1]):
        return stock(model, batch)


def packed(model: Any, batch: Batch) -> Tensor:
    """Logits (batch, classes) of a classifier of a packable family, in the batch's order, computed without padding.

    Raises InputError where a technique has chosen another attention: it would see one sequence where there are many.
    """
    chosen = model.config._attn_implementation
    if chosen != IMPLEMENTATION:
        must = f"a technique must leave the attention alone or declare forward = 'stock', got attention {chosen}"
        raise InputError(f"{must} under the packed pass")
    packing = PACKINGS[model.config.model_type]
    mask, device = host_mask(batch), batch["attention_mask"].device
    lengths = mask.sum(1)
    order = torch.argsort(lengths, stable=True)
    mask, lengths = mask[order].bool(), lengths[order]
    columns = torch.arange(mask.shape[1]).expand_as(mask)
    token = (order.unsqueeze(1) * mask.shape[1] + columns)[mask]  # where each token lies in the flattened batch
    first = torch.cumsum(lengths, 0) - lengths
    grid = Grid.of(lengths, device) if on_grid(device) else None
    order, token, positions, first, back = (
        x.to(device, non_blocking=True) for x in (order, token, columns[mask], first, torch.argsort(order))
    )
    rows: dict[str, Tensor] = {
        name: batch[name].flatten()[token].unsqueeze(0) for name in ("input_ids", "token_type_ids") if name in batch
    }
    rows["position_ids"] = positions.unsqueeze(0) + packing.first_position(model.config)
    with last_layer_on(model, lambda hidden: hidden[:, first]) if packing.trims else nullcontext():
        states = model.base_model(
            **rows, **packing.options, sequence_lengths=tuple(lengths.tolist()), sequence_grid=grid
        ).last_hidden_state[0]
    read = states if packing.trims else packing.read(model, states, first, lengths, batch["input_ids"][order])
    return packing.head(model, packing.pool(model, read.unsqueeze(1))[back])


def on_grid(device: torch.device) -> bool:
    """Whether the attention of a packed row is computed in one call on padded rows: where calls cost, on a GPU."""
    return device.type == "cuda"


class Grid(NamedTuple):
    """Where the tokens of a packed row lie in rows of one length: the slot of each token, and which slots are real."""

    slots: Tensor  # (tokens,), into the flattened rows
    real: Tensor  # (rows, length), bool

    @classmethod
    def of(cls, lengths: Tensor, device: torch.device) -> Grid:
        """The grid on `device` of rows of these lengths (rows,), which are on the host."""
        real = torch.arange(int(lengths.max())) < lengths.unsqueeze(1)
        slots = real.flatten().nonzero().flatten()
        return cls(slots.to(device, non_blocking=True), real.to(device, non_blocking=True))

    def seen(self, causal: bool, window: int | None, like: Tensor) -> Tensor | None:
        """What is added to the scores (rows, 1, 1 or length, length): next to nothing is left of keys that are padding.

        Under a causal mask no token sees the padding behind it, and None leaves the mask to the call.
        """
        near = visible(self.real.shape[1], causal, window, like)
        if causal:
            return near
        keys = torch.zeros_like(self.real, dtype=like.dtype).masked_fill(~self.real, torch.finfo(like.dtype).min)
        return keys[:, None, None] if near is None else keys[:, None, None] + near


class ToGrid(torch.autograd.Function):
    """Tokens (tokens, heads, width) to rows (rows * length, heads, width), zero where none lies; backward `FromGrid`.

    Both are copies in both directions, because no slot has two tokens: the same bits every time, without sums.
    """

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, slots: Tensor, count: int) -> Tensor:
        ctx.save_for_backward(slots)
        return tokens.new_zeros(count, *tokens.shape[1:]).index_copy_(0, slots, tokens)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *rows: Tensor) -> tuple[Tensor, None, None]:
        (slots,) = ctx.saved_tensors
        return rows[0].index_select(0, slots), None, None


class FromGrid(torch.autograd.Function):
    """Rows (rows * length, heads, width) to tokens (tokens, heads, width); backward `ToGrid`."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, slots: Tensor) -> Tensor:
        ctx.save_for_backward(slots)
        ctx.count = len(rows)
        return rows.index_select(0, slots)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *tokens: Tensor) -> tuple[Tensor, None]:
        (slots,) = ctx.saved_tensors
        return tokens[0].new_zeros(ctx.count, *tokens[0].shape[1:]).index_copy_(0, slots, tokens[0]), None


@contextmanager
def last_layer_on(model: Any, choose: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Within it, what follows the last layer's attention computes only the tokens that `choose` picks."""

    def pick(module: nn.Module, args: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        context, residual = args
        return choose(context), choose(residual)

    hook = model.base_model.encoder.layer[-1].attention.output.register_forward_pre_hook(pick)
    try:
        yield
    finally:
        hook.remove()


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sequence_lengths: tuple[int, ...] = (),
    sequence_grid: Grid | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **options: Any,
) -> tuple[Tensor, Tensor | None]:
    """Scaled dot-product attention within each sequence of one packed row; noise of the module acts on probabilities.

    query, key, value: (1, heads, tokens, width), sequences one after the other; returns (1, tokens, heads, width). Keys
    may have fewer heads; a token sees those before it where the module is causal, and those nearer than its window.
    One call per group of equally long sequences, or one in all on `sequence_grid` where no noise acts.
    Without `sequence_lengths` (a technique that calls the model itself) it is plain attention under the mask, and the
    probabilities are returned too.
    """
    if not sequence_lengths:
        if attention_mask is None:
            attention_mask = visible(query.shape[2], getattr(module, "is_causal", False), sliding_window, query)
        return noise.attention(module, query, key, value, attention_mask, scaling, dropout, softcap=softcap)
    key, value = noise.per_head(key, query.shape[1]), noise.per_head(value, query.shape[1])
    plain, causal = noise_of(module) is None and softcap is None, getattr(module, "is_causal", False)
    if sequence_grid is not None and plain:
        slots, real = sequence_grid
        rows = (ToGrid.apply(x[0].transpose(0, 1), slots, real.numel()) for x in (query, key, value))
        q, k, v = (x.unflatten(0, tuple(real.shape)).transpose(1, 2) for x in rows)  # (rows, heads, length, width)
        seen = sequence_grid.seen(causal, sliding_window, query)
        out = nn.functional.scaled_dot_product_attention(q, k, v, seen, dropout_p=dropout, scale=scaling)
        return FromGrid.apply(out.transpose(1, 2).flatten(0, 1), slots).unsqueeze(0), None
    groups = [(length, len(list(same))) for length, same in groupby(sequence_lengths)]
    sizes = [length * count for length, count in groups]
    parts = zip(*(x[0].split(sizes, dim=1) for x in (query, key, value)), strict=True)  # split: one cat in the backward
    pieces = []
    for (length, count), part in zip(groups, parts, strict=True):
        # (heads, count * length, width) -> (count, heads, length, width)
        q, k, v = (x.unflatten(1, (count, length)).transpose(0, 1) for x in part)
        seen = visible(length, causal, sliding_window, query)
        if plain:
            out = nn.functional.scaled_dot_product_attention(q, k, v, seen, dropout_p=dropout, scale=scaling)
            out = out.transpose(1, 2)
        else:
            out, _ = noise.attention(module, q, k, v, seen, scaling, dropout, softcap=softcap)
        pieces.append(out.flatten(0, 1))  # (count * length, heads, width)
    return torch.cat(pieces).unsqueeze(0), None


def visible(length: int, causal: bool, window: int | None, like: Tensor) -> Tensor | None:
    """What is added to the scores (length, length) of a sequence: 0 for a token that is seen, else -inf; None: all are.

    A window of w shows the tokens at a distance below w.
    """
    if not causal and (window is None or window >= length):
        return None
    at = torch.arange(length, device=like.device)
    distance = at[:, None] - at[None, :]
    hidden = distance.abs() >= (length if window is None else window)
    if causal:
        hidden |= distance < 0
    return torch.zeros(hidden.shape, dtype=like.dtype, device=like.device).masked_fill(hidden, float("-inf"))


def mask(*, attention_mask: Tensor | None = None, **options: Any) -> Tensor | None:
    """A mask to be added to the scores; none for a packed row, which has no padding."""
    return None if attention_mask is None else eager_mask(attention_mask=attention_mask, **options)


AttentionInterface.register(IMPLEMENTATION, attention)
AttentionMaskInterface.register(IMPLEMENTATION, mask)
AWARE.add(IMPLEMENTATION)
