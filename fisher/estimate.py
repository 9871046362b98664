"""Estimate the Fisher diagonal of a pretrained model on a corpus, and keep it with all that identifies it.

examples:
  regbench fisher estimate --model M --corpus FILE.txt --samples 2000 --output F.safetensors
  regbench fisher estimate --model M --corpus wikimedia/wikipedia:20231101.simple --share 0.01 --output F.safetensors

One sample is one document of the corpus, cut to max_length tokens. The n samples are the first n documents of a
seeded permutation of the corpus that leave something to predict; the others are counted as skipped. An interrupted
estimate resumes where it was last saved when the same command is given again.

exit codes: 0 done; 2 the request was wrong; 130 interrupted
"""

import argparse
from pathlib import Path

from fisher.common.command import Command, number
from fisher.options import KINDS, OBJECTIVES, REDUCTIONS, SENTINELS, add_computing


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    asked = parser.add_argument_group("what to estimate")
    asked.add_argument("--model", required=True, metavar="HUB_ID|FOLDER", help="a checkpoint with safetensors weights")
    asked.add_argument(
        "--corpus", required=True, metavar="FILE|HUB_ID", help="text file, one document a line, or ID[:config[:split]]"
    )
    amount = asked.add_mutually_exclusive_group(required=True)
    amount.add_argument("--samples", type=int, metavar="N", help="number of documents")
    amount.add_argument("--share", type=float, metavar="F", help="share of the corpus, in (0, 1]")
    asked.add_argument("--objective", choices=OBJECTIVES, default="mlm", help="pretraining loss (default: mlm)")
    asked.add_argument(
        "--kind", choices=KINDS, default="empirical", help="labels: of the corpus (default), drawn, or expected"
    )
    asked.add_argument(
        "--reduction",
        choices=REDUCTIONS,
        default="mean",
        help="of a sample's loss over its predictions (default: mean)",
    )
    asked.add_argument(
        "--sentinels", choices=SENTINELS, default="spans", help="seq2seq: spans of T5 (default), or single tokens"
    )
    asked.add_argument(
        "--seed", type=number(0), default=0, metavar="N", help="of subsample, masks and drawn labels (default 0)"
    )
    asked.add_argument("--max-length", type=int, metavar="N", help="tokens of a sample (default 512, or the model's)")
    kept = parser.add_argument_group("what to keep")
    kept.add_argument("--output", required=True, type=Path, metavar="FILE", help="safetensors file to write")
    kept.add_argument("--means", action="store_true", help="each tensor's mean only: kilobytes, but no diagonal")
    how = parser.add_argument_group("how to compute")
    add_computing(how)


main = Command("regbench fisher estimate", __doc__, add_flags, "fisher.estimation.estimate", resumes=True)

if __name__ == "__main__":
    raise SystemExit(main())
