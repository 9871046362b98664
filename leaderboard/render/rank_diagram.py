"""The critical-difference diagram (Demsar 2006): mean ranks on a line, bars over those that do not differ.

What a bar joins was tested in `tables.ranking`: paired sign flips over all cells where there are enough restarts,
else Nemenyi's test of the ranks, whose critical difference is drawn as a ruler in either case.
"""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from leaderboard.render.look import Theme, named, titled
from leaderboard.render.text import fixed
from leaderboard.render.wording import reading
from leaderboard.tables.ranking import RankedStrategy, Ranking

STEP, BAR = 0.62, 0.34  # heights in rows: between two names, between two bars


def rank_diagram(title: str, ranking: Ranking, theme: Theme) -> Figure:
    """Draw a ranking of at least two strategies; the best rank stands on the left."""
    entries = ranking.strategies
    left = entries[: -(-len(entries) // 2)]
    depth = BAR * (len(ranking.groups) + 1) + STEP * len(left)
    figure = Figure(figsize=(10.5, 1.5 + 0.42 * (depth + 1.6)), layout="constrained")
    axes = figure.subplots()
    low, high = min(1.0, entries[0].mean_rank), max(float(len(entries)), entries[-1].mean_rank)
    axes.set(xlim=(low - 0.04 * (high - low), high + 0.04 * (high - low)), ylim=(depth + 0.2, -1.4))
    axes.set_axis_off()
    _axis(axes, low, high, theme)
    _ruler(axes, ranking, low, high, theme)
    for row, group in enumerate(ranking.groups):
        _bar(axes, [entry.mean_rank for entry in entries if entry.strategy in group], BAR * (row + 1), theme)
    start = BAR * (len(ranking.groups) + 1)
    for side, some in (("left", left), ("right", entries[len(left) :][::-1])):
        for row, entry in enumerate(some):
            _name(axes, entry, start + STEP * (row + 0.5), low if side == "left" else high, side, theme)
    figure.suptitle(f"{titled(title)}\nmean rank over task and share of the data, 1 = best")
    figure.supxlabel(reading(ranking), fontsize="medium")
    return figure


def _axis(axes: Axes, low: float, high: float, theme: Theme) -> None:
    axes.plot([low, high], [0, 0], color=theme.ink, linewidth=1.2)
    step = max(1, math.ceil((high - low) / 12))
    for rank in range(math.ceil(low), math.floor(high) + 1, step):
        axes.plot([rank, rank], [0, -0.14], color=theme.ink, linewidth=1.0)
        axes.annotate(str(rank), (rank, -0.2), ha="center", va="bottom")


def _ruler(axes: Axes, ranking: Ranking, low: float, high: float, theme: Theme) -> None:
    """Draw Nemenyi's critical difference to scale, where it fits the axis."""
    length = ranking.critical_difference
    tasks = f"{ranking.tasks} task{'s' if ranking.tasks > 1 else ''}"
    text = f"critical difference of ranks alone (Nemenyi, {tasks}): {fixed(length, 2)}"
    fits = length <= high - low
    if fits:
        axes.plot([low, low + length], [-1.0, -1.0], color=theme.ink, linewidth=1.2, marker="|", markersize=6)
    axes.annotate(text + ("" if fits else ", longer than the axis"), (low, -1.12), ha="left", va="bottom")


def _bar(axes: Axes, ranks: Sequence[float], height: float, theme: Theme) -> None:
    pen: dict[str, Any] = {"color": theme.colours[0], "marker": "o", "markersize": 4.5, "solid_capstyle": "round"}
    axes.plot(ranks, [height] * len(ranks), linewidth=3.2, **pen)


def _name(axes: Axes, entry: RankedStrategy, height: float, edge: float, side: str, theme: Theme) -> None:
    axes.plot([entry.mean_rank] * 2 + [edge], [0, height, height], color=theme.ink, linewidth=0.8, zorder=1)
    axes.plot([entry.mean_rank], [0], color=theme.ink, marker="o", markersize=4)
    rank, gap = fixed(entry.mean_rank, 2), (-5 if side == "left" else 5, 0)
    text = f"{named(entry.strategy)}  {rank}" if side == "left" else f"{rank}  {named(entry.strategy)}"
    where: dict[str, Any] = {"textcoords": "offset points", "ha": "right" if side == "left" else "left", "va": "center"}
    axes.annotate(text, (edge, height), gap, **where)
