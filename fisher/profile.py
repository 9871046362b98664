"""One file's Fisher scores as curves and figures: what `fisher.report` tabulates and `fisher.plots` draws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from fisher.common.errors import require
from fisher.scores import layers_of, load_scores, site_scores

Values = TypeVar("Values", torch.Tensor, np.ndarray)
POINTS = 2000  # of a curve of sorted parameters
ROWS = 8  # of the tables of top and bottom layers


@dataclass(frozen=True)
class Profile:
    """One file's scores as curves and figures; what is large has been thinned out."""

    label: str
    metadata: Mapping[str, Any]
    parameters: int
    curve: torch.Tensor  # (points,) parameter scores from the highest to the lowest, at even ranks
    share_above: float  # of parameters whose normalised score reaches the threshold
    layers: dict[str, float]  # in the model's order


def profile(path: Path | str, *, threshold: float) -> Profile:
    """Read a file.

    Raises:
        InputError: the file holds no diagonal; see `load_scores` for the rest.
    """
    scores = load_scores(path)
    require(
        any(value.ndim for value in scores.values.values()),
        f"{path} must hold a diagonal to report parameters, but it holds tensor scores only",
    )
    flat = torch.cat([value.flatten().float() for value in scores.values.values()])
    above = float((normalised(flat) >= threshold).double().mean())
    flat = flat.sort(descending=True).values
    tensor_scores = scores.tensor_scores()
    return Profile(
        label=Path(path).stem,
        metadata=scores.metadata,
        parameters=len(flat),
        curve=flat[torch.linspace(0, len(flat) - 1, min(POINTS, len(flat)), dtype=torch.float64).long()],
        share_above=above,
        layers=site_scores(tensor_scores, layers_of(tensor_scores)),
    )


def normalised(values: Values) -> Values:
    """(x - min) / (max - min), of a tensor or an array; all zero when the values are equal."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else values - low


def layers_for_half(layers: Mapping[str, float]) -> int:
    """The least number of layers that hold half of the sum of layer scores."""
    ranked = torch.tensor(sorted(layers.values(), reverse=True), dtype=torch.float64).cumsum(0)
    return int((ranked < ranked[-1] / 2).sum()) + 1


def markdown(profiles: Sequence[Profile], *, threshold: float) -> str:
    """Return the tables of `fisher report`: one line per file, then each file's top and bottom layers."""
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
