"""Compute loss landscapes of a pretrained model: which tensors, moved at random, raise the pretraining loss most.

examples:
  regbench fisher landscape --model M --scores F.safetensors --corpus FILE --samples 64 --output FOLDER --plot
  regbench fisher landscape ... --variants all top:50 bottom:50 random:50 --seeds 0 1 2

Figures 1 and 2 of [Sharma et al. 2024], after Li et al. 2018. All variants of one seed share the two directions. The
output folder holds points.jsonl (one line for each point, added as it is computed: the same command resumes),
landscape.json (surfaces and figures), landscape.md and, with --plot, two images per seed. Sharpness is the mean rise
of the loss over the grid, mean_ab L(a, b) - L(0, 0).

exit codes: 0 done; 2 the request was wrong; 130 interrupted
"""

import argparse
from pathlib import Path

from fisher.common.command import Command, number
from fisher.options import AMONG, NORMALISATIONS, VARIANTS


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    asked = parser.add_argument_group("what to compute")
    asked.add_argument("--model", required=True, metavar="HUB_ID|FOLDER", help="a checkpoint")
    asked.add_argument(
        "--scores", required=True, type=Path, metavar="FILE", help="what `fisher estimate` wrote of the same weights"
    )
    asked.add_argument("--corpus", required=True, metavar="FILE|HUB_ID", help="as for `fisher estimate`")
    asked.add_argument("--samples", required=True, type=int, metavar="N", help="documents that the loss is taken on")
    asked.add_argument("--sample-seed", type=int, default=0, metavar="N", help="of the documents and masks (default 0)")
    asked.add_argument("--max-length", type=int, metavar="N", help="tokens of a document (default: that of the scores)")
    asked.add_argument(
        "--variants",
        nargs="+",
        default=VARIANTS,
        metavar="V",
        help="which tensors move: all, top:N, bottom:N, random:N (per cent, by score)",
    )
    asked.add_argument(
        "--seeds", nargs="+", type=int, default=[0], metavar="N", help="of the two directions (default 0)"
    )
    asked.add_argument(
        "--among", choices=AMONG, default="all", help="rank all tensors (default), or only those that can move"
    )
    asked.add_argument(
        "--normalise", choices=NORMALISATIONS, default="row", help="directions by rows (default) or tensors"
    )
    asked.add_argument(
        "--grid", type=number(2), default=16, metavar="N", help="points along each direction (default 16)"
    )
    asked.add_argument("--extent", type=float, default=1.5, metavar="X", help="the grid spans [-X, X] (default 1.5)")
    kept = parser.add_argument_group("what to keep, and how to compute")
    kept.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder of the results")
    kept.add_argument("--plot", action="store_true", help="3D surfaces and contours as PNG")
    kept.add_argument("--workers", type=number(1), default=1, metavar="N", help="processes (default 1)")


main = Command("regbench fisher landscape", __doc__, add_flags, "fisher.surfaces.landscape", resumes=True)

if __name__ == "__main__":
    raise SystemExit(main())
