"""Random numbers by purpose: what is drawn depends on the words that name it, never on what was drawn before."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def seed_of(*parts: object) -> int:
    """The first 8 bytes, big endian, of SHA-256 of the parts joined by "/"."""
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big")


def derive(*parts: object) -> int:
    """A seed in [0, 2^63) for the purpose that `parts` spell out.

    The canonical text is the parts joined by "/" (`derive("split", "rte", 0)` hashes "split/rte/0"); the seed is
    `seed_of` it without the top bit, so that every generator takes it. The same in every process and on every machine.
    A strategy's name is never a part: strategies must stay paired.
    """
    return seed_of(*parts) & (2**63 - 1)


def generator(*parts: object) -> torch.Generator:
    """A CPU generator seeded with the upper 63 bits of `seed_of`."""
    import torch

    return torch.Generator().manual_seed(seed_of(*parts) >> 1)
