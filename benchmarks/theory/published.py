"""Curves over p with their bands, and whether the directions published in [Lee20 §4] hold on them."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from benchmarks.theory.retention import METHODS, Run

MEASURES = ("deviation", "target", "source")
PUBLISHED_P = 0.3  # the largest p that the published statements name
PUBLISHED_GAP = {0.1: 0.041, 0.2: 0.074, 0.3: 0.105}  # by how much dropout's source accuracy drops more than mixout's
PUBLISHED_FLAT = 0.723  # mixout's source accuracy at every p
FLAT = 0.01  # accuracy; what "about the same for all p" means here


@dataclass(frozen=True)
class Curve:
    """Means over restarts and half-widths of their 95 % intervals (Student's t; None for one restart), by rising p."""

    p: tuple[float, ...]
    mean: tuple[float, ...]
    half: tuple[float | None, ...]


@dataclass(frozen=True)
class Direction:
    """A published direction, the means that decide it, and the p (or steps between p) at which it does not hold.

    `scale` is `distance` or `accuracy`. A breach (a, b) means: not from p = a to p = b; of a single p, a equals b.
    """

    statement: str
    published: str
    scale: str
    p: tuple[float, ...]
    values: tuple[float, ...]
    breaches: tuple[tuple[float, float], ...]

    @property
    def holds(self) -> bool:
        """Whether it holds at every p measured."""
        return not self.breaches

    @property
    def holds_where_published(self) -> bool | None:
        """Whether it holds up to p = 0.3; None where fewer than two such p were measured."""
        if sum(p <= PUBLISHED_P for p in self.p) < 2:
            return None
        return all(end > PUBLISHED_P for _, end in self.breaches)


def curves(runs: Sequence[Run]) -> dict[tuple[str, str], Curve]:
    """Curves by (method, measure); measures are `deviation`, `target` and `source`."""
    ps, found = sorted({run.p for run in runs}), {}
    for method, measure in itertools.product(METHODS, MEASURES):
        samples = [[getattr(run, measure) for run in runs if (run.method, run.p) == (method, p)] for p in ps]
        means = tuple(float(np.mean(sample)) for sample in samples)
        found[method, measure] = Curve(tuple(ps), means, tuple(map(half_width, samples)))
    return found


def half_width(sample: Sequence[float]) -> float | None:
    """Half of the 95 % interval of the mean, t_{0.975, n-1} s / sqrt(n); None for a single value."""
    count = len(sample)
    return float(t.ppf(0.975, count - 1) * np.std(sample, ddof=1) / math.sqrt(count)) if count > 1 else None


def directions(by: dict[tuple[str, str], Curve]) -> list[Direction]:
    """The published directions, judged on the means over restarts at every p that was measured."""
    kept, lost = by["mixout", "source"], by["dropout", "source"]
    gap = tuple(a - b for a, b in zip(kept.mean, lost.mean, strict=True))
    gaps = ", ".join(f"{100 * value:.1f} at p = {p:g}" for p, value in PUBLISHED_GAP.items())
    flat = tuple((p, p) for p, value in zip(kept.p, kept.mean, strict=True) if abs(value - kept.mean[0]) > FLAT)
    ahead = tuple((p, p) for p, value in zip(kept.p, gap, strict=True) if p > 0 and value <= 0)
    level, about = f"within {100 * FLAT:g} point of p = 0", f"about {100 * PUBLISHED_FLAT:.1f} at every p"
    more = "dropout drops more than mixout (mixout minus dropout)"
    return [
        _steady("mixout: the deviation falls with p", "falls", "distance", by["mixout", "deviation"], rising=False),
        _steady("dropout: the deviation grows with p", "grows", "distance", by["dropout", "deviation"], rising=True),
        Direction(f"mixout: source accuracy is flat ({level})", about, "accuracy", kept.p, kept.mean, flat),
        _steady("dropout: source accuracy drops with p", "drops", "accuracy", lost, rising=False),
        Direction(more, gaps, "accuracy", kept.p, gap, ahead),
    ]


def _steady(statement: str, published: str, scale: str, curve: Curve, *, rising: bool) -> Direction:
    """A curve that must rise, or fall, from each p to the next."""
    steps = zip(curve.p, curve.p[1:], curve.mean, curve.mean[1:], strict=False)
    wrong = tuple((a, b) for a, b, before, after in steps if not (after > before if rising else after < before))
    return Direction(statement, published, scale, curve.p, curve.mean, wrong)
