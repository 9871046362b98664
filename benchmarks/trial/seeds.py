"""Seeds by purpose: one SHA-256 of a readable text decides every random draw of a trial."""

from fisher.seeds import seed_of


def derive(*parts: object) -> int:
    """A seed in [0, 2^63) for the purpose that `parts` spell out.

    The canonical text is the parts joined by "/" (`derive("split", "rte", 0)` hashes "split/rte/0"); the seed is
    `seed_of` it without the top bit, so that every generator takes it. The same in every process and on every machine.
    A strategy's name is never a part: strategies must stay paired.
    """
    return seed_of(*parts) & (2**63 - 1)
