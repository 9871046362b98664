"""Images of scores and landscapes, in colours that colour-blind readers can follow (Okabe-Ito, cividis)."""

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from fisher.profile import Profile, normalised

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P")
SURFACE_COLOURS = "cividis"
COLUMNS = 4  # of the panels of a landscape

ScoresOf = Callable[[Profile], ArrayLike]


def plot_report(profiles: Sequence[Profile], folder: Path, extension: str) -> None:
    """Write `parameters`, `layers-sorted` and `layers`, each with a raw and a normalised panel, a line per file."""
    plots: tuple[tuple[str, ScoresOf, str, str], ...] = (
        (
            "parameters",
            lambda one: one.curve.numpy(),
            "share of parameters, from the highest score",
            "score of a parameter",
        ),
        ("layers-sorted", sorted_layers, "rank of the layer, from the highest score", "score of a layer"),
        ("layers", lambda one: list(one.layers.values()), "layer, in the model's order", "score of a layer"),
    )
    for name, scores_of, across, up in plots:
        figure = Figure(figsize=(9.6, 3.6), layout="constrained")
        raw, normal = figure.subplots(1, 2)
        for axes, title in ((raw, "raw"), (normal, "normalised")):
            draw_lines(axes, profiles, scores_of, normal=axes is normal, marked=name != "parameters")
            axes.set(yscale="log", xlabel=across, ylabel=up, title=title)
            axes.grid(alpha=0.3)
        raw.legend(fontsize=8)
        figure.savefig(folder / f"{name}.{extension}", dpi=80)


def sorted_layers(one: Profile) -> Sequence[float]:
    """Layer scores from the highest to the lowest."""
    return sorted(one.layers.values(), reverse=True)


def draw_lines(axes: Axes, profiles: Sequence[Profile], scores_of: ScoresOf, *, normal: bool, marked: bool) -> None:
    """One line per file, told from the others by colour, dash and marker; a score of 0 leaves a gap on the log axis."""
    styles = zip(profiles, cycle(COLOURS), cycle(DASHES), cycle(MARKERS), strict=False)
    for one, colour, dash, marker in styles:
        scores = np.asarray(scores_of(one), dtype=np.float32)
        across = np.arange(1, len(scores) + 1) if marked else np.linspace(0, 1, len(scores))
        scores = normalised(scores) if normal else scores
        look: dict[str, Any] = {"color": colour, "linestyle": dash, "marker": marker if marked else "", "markersize": 3}
        axes.plot(across, np.where(scores > 0, scores, np.nan), label=one.label, **look)


def plot_landscape(content: Mapping[str, Any], folder: Path) -> None:
    """Write `surfaces-seedN.png` and `contours-seedN.png` for each seed of a `landscape.json`."""
    for seed in dict.fromkeys(entry["seed"] for entry in content["surfaces"]):
        made = [entry for entry in content["surfaces"] if entry["seed"] == seed]
        for name, draw in (("surfaces", draw_surfaces), ("contours", draw_contours)):
            draw(content["axis"], made).savefig(folder / f"{name}-seed{seed}.png", dpi=70)


def draw_surfaces(axis: Sequence[float], made: Sequence[Mapping[str, Any]]) -> Figure:
    """In 3D, all variants of a seed on one scale."""
    figure, panels = panels_of(made, height=3.4, projection="3d")
    low, high = limits(made)
    first, second = np.meshgrid(axis, axis, indexing="ij")
    for axes, entry in zip(panels, made, strict=True):
        losses = np.clip(np.array(entry["losses"], dtype=float), low, high)
        axes.plot_surface(first, second, losses, cmap=SURFACE_COLOURS, vmin=low, vmax=high, rcount=40, ccount=40)
        axes.set(zlim=(low, high), xlabel="along d1", ylabel="along d2", zlabel="loss", title=title(entry))
        axes.tick_params(labelsize=7)
        axes.set_box_aspect(None, zoom=0.82)
    return figure


def draw_contours(axis: Sequence[float], made: Sequence[Mapping[str, Any]]) -> Figure:
    """As contours, all variants of a seed on one scale."""
    figure, panels = panels_of(made, height=3.0)
    low, high = limits(made)
    levels = np.linspace(low, high, 13).tolist()
    for axes, entry in zip(panels, made, strict=True):
        losses = np.clip(np.array(entry["losses"], dtype=float), low, high).T
        filled = axes.contourf(axis, axis, losses, levels=levels, cmap=SURFACE_COLOURS)
        axes.contour(axis, axis, losses, levels=levels, colors="black", linewidths=0.4, alpha=0.6)
        axes.plot(0, 0, "+", color="white", markersize=9)
        axes.set(aspect="equal", xlabel="along d1", ylabel="along d2", title=title(entry))
    figure.colorbar(filled, ax=panels, label="pretraining loss", shrink=0.9)
    return figure


def panels_of(made: Sequence[Any], *, height: float, projection: str | None = None) -> tuple[Figure, list[Any]]:
    columns = min(COLUMNS, len(made))
    rows = -(-len(made) // columns)
    figure = Figure(figsize=(3.4 * columns, height * rows), layout="constrained")
    return figure, [figure.add_subplot(rows, columns, k + 1, projection=projection) for k in range(len(made))]


def limits(made: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """One scale for all: from the least loss to the largest finite one."""
    values = np.array([entry["losses"] for entry in made], dtype=float)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    return low, max(high, low + 1e-9)


def title(entry: Mapping[str, Any]) -> str:
    return f"{entry['variant']}: sharpness {entry['sharpness']:.3g}\n{entry['moved_parameters']:,} parameters moved"
