"""How one tokenised text becomes inputs and targets of a pretraining objective: pure functions on token ids.

Masked language modelling: Devlin et al. 2019, section 3.1. Span corruption: Raffel et al. 2020, section 3.1.4.
"""

from itertools import pairwise

import torch

from fisher.common.errors import require

RATE = 0.15  # share of the tokens to predict, in both objectives
SPAN_LENGTH = 3.0  # mean length of a corrupted span


def mask_tokens(
    ids: torch.Tensor, maskable: torch.Tensor, mask_id: int, vocabulary: int, rng: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """(corrupted ids, positions to predict): each maskable token is chosen with probability 0.15, one at the least.

    Of the chosen, 80 % become `mask_id`, 10 % a uniformly drawn id below `vocabulary`, 10 % stay.
    `ids` and `maskable` have shape (length,); positions are ascending, shape (predictions,).
    """
    chosen = maskable & (torch.rand(len(ids), generator=rng) < RATE)
    if not chosen.any():
        candidates = maskable.nonzero().squeeze(1)
        chosen[candidates[torch.randint(len(candidates), (1,), generator=rng)]] = True
    fate = torch.rand(len(ids), generator=rng)
    words = torch.randint(vocabulary, (len(ids),), generator=rng)
    corrupted = torch.where(chosen & (fate < 0.8), torch.full_like(ids, mask_id), ids)
    corrupted = torch.where(chosen & (fate >= 0.9), words, corrupted)
    return corrupted, chosen.nonzero().squeeze(1)


def partition(total: int, parts: int, rng: torch.Generator) -> list[int]:
    """`total` as an ordered sum of `parts` positive numbers, every such sum equally likely."""
    cuts = (torch.randperm(total - 1, generator=rng)[: parts - 1] + 1).sort().values.tolist()
    edges = [0, *cuts, total]
    return [after - before for before, after in pairwise(edges)]


def draw_spans(length: int, rng: torch.Generator) -> list[tuple[int, int]]:
    """Spans [start, end) of about 15 % of `length` >= 2 tokens, mean length 3, kept and corrupted parts in turn.

    Deviation: in T5's own preprocessing, which packs texts to full length, the last part is always a corrupted one;
    here it may be a kept one, or the single span of a short text would always stand at its end.
    """
    corrupted = min(max(round(length * RATE), 1), length - 1)
    count = min(max(round(corrupted / SPAN_LENGTH), 1), corrupted, length - corrupted)
    kept_parts = partition(length - corrupted + 1, count + 1, rng)  # one more than there is: the last may be empty
    spans, position = [], 0
    for kept, size in zip(kept_parts, partition(corrupted, count, rng), strict=False):
        spans.append((position + kept, position + kept + size))
        position += kept + size
    return spans


def draw_single_tokens(length: int, rng: torch.Generator) -> list[tuple[int, int]]:
    """Single-token spans: 15 % of the tokens (one at the least), drawn without replacement, each on its own."""
    corrupted = max(round(length * RATE), 1)
    starts = torch.randperm(length, generator=rng)[:corrupted].sort().values.tolist()
    return [(start, start + 1) for start in starts]


def replace_spans(ids: list[int], spans: list[tuple[int, int]], sentinels: list[int]) -> tuple[list[int], list[int]]:
    """(inputs with one sentinel for each span, targets: each sentinel followed by the tokens of its span)."""
    require(
        len(spans) <= len(sentinels),
        f"a text needs {len(spans)} sentinels but the tokenizer has {len(sentinels)}: lower the maximal length",
    )
    inputs, targets, position = [], [], 0
    for sentinel, (start, end) in zip(sentinels, spans, strict=False):
        inputs += [*ids[position:start], sentinel]
        targets += [sentinel, *ids[start:end]]
        position = end
    return inputs + ids[position:], targets
