"""Surfaces as images: 3D and contours, all variants of a seed side by side on one scale, in a colour map that
colour-blind readers can follow."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

COLOURS = "cividis"
COLUMNS = 4


def plot_landscape(content: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write `surfaces-seedN.png` and `contours-seedN.png` for each seed of a `landscape.json`."""
    written = []
    for seed in dict.fromkeys(entry["seed"] for entry in content["surfaces"]):
        made = [entry for entry in content["surfaces"] if entry["seed"] == seed]
        for name, draw in (("surfaces", draw_surfaces), ("contours", draw_contours)):
            figure = draw(content["axis"], made)
            path = folder / f"{name}-seed{seed}.png"
            figure.savefig(path, dpi=70)
            plt.close(figure)
            written.append(path)
    return written


def draw_surfaces(axis: Sequence[float], made: Sequence[Mapping[str, Any]]) -> Figure:
    figure, places = panels(made, height=3.4, projection="3d")
    low, high = limits(made)
    first, second = np.meshgrid(axis, axis, indexing="ij")
    for place, entry in zip(places, made, strict=True):
        losses = np.clip(np.array(entry["losses"], dtype=float), low, high)
        place.plot_surface(first, second, losses, cmap=COLOURS, vmin=low, vmax=high, rcount=40, ccount=40)
        place.set(zlim=(low, high), xlabel="along d1", ylabel="along d2", zlabel="loss", title=title(entry))
        place.tick_params(labelsize=7)
        place.set_box_aspect(None, zoom=0.82)
    return figure


def draw_contours(axis: Sequence[float], made: Sequence[Mapping[str, Any]]) -> Figure:
    figure, places = panels(made, height=3.0)
    low, high = limits(made)
    levels = np.linspace(low, high, 13).tolist()
    for place, entry in zip(places, made, strict=True):
        losses = np.clip(np.array(entry["losses"], dtype=float), low, high).T
        filled = place.contourf(axis, axis, losses, levels=levels, cmap=COLOURS)
        place.contour(axis, axis, losses, levels=levels, colors="black", linewidths=0.4, alpha=0.6)
        place.plot(0, 0, "+", color="white", markersize=9)
        place.set(aspect="equal", xlabel="along d1", ylabel="along d2", title=title(entry))
    figure.colorbar(filled, ax=places, label="pretraining loss", shrink=0.9)
    return figure


def panels(made: Sequence[Any], *, height: float, projection: str | None = None) -> tuple[Figure, list[Any]]:
    columns = min(COLUMNS, len(made))
    rows = -(-len(made) // columns)
    figure = plt.figure(figsize=(3.4 * columns, height * rows), layout="constrained")
    return figure, [figure.add_subplot(rows, columns, k + 1, projection=projection) for k in range(len(made))]


def limits(made: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """One scale for all: from the least loss to the largest finite one."""
    values = np.array([entry["losses"] for entry in made], dtype=float)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    return low, max(high, low + 1e-9)


def title(entry: Mapping[str, Any]) -> str:
    return f"{entry['variant']}: sharpness {entry['sharpness']:.3g}\n{entry['moved_parameters']:,} parameters moved"
