"""Random generators by purpose: what is drawn depends on the words that name it, never on what was drawn before."""

import hashlib

import torch


def generator(*parts: object) -> torch.Generator:
    """A CPU generator seeded with SHA-256 of the parts joined by "/" (first 8 bytes, top bit cleared)."""
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
