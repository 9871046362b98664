"""NEFTune: uniform noise on the word embeddings, in training only.

    x <- x + alpha / sqrt(length * d) * U(-1, 1) per element          [Jain et al. 2023, alg. 1]

`length` is the number of real tokens of the example, d the width of the embeddings, so the noise of an example has an
expected squared norm of alpha^2 / 3, however long it is. Padding gets no noise.
Deviations: none known; other public code counts padding as length, so that its noise depends on the batch.
Reference: Jain et al. 2023, arXiv:2310.05914. The paper's alpha of 5 was found for instruction tuning.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from regularizers import Context, Log, Regularizer, number, register
from regularizers.surgery.embeddings import tables
from regularizers.surgery.noise import noise_like


def token_lengths(shape: tuple[int, ...], mask: Tensor | None, packed: tuple[int, ...]) -> Tensor:
    """For every token, the number of real tokens of its example; 0 for padding. `shape` is (rows, tokens).

    `packed` holds the lengths of examples that stand one after the other in a single row, `mask` (rows, tokens) is 1
    for real tokens; a mask of another shape (T5's decoder has its own) and no mask mean that every token is real.
    """
    if packed:
        lengths = torch.tensor(packed)
        return lengths.repeat_interleave(lengths).view(shape)
    if mask is None or mask.shape != torch.Size(shape):
        return torch.full(shape, shape[1])
    return mask * mask.sum(1, keepdim=True)


def magnitude(lengths: Tensor, width: int, alpha: float) -> Tensor:
    """`alpha / sqrt(length * width)` per token, in the dtype of `lengths`, 0 where the length is 0."""
    return torch.where(lengths > 0, alpha / (lengths.clamp(min=1) * width).sqrt(), 0.0)


@register("neftune")
@dataclass
class NEFTune(Regularizer):
    """Add noise of magnitude `alpha` / sqrt(length * width) to the word embeddings; alpha >= 0."""

    alpha: float = number(">= 0", 5.0)
    version = 2
    summary = "noise on the word embeddings"
    paper = "Jain et al. 2023, alg. 1"
    equation = "x <- x + alpha / sqrt(length * d) * U(-1, 1)"
    off = ("neftune(0)",)
    search = {"alpha": Log(1.0, 15.0, paper=5.0)}
    body_only = True

    def attach(self, context: Context) -> list[str]:
        """Hook the word embeddings, and the base model for the lengths; returns the names of their tables."""
        model: Any = context.model
        found = tables(context, self.name)
        seen: dict[str, Any] = {}  # of the forward pass that is under way

        def note(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            seen["mask"], seen["packed"] = kwargs.get("attention_mask"), kwargs.get("sequence_lengths", ())

        def perturb(table: nn.Module, args: tuple[Any, ...], x: Tensor) -> Tensor | None:
            if not table.training:
                return None
            lengths = token_lengths(tuple(x.shape[:2]), **seen).to(
                x.device, torch.promote_types(x.dtype, torch.float32)
            )
            scale = magnitude(lengths, x.shape[2], self.alpha).to(x.dtype)
            return x + scale.unsqueeze(-1) * noise_like(x, "uniform", context.generator)

        model.base_model.register_forward_pre_hook(note, with_kwargs=True)
        for table in found.values():
            table.register_forward_hook(perturb)
        return list(found)
