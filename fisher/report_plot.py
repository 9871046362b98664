"""The plots of `fisher.report`: several models in one plot, distinguished by colour (Okabe-Ito), dash and marker."""

from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib
import torch

from fisher.profile import Profile, normalised

matplotlib.use("Agg")
from matplotlib import pyplot as plt

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P")

Draw = Callable[[Any, Profile, bool, dict[str, Any]], None]


def plot_report(profiles: Sequence[Profile], folder: Path, extension: str) -> list[Path]:
    """Write `parameters`, `layers-sorted` and `layers`, each with a raw and a normalised panel."""
    plots: tuple[tuple[str, Draw, str, str], ...] = (
        ("parameters", draw_parameters, "share of parameters, from the highest score", "score of a parameter"),
        ("layers-sorted", draw_sorted_layers, "rank of the layer, from the highest score", "score of a layer"),
        ("layers", draw_layers, "layer, in the model's order", "score of a layer"),
    )
    return [draw_plot(profiles, folder / f"{name}.{extension}", draw, across, up) for name, draw, across, up in plots]


def draw_plot(profiles: Sequence[Profile], path: Path, draw: Draw, across: str, up: str) -> Path:
    figure, places = plt.subplots(1, 2, figsize=(9.6, 3.6), layout="constrained")
    for place, normal in zip(places, (False, True), strict=True):
        styles = zip(cycle(COLOURS), cycle(DASHES), cycle(MARKERS), strict=False)
        for one, (colour, dash, marker) in zip(profiles, styles, strict=False):
            style = {"color": colour, "linestyle": dash, "marker": marker, "markersize": 3, "label": one.label}
            draw(place, one, normal, style)
        place.set(yscale="log", xlabel=across, ylabel=up, title="normalised" if normal else "raw")
        place.grid(alpha=0.3)
    places[0].legend(fontsize=8)
    figure.savefig(path, dpi=80)
    plt.close(figure)
    return path


def positive(values: torch.Tensor, normal: bool) -> list[float]:
    """Scores as asked for; what is not above 0 cannot stand on a log axis and leaves a gap."""
    shown = normalised(values) if normal else values
    return [value if value > 0 else float("nan") for value in shown.tolist()]


def draw_parameters(place: Any, one: Profile, normal: bool, style: dict[str, Any]) -> None:
    ranks = torch.linspace(0, 1, len(one.curve)).tolist()
    place.plot(ranks, positive(one.curve, normal), **{**style, "marker": ""})


def draw_sorted_layers(place: Any, one: Profile, normal: bool, style: dict[str, Any]) -> None:
    values = torch.tensor(sorted(one.layers.values(), reverse=True))
    place.plot(range(1, len(values) + 1), positive(values, normal), **style)


def draw_layers(place: Any, one: Profile, normal: bool, style: dict[str, Any]) -> None:
    values = torch.tensor(list(one.layers.values()))
    place.plot(range(1, len(values) + 1), positive(values, normal), **style)
