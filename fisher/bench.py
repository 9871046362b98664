"""Measure how fast, and in how much memory, a Fisher estimate runs: against the loop over single samples.

examples:
  regbench fisher bench
  regbench fisher bench --size base --length 512 --samples 8 --rounds 5 --output F.json

A BERT with random weights and random tokens, 15 % of them predicted. The loop is the plain one: the model's own loss
with its labels, `backward`, the squares of `.grad` added up, one sample after the other. The bound is one backward
pass over the same batches with the same loss, nothing squared: no estimate from gradients can be faster. All take the
same samples in turn, round by round, on one thread; times are CPU seconds, so other work on the machine hardly
disturbs them. The check that an estimate makes of two samples, once, is not in them; here the results are compared in
the end. Peak memory is what the batched way, that check included, adds to the process after its imports, the model
included.

exit codes: 0 measured; 2 the request was wrong; 130 interrupted
"""

import argparse
from pathlib import Path

from fisher.common.command import Command, number
from fisher.options import BATCH_TOKENS, SIZES


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("--size", choices=SIZES, default="small", help="of the BERT (default: small)")
    parser.add_argument(
        "--length", type=number(4, 512), default=512, metavar="N", help="tokens of a sample (default 512)"
    )
    parser.add_argument(
        "--samples", type=number(2), default=8, metavar="N", help="samples that every way takes (default 8)"
    )
    parser.add_argument("--rounds", type=number(0), default=5, metavar="N", help="default 5; 0: peak memory only")
    parser.add_argument(
        "--batch-tokens",
        type=number(1),
        default=BATCH_TOKENS,
        metavar="N",
        help="padded tokens of a batch (default %(default)s)",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the figures as JSON")


main = Command("regbench fisher bench", __doc__, add_flags, "fisher.estimation.bench")

if __name__ == "__main__":
    raise SystemExit(main())
