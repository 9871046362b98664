"""Figures of the theory report: matplotlib, the colour-blind-safe palette of Okabe and Ito, no global state."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.theory.least_squares import Line, Problem
from benchmarks.theory.published import Curve
from benchmarks.theory.theorem import CONVEXITY, Excess

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
DPI = 110
LOOK = {"mixout": (BLUE, "o", "mixout(w_pre, p)"), "dropout": (ORANGE, "s", "dropout(p)")}
PANELS = (
    ("deviation", r"$\|w_{ft} - w_{pre}\|^2$"),
    ("target", "target validation accuracy (%)"),
    ("source", "source validation accuracy (%)"),
)


def least_squares(problem: Problem, lines: Sequence[Line], path: Path) -> None:
    """Four panels: points, true line, target line, fitted line and the exact minimiser at each p."""
    columns = 2
    figure = Figure(figsize=(8, 3.1 * -(-len(lines) // columns)), layout="constrained")
    grid = figure.subplots(-(-len(lines) // columns), columns, sharex=True, sharey=True, squeeze=False)
    x = problem.inputs[:, 0].numpy()
    ends = [float(x.min()), float(x.max())]
    for axes, line in zip(grid.flat, lines, strict=True):
        axes.plot(x, problem.y.numpy(), ".", color="#BBBBBB", markersize=3, zorder=1)
        for (slope, intercept), look in (
            (problem.true.tolist(), {"color": GREEN, "label": "true"}),
            (problem.target.tolist(), {"color": ORANGE, "label": "target u", "linestyle": "--"}),
            (line.trained, {"color": BLUE, "label": "fitted with mixout(u, p)", "linewidth": 3, "alpha": 0.7}),
            (line.exact, {"color": "black", "label": "exact minimiser", "linestyle": ":"}),
        ):
            axes.plot(ends, [slope * at + intercept for at in ends], **look)
        axes.set_title(f"p = {line.p:g}")
    for axes in grid[-1]:
        axes.set_xlabel("x")
    for axes in grid[:, 0]:
        axes.set_ylabel("y")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    _save(figure, path)


def theorem(rows: Sequence[Excess], path: Path) -> None:
    """Left: 2 (E L(Phi) - L(w)) / ||w - u||^2 over p with m p / (1 - p); right: the same divided by it."""
    figure = Figure(figsize=(9.5, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    mixed = [(row.p, row) for row in rows if row.p is not None]
    ps = [p for p, _ in mixed]
    fine = [k / 200 for k in range(1, 184)]
    left.plot(fine, [_strength(p) for p in fine], color="black", label="m p / (1 - p), Corollary 1.1")
    right.axhline(1, color="black")
    for field, colour, marker, label in (
        ("quadratic", BLUE, "o", "quadratic loss, Hessian m I"),
        ("logistic", ORANGE, "^", "logistic loss + m/2 ||w||$^2$"),
    ):
        ratios = [getattr(row, field) / row.bound for _, row in mixed]
        look = {"marker": marker, "color": colour, "linestyle": "none", "fillstyle": "none", "label": label}
        left.plot(ps, [ratio * _strength(p) for ratio, p in zip(ratios, ps, strict=True)], **look)
        right.plot(ps, ratios, **look)
    left.set(yscale="log", ylabel=r"$2\,(E\,L(\Phi) - L(w))\; /\; \|w - u\|^2$")
    left.legend()
    right.set_ylabel("the same, divided by m p / (1 - p)")
    for axes in (left, right):
        axes.set_xlabel("p")
        axes.grid(alpha=0.3)
    _save(figure, path)


def _strength(p: float) -> float:
    return CONVEXITY * p / (1 - p)


def retention(by: dict[tuple[str, str], Curve], path: Path) -> None:
    """The three curves over p, one colour and marker per method, bands of 95 % intervals of the mean."""
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    panels = figure.subplots(1, len(PANELS))
    for axes, (measure, label) in zip(panels, PANELS, strict=True):
        scale = 1 if measure == "deviation" else 100
        for method, (colour, marker, name) in LOOK.items():
            curve = by[method, measure]
            mean = [scale * value for value in curve.mean]
            half = [scale * (value or 0.0) for value in curve.half]
            axes.plot(curve.p, mean, marker=marker, color=colour, label=name)
            axes.fill_between(
                curve.p, np.subtract(mean, half), np.add(mean, half), color=colour, alpha=0.2, linewidth=0
            )
        axes.set(xlabel="p", ylabel=label)
        axes.grid(alpha=0.3)
    panels[0].legend()
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=DPI, metadata={"Software": None})
