"""How soon the ranking of scores settles: rank correlations against the share of the samples that was used.

Scores are means over samples, so those of the samples *not* in the first k follow from the first k and from all n:

    rest_k = (n * all - k * first_k) / (n - k)

The correlation with all n flatters the first k, which are part of them; the one with the rest is free of that.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from fisher.scores import layers_of, site_scores

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


def stops(samples: int) -> list[int]:
    """The numbers of samples after which scores are noted: the shares of n, rounded up, and n itself."""
    return sorted({-int(-share * samples // 1) for share in SHARES} | {samples})


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Rank correlation with average ranks for ties; NaN when one of the two is constant."""
    ranks = [rankdata(values) - (len(values) + 1) / 2 for values in (first, second)]
    size = float(np.linalg.norm(ranks[0]) * np.linalg.norm(ranks[1]))
    return float(ranks[0] @ ranks[1]) / size if size else math.nan


def convergence(noted: Mapping[int, Mapping[str, float]]) -> list[dict[str, Any]]:
    """Rows of the report from {number of samples: tensor scores}, the largest number being all samples.

    Each row: samples, share, and Spearman correlations of tensor and of layer scores with those of all samples
    (`tensors`, `layers`) and with those of the samples not used (`tensors_rest`, `layers_rest`).
    """
    total = max(noted)
    rows = []
    for used in sorted(noted):
        row: dict[str, Any] = {"samples": used, "share": used / total}
        for suffix, reference in (("", noted[total]), ("_rest", rest_scores(noted, used, total))):
            row["tensors" + suffix] = correlation(noted[used], reference) if reference else None
            row["layers" + suffix] = correlation(by_layer(noted[used]), by_layer(reference)) if reference else None
        rows.append(row)
    return rows


def rest_scores(noted: Mapping[int, Mapping[str, float]], used: int, total: int) -> dict[str, float]:
    if used == total:
        return {}
    first, everything = noted[used], noted[total]
    return {name: (total * everything[name] - used * first[name]) / (total - used) for name in everything}


def by_layer(scores: Mapping[str, float]) -> dict[str, float]:
    return site_scores(scores, layers_of(scores)) if scores else {}


def correlation(first: Mapping[str, float], second: Mapping[str, float]) -> float | None:
    value = spearman([first[name] for name in second], [second[name] for name in second])
    return None if value != value else value


def convergence_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The report as a Markdown table."""
    lines = [
        "| samples | share | tensors, with all | layers, with all | tensors, with the rest | layers, with the rest |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [row[name] for name in ("tensors", "layers", "tensors_rest", "layers_rest")]
        figures = " | ".join("-" if value is None else f"{value:.3f}" for value in cells)
        lines.append(f"| {row['samples']} | {row['share']:.3f} | {figures} |")
    return lines
