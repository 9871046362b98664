"""Seeds by purpose: one SHA-256 of a readable text decides every random draw of a trial."""

import hashlib


def derive(*parts: object) -> int:
    """A seed in [0, 2^63) for the purpose that `parts` spell out.

    The canonical text is the parts joined by "/" (`derive("split", "rte", 0)` hashes "split/rte/0"); the seed is the
    first 8 bytes of its SHA-256, big endian, top bit cleared so that every generator takes it. The same in every
    process and on every machine. A strategy's name is never a part: strategies must stay paired.
    """
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") & (2**63 - 1)
