"""From examples to batches: tokenised once, order from the restart's seed alone, padded to the longest of the batch."""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from benchmarks.data.sources import Example

Encoded = list[dict[str, list[int]]]


def encode(examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase, max_length: int) -> Encoded:
    """Token ids of every example, the longer text cut first; no padding, whatever the tokenizer's file says."""
    if not examples:
        return []
    columns = [list(column) for column in zip(*(example.texts for example in examples), strict=True)]
    encoding = tokenizer(*columns, truncation="longest_first", max_length=max_length, padding=False)
    return [{key: encoding[key][at] for key in encoding} for at in range(len(examples))]


def collate(rows: Encoded, labels: Sequence[int | float], pad: int) -> dict[str, Tensor]:
    """Rows as tensors (batch, longest row), padded with `pad` (ids) or 0; labels (batch,) int64 or float32."""
    longest = max(len(row["input_ids"]) for row in rows)
    batch = {}
    for key in rows[0]:
        fill = pad if key == "input_ids" else 0
        batch[key] = torch.tensor([row[key] + [fill] * (longest - len(row[key])) for row in rows])
    batch["labels"] = torch.tensor(labels, dtype=torch.float32 if isinstance(labels[0], float) else torch.int64)
    return batch


class TrainBatches:
    """Training batches by epoch: i.i.d. shuffles from one seed, no batch dropped, the last one may be short."""

    def __init__(self, rows: Encoded, labels: Sequence[int | float], *, size: int, seed: int, pad: int) -> None:
        self.rows, self.labels, self.size, self.seed, self.pad = rows, labels, size, seed, pad

    def order(self, epoch: int) -> list[int]:
        """Positions of the training examples in the order of this epoch."""
        generator = torch.Generator().manual_seed((self.seed + epoch) % 2**63)
        return torch.randperm(len(self.rows), generator=generator).tolist()

    def __call__(self, epoch: int) -> list[dict[str, Tensor]]:
        order = self.order(epoch)
        parts = [order[at : at + self.size] for at in range(0, len(order), self.size)]
        return [collate([self.rows[i] for i in part], [self.labels[i] for i in part], self.pad) for part in parts]

    def fingerprint(self) -> str:
        """SHA-256 of the first epoch's first three batches, as token ids."""
        first = [self.rows[i]["input_ids"] for i in self.order(0)[: 3 * self.size]]
        return hashlib.sha256(repr(first).encode()).hexdigest()


def evaluation_batches(rows: Encoded, size: int, pad: int) -> list[tuple[list[int], dict[str, Tensor]]]:
    """Batches of similar length with the positions of their rows; order cannot matter in evaluation, padding costs."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]["input_ids"]))
    parts = [order[at : at + size] for at in range(0, len(order), size)]
    return [(part, collate([rows[i] for i in part], [0] * len(part), pad)) for part in parts]
