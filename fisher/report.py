"""What Fisher scores look like: figures 3, 5 and A.1 to A.3 of [Sharma et al. 2024] for one or several score files.

    python -m fisher.report F.safetensors ... --output FOLDER [--format png|svg] [--threshold 0.01]

Writes `report.md` (share of parameters above the threshold, how few layers hold the score, top and bottom layers),
`parameters` (sorted parameter scores), `layers-sorted` and `layers` (layer scores, sorted and in the model's order),
each raw and normalised: (F - min) / (max - min). Layers are those of `fisher.scores.layers_of`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from fisher.common.command import carry_out
from fisher.common.errors import InputError
from fisher.common.files import write_atomically
from fisher.profile import Profile, layers_for_half, profile
from fisher.report_plot import plot_report

ROWS = 8  # of the tables of top and bottom layers


def markdown(profiles: Sequence[Profile], *, threshold: float) -> str:
    lines = [
        "# Fisher scores",
        "",
        f"| scores | model | objective | kind | samples | parameters | normalised score >= {threshold:g} | layers "
        "| layers that hold half of the score |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in profiles:
        said = [str(one.metadata[name]) for name in ("model", "objective", "kind", "samples")]
        lines.append(
            f"| {one.label} | {' | '.join(said)} | {one.parameters:,} | {100 * one.share_above:.4g} % "
            f"| {len(one.layers)} | {layers_for_half(one.layers)} |"
        )
    for one in profiles:
        lines += ["", f"## {one.label}", "", "| rank | layer | score |", "|---|---|---|"]
        ranked = sorted(one.layers.items(), key=lambda item: -item[1])
        for rank, (layer, score) in enumerate(ranked, start=1):
            if rank <= ROWS or rank > len(ranked) - ROWS:
                lines.append(f"| {rank} | {layer} | {score:.3e} |")
    return "\n".join(lines) + "\n"


def run(args: argparse.Namespace) -> None:
    if not 0 < args.threshold <= 1:
        raise InputError(f"threshold must be in (0, 1], got {args.threshold}")
    profiles = [profile(path, threshold=args.threshold) for path in args.files]
    text = markdown(profiles, threshold=args.threshold)
    write_atomically(args.output / "report.md", text.encode())
    plot_report(profiles, args.output, args.format)
    print(text)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m fisher.report", description="Tables and plots of Fisher scores.")
    made.add_argument("files", nargs="+", type=Path, help="files of python -m fisher.estimate")
    made.add_argument("--output", required=True, type=Path, help="folder")
    made.add_argument("--format", choices=("png", "svg"), default="png", help="of the plots")
    made.add_argument("--threshold", type=float, default=0.01, help="of the normalised score")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    return carry_out(parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
