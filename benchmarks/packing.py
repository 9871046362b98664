"""Batches without padding: token-wise work on the real tokens alone, attention within each sequence.

The rows of a batch are sorted by length and concatenated into one row of real tokens, with explicit position ids. An
attention function registered with transformers runs one call per group of equally long sequences, so nothing is padded
and no model code is ours. The head then picks each sequence's first token. Examples of a batch, their order of drawing
and the function computed are those of the padded path (float64: tests); only the order of additions differs, and which
random number an activation dropout gives to which element, so `padding` is a field of the protocol.

Exact for BERT: position and token-type ids are explicit there and nothing else depends on the place in the row.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface

from regularizers.base import Batch, forward
from regularizers.noise import AWARE, noise_of
from regularizers.noise import attention as noisy_attention

FAMILIES = ("bert",)
IMPLEMENTATION = "regbench_packed"


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sequence_lengths: tuple[int, ...] = (),
    **options: Any,
) -> tuple[Tensor, None]:
    """Scaled dot-product attention within each sequence of one packed row; noise of the module acts on probabilities.

    query, key, value: (1, heads, tokens, width), sequences one after the other; returns (1, tokens, heads, width).
    """
    groups = [(length, len(list(same))) for length, same in groupby(sequence_lengths)]
    sizes = [length * count for length, count in groups]
    parts = zip(*(x[0].split(sizes, dim=1) for x in (query, key, value)), strict=True)  # split: one cat in the backward
    pieces = []
    for (length, count), part in zip(groups, parts, strict=True):
        # (heads, count * length, width) -> (count, heads, length, width)
        q, k, v = (x.unflatten(1, (count, length)).transpose(0, 1) for x in part)
        if noise_of(module) is None:
            out = nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=scaling)
            out = out.transpose(1, 2)
        else:
            out, _ = noisy_attention(module, q, k, v, None, scaling, dropout)
        pieces.append(out.flatten(0, 1))  # (count * length, heads, width)
    return torch.cat(pieces).unsqueeze(0), None


AttentionInterface.register(IMPLEMENTATION, attention)
AWARE.add(IMPLEMENTATION)


def prepare(model: Any, padding: str) -> Callable[[Any, Batch], Tensor]:
    """The forward function of the protocol's `padding` for this model: (model, batch) -> logits.

    `packed` falls back on padding for a family for which packing is not exact.
    """
    if padding != "packed" or model.config.model_type not in FAMILIES:
        return forward
    model.set_attn_implementation(IMPLEMENTATION)
    return packed_forward


def packed_forward(model: Any, batch: Batch) -> Tensor:
    """Logits (batch, classes) of a BERT classifier, in the batch's order."""
    lengths = batch["attention_mask"].sum(1)
    order = torch.argsort(lengths, stable=True)
    mask = batch["attention_mask"][order].bool()
    lengths = lengths[order]
    positions = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
    rows = {name: batch[name][order][mask].unsqueeze(0) for name in ("input_ids", "token_type_ids") if name in batch}
    base = model.base_model
    hidden = base(**rows, position_ids=positions[mask].unsqueeze(0), sequence_lengths=tuple(lengths.tolist()))
    first = torch.cumsum(lengths, 0) - lengths
    pooled = base.pooler(hidden.last_hidden_state[0, first].unsqueeze(1))  # (batch, width), sorted by length
    return model.classifier(model.dropout(pooled[torch.argsort(order)]))
