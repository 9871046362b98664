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

On a GPU a call per group is a launch per group; there one call takes all sequences by their offsets (`one_call`). Where
tokens lie is computed on the host, from the mask that `to_device` keeps there: no step waits for the GPU.

Exact for the families of `regularizers.surgery.packing`: position and token-type ids are explicit there, nothing else
depends on the place in the row, and attention is transformers' own. `padded` needs BERT's module names and a head that
reads the first token. Other families are trained with `stock`, and their records say so.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, eager_mask

from fisher.common.errors import InputError
from fisher.pretraining.fit import first_position
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
    offsets = nn.functional.pad(lengths.cumsum(0), (1, 0))
    parts = [order, torch.argsort(order), token, columns[mask], offsets]
    order, back, token, positions, offsets = torch.cat(parts).to(device, non_blocking=True).split([*map(len, parts)])
    rows: dict[str, Tensor] = {
        name: batch[name].flatten()[token].unsqueeze(0) for name in ("input_ids", "token_type_ids") if name in batch
    }
    rows["position_ids"] = positions.unsqueeze(0) + first_position(model.config)
    where = {"sequence_lengths": tuple(lengths.tolist()), "sequence_offsets": offsets.int()}
    first = offsets[:-1]
    with last_layer_on(model, lambda hidden: hidden[:, first]) if packing.trims else nullcontext():
        states = model.base_model(**rows, **packing.options, **where).last_hidden_state[0]
    read = states if packing.trims else packing.read(model, states, first, lengths, batch["input_ids"][order])
    return packing.head(model, packing.pool(model, read.unsqueeze(1))[back])


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
    sequence_offsets: Tensor | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **options: Any,
) -> tuple[Tensor, Tensor | None]:
    """Scaled dot-product attention within each sequence of one packed row; noise of the module acts on probabilities.

    query, key, value: (1, heads, tokens, width), sequences one after the other; returns (1, tokens, heads, width). Keys
    may have fewer heads; a token sees those before it where the module is causal, and those nearer than its window.
    One call per group of equally long sequences; on a GPU one in all, where no noise acts and no window is shorter.
    Without `sequence_lengths` (a technique that calls the model itself) it is plain attention under the mask, and the
    probabilities are returned too.
    """
    if not sequence_lengths:
        if attention_mask is None:
            attention_mask = visible(query.shape[2], getattr(module, "is_causal", False), sliding_window, query)
        return noise.attention(module, query, key, value, attention_mask, scaling, dropout, softcap=softcap)
    key, value = noise.per_head(key, query.shape[1]), noise.per_head(value, query.shape[1])
    plain, causal = noise_of(module) is None and softcap is None, getattr(module, "is_causal", False)
    longest = max(sequence_lengths)
    whole = sliding_window is None or sliding_window >= longest
    if sequence_offsets is not None and plain and whole and takes_one_call(query):
        return one_call(query, key, value, sequence_offsets, longest, dropout, causal, scaling), None
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


def takes_one_call(query: Tensor) -> bool:
    """Whether `one_call` has a kernel for this tensor: on CUDA, in float32, float16 or bfloat16."""
    return query.is_cuda and query.dtype is not torch.float64


def one_call(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    offsets: Tensor,
    longest: int,
    dropout: float,
    causal: bool,
    scaling: float | None,
) -> Tensor:
    """Attention within each sequence of a packed row by the kernel that torch's nested tensors call.

    query, key, value: (1, heads, tokens, width); offsets: (sequences + 1,), int32, where each begins and the last ends;
    returns (1, tokens, heads, width). torch's public function for sequences of several lengths has no dropout.
    """
    rows = (x.transpose(1, 2) for x in (query, key, value))
    kernel, kind = torch.ops.aten._efficient_attention_forward, int(causal)  # 1: causal from the first token on
    wanted = query.requires_grad or key.requires_grad or value.requires_grad
    return kernel(*rows, None, offsets, offsets, longest, longest, dropout, kind, wanted, scale=scaling)[0]


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
