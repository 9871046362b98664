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
from collections.abc import Sequence
from pathlib import Path

from fisher.common.command import make_parser, run_command
from fisher.common.errors import InputError
from fisher.common.files import write_file


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = make_parser("regbench fisher report", __doc__)
    made.add_argument("files", nargs="+", type=Path, metavar="FILE", help="what `fisher estimate` wrote")
    made.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder of the report")
    made.add_argument("--format", choices=("png", "svg"), default="png", help="of the plots (default: png)")
    made.add_argument(
        "--threshold", type=float, default=0.01, metavar="X", help="of the normalised score (default 0.01)"
    )
    return made


def run(args: argparse.Namespace) -> None:
    """Read the files, write the report, print it."""
    from fisher.plots import plot_report
    from fisher.profile import markdown, profile

    if not 0 < args.threshold <= 1:
        raise InputError(f"threshold must be in (0, 1], got {args.threshold}")
    profiles = [profile(path, threshold=args.threshold) for path in args.files]
    text = markdown(profiles, threshold=args.threshold)
    write_file(args.output / "report.md", text.encode())
    plot_report(profiles, args.output, args.format)
    print(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return run_command(parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
