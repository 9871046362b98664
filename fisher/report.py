"""Show Fisher scores as tables and plots: figures 3, 5 and A.1 to A.3 of [Sharma et al. 2024].

examples:
  regbench fisher report F.safetensors --output FOLDER
  regbench fisher report A.safetensors B.safetensors --output FOLDER --format svg

Writes report.md (share of parameters above the threshold, how few layers hold the score, top and bottom layers),
parameters (sorted parameter scores), layers-sorted and layers (layer scores, sorted and in the model's order), each
raw and normalised: (F - min) / (max - min).

exit codes: 0 done; 2 the request was wrong; 130 interrupted
"""

import argparse
from pathlib import Path

from fisher.common.command import Command
from fisher.common.errors import require
from fisher.common.files import write_file


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="what `fisher estimate` wrote")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder of the report")
    parser.add_argument("--format", choices=("png", "svg"), default="png", help="of the plots (default: png)")
    parser.add_argument(
        "--threshold", type=float, default=0.01, metavar="X", help="of the normalised score (default 0.01)"
    )


def run(args: argparse.Namespace) -> None:
    """Read the files, write the report, print it."""
    from fisher.plots import plot_report
    from fisher.profile import markdown, profile

    require(0 < args.threshold <= 1, "threshold must be in (0, 1]", args.threshold)
    profiles = [profile(path, threshold=args.threshold) for path in args.files]
    text = markdown(profiles, threshold=args.threshold)
    write_file(args.output / "report.md", text.encode())
    plot_report(profiles, args.output, args.format)
    print(text)


main = Command("regbench fisher report", __doc__, add_flags, run)

if __name__ == "__main__":
    raise SystemExit(main())
