"""Figures of a section as pure functions of its cells: the same cells and look give the same figure, byte for byte.

Markers and dashes repeat what colour says. Scores are shown x 100, and the number of failed runs is written in.
"""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from leaderboard.render.look import WRAP, Theme, named, plain, titled
from leaderboard.render.text import fixed, percent
from leaderboard.render.wording import reading
from leaderboard.tables.cells import Cell
from leaderboard.tables.names import task_title
from leaderboard.tables.ranking import Ranking
from leaderboard.tables.rows import Row
from leaderboard.tables.trials import TrialRow

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
DASHES = ("-", "--", "-.", ":", "-", "--", "-.", ":")
MOST = len(MARKERS)  # strategies that one plot can show distinguishably
GOLDEN = (math.sqrt(5) - 1) / 2
SPREAD, ABOVE, BELOW = 0.42, 0.14, 0.26  # rows: height of a strip of dots, its centre over the row's, mean below it
BAND = 0.09  # share of a panel's height that is kept free for the numbers of failed runs
DECADES = 30  # from this ratio of the largest to the smallest distance on the axis is logarithmic
DODGE = 1.025  # shares of two neighbouring strategies are drawn this factor apart, so that their intervals can be told
DISTANCE = r"$\|w - w_{pre}\|^2$"


def _rows(cell: Cell, strategies: Sequence[str]) -> list[tuple[int, Row]]:
    """(number of the strategy, row) of every one that has a result."""
    return [(at, row) for at, name in enumerate(strategies) if (row := cell.row(name)) and row.restarts]


# --- strips -----------------------------------------------------------------------------------------------------------


def strips(title: str, cells: Sequence[Cell], strategies: Sequence[str], theme: Theme, value: str = "score") -> Figure:
    """Every restart of every strategy as a dot, with mean and standard deviation: a panel per task, a row per strategy.

    value: `score`, with the failed runs marked and counted [Lee20, Figures 3, 4, 6], or `deviation`, the squared
    distance from w_pre.
    """
    width, height = 2.4 + 2.6 * len(cells), 1.4 + 0.36 * len(strategies)
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(1, len(cells), sharey=True, squeeze=False)[0]
    for axes, cell in zip(panels, cells, strict=True):
        axes.set_title(named(task_title(cell.task)))
        axes.set_xlabel(f"{plain(cell.metric)} x 100" if value == "score" else DISTANCE)
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
        rows = _rows(cell, strategies)
        _dots(axes, rows, theme, value)
        _spreads(axes, rows, theme, value)
        if value == "score":
            _failures(axes, rows, theme)
            _floor(axes, cell, theme)
        else:
            _logarithmic(axes, cell)
    panels[0].set_yticks(range(len(strategies)), [named(name) for name in strategies])
    panels[0].set_ylim(len(strategies) - 0.4, -0.6)
    figure.suptitle(f"{titled(title)}, {cells[0].amount} of the training data")
    _key(figure, theme, value)
    return figure


def _dots(axes: Axes, rows: Sequence[tuple[int, Row]], theme: Theme, value: str) -> None:
    """Every restart; one scatter for all rows of a panel, because many small ones take long to draw."""
    scale = 100 if value == "score" else 1
    for failed, colour, marker in ((False, theme.colours[0], "o"), (True, theme.colours[1], "x")):
        some = [(at, trial) for at, row in rows for trial in _shown(row, value) if trial.failed == failed]
        heights = [at - ABOVE + SPREAD * (trial.restart * GOLDEN % 1 - 0.5) for at, trial in some]
        axes.scatter(
            [scale * getattr(trial, value) for _, trial in some],
            heights,
            alpha=0.8,
            color=colour,
            marker=marker,
            s=16,
            linewidths=1.0,
            zorder=2,
        )


def _spreads(axes: Axes, rows: Sequence[tuple[int, Row]], theme: Theme, value: str) -> None:
    """Mean and standard deviation of every row."""
    scale = 100 if value == "score" else 1
    known = {at: [getattr(trial, value) for trial in _shown(row, value)] for at, row in rows}
    samples = {at: scale * np.array(values) for at, values in known.items() if values}
    spreads = [values.std(ddof=1) if len(values) > 1 else 0.0 for values in samples.values()]
    means, heights = [values.mean() for values in samples.values()], [at + BELOW for at in samples]
    axes.errorbar(
        means,
        heights,
        xerr=spreads,
        elinewidth=1.2,
        zorder=3,
        color=theme.ink,
        marker="|",
        markersize=7,
        capsize=2,
        linestyle="",
    )


def _failures(axes: Axes, rows: Sequence[tuple[int, Row]], theme: Theme) -> None:
    """Failed runs of all, right of the panel."""
    for at, row in rows:
        if row.failed:
            axes.annotate(
                f"{row.failed}/{row.restarts}",
                (1.01, at),
                color=theme.colours[1],
                xycoords=("axes fraction", "data"),
                ha="left",
                va="center",
            )


def _shown(row: Row, value: str) -> list[TrialRow]:
    return [trial for trial in row.trials if not math.isnan(trial.score) and not math.isnan(getattr(trial, value))]


def _logarithmic(axes: Axes, cell: Cell) -> None:
    """A logarithmic axis where distances differ by more than one tick could show."""
    values = [trial.deviation for row in cell.rows for trial in row.trials if trial.deviation > 0]
    if values and max(values) > DECADES * min(values):
        axes.set_xscale("log")


def _floor(axes: Axes, cell: Cell, theme: Theme) -> None:
    """The best constant prediction of the dev set; pooled dev sets differ by restart and have no single one."""
    floors = {trial.floor for row in cell.rows for trial in row.trials if not math.isnan(trial.floor)}
    if len(floors) == 1:
        axes.axvline(100 * floors.pop(), color=theme.ink, linestyle=":", linewidth=1, zorder=1)


def _key(figure: Figure, theme: Theme, value: str) -> None:
    line = matplotlib.lines.Line2D
    known = {
        "a restart": line([], [], color=theme.colours[0], marker="o", linestyle="", markersize=5),
        "a failed run": line([], [], color=theme.colours[1], marker="x", linestyle="", markersize=5),
        "mean and standard deviation": line([], [], color=theme.ink, marker="|", markersize=7),
    }
    if value == "score":
        known |= {
            "failed runs of all": line([], [], color=theme.colours[1], marker="$2/3$", linestyle="", markersize=14),
            "best constant prediction": line([], [], color=theme.ink, linestyle=":"),
        }
    figure.legend(list(known.values()), list(known), loc="outside lower center", ncols=3, frameon=False)


# --- over the share of the training data ------------------------------------------------------------------------------


def boxes(title: str, by_task: Sequence[Sequence[Cell]], strategies: Sequence[str], theme: Theme) -> Figure:
    """Box plots over falling shares of the training data, a panel per task [Sharma24, Figure 4]; failed runs below."""
    columns = min(2, len(by_task))
    lines = -(-len(by_task) // columns)
    figure = Figure(figsize=(5.4 * columns, 2.9 * lines + 0.5), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).flat
    for axes, cells in zip(panels, by_task, strict=False):
        _boxes(axes, cells, strategies, theme)
        axes.grid(axis="y")
        axes.set_title(named(task_title(cells[0].task)))
    for axes in list(panels):
        axes.set_axis_off()
    figure.suptitle(f"{titled(title)}; numbers: failed runs")
    _legend(figure, strategies, theme, line=False)
    return figure


def _boxes(axes: Axes, cells: Sequence[Cell], strategies: Sequence[str], theme: Theme) -> None:
    for panel, cell in enumerate(cells):
        for index, row in _rows(cell, strategies):
            _box(axes, row, panel, index, len(strategies), theme)
    axes.set_xticks(range(len(cells)), [cell.amount for cell in cells])
    axes.set_ylabel(f"{plain(cells[0].metric)} x 100")
    low, high = axes.get_ylim()
    axes.set_ylim(low - BAND * (high - low), high)


def _box(axes: Axes, row: Row, panel: int, index: int, count: int, theme: Theme) -> None:
    step, colour = 0.8 / count, theme.colours[index]
    at = panel + step * (index - (count - 1) / 2)
    values = 100 * row.scores[~np.isnan(row.scores)]
    pen: dict[str, Any] = {"color": colour, "linewidth": 1.1}
    axes.boxplot(
        [values],
        positions=[at],
        widths=[0.8 * step],
        manage_ticks=False,
        showfliers=False,
        boxprops=pen,
        whiskerprops=pen,
        capprops=pen,
        medianprops={"color": colour, "linewidth": 2.2},
    )
    axes.plot([at] * len(values), values, linestyle="", marker=MARKERS[index], color=colour, markersize=2.6, alpha=0.7)
    if row.failed:
        axes.annotate(
            str(row.failed),
            (at, 0.0),
            color=theme.ink,
            xycoords=("data", "axes fraction"),
            ha="center",
            va="bottom",
            fontsize=6.5,
        )


def curves(title: str, by_task: Sequence[Sequence[Cell]], strategies: Sequence[str], theme: Theme) -> Figure:
    """Mean score with its 95 % interval, and below it the failure rate, over the share of the training data.

    Points of one share stand a little apart.
    """
    figure = Figure(figsize=(3.1 * len(by_task) + 0.4, 5.2), layout="constrained")
    panels = figure.subplots(2, len(by_task), sharex="col", sharey="row" if len(by_task) == 1 else False, squeeze=False)
    for column, cells in enumerate(by_task):
        top, bottom = panels[0][column], panels[1][column]
        for index, strategy in enumerate(strategies):
            rows = [(cell.fraction, row) for cell in cells for _, row in _rows(cell, [strategy])]
            look: dict[str, Any] = {
                "color": theme.colours[index],
                "marker": MARKERS[index],
                "linestyle": DASHES[index],
                "markersize": 4,
            }
            aside = DODGE ** ((len(strategies) - 1) / 2 - index)
            _curve(top, [(x * aside, row.mean, row.mean_low, row.mean_high) for x, row in rows], look)
            _curve(bottom, [(x * aside, row.failure_rate, math.nan, math.nan) for x, row in rows], look)
        top.set_title(named(task_title(cells[0].task)))
        top.set_ylabel(f"mean {plain(cells[0].metric)} x 100")
        bottom.set(xlabel="share of the training data", ylabel="failed runs, %", ylim=(-4, 104))
        bottom.set_xscale("log")
        bottom.set_xticks([100 * cell.fraction for cell in cells], [percent(cell.fraction) for cell in cells])
        bottom.minorticks_off()
        bottom.invert_xaxis()
        top.grid()
        bottom.grid()
    figure.suptitle(f"{titled(title)}; bars: 95 % intervals of the mean")
    _legend(figure, strategies, theme, line=True)
    return figure


def _curve(axes: Axes, points: Sequence[tuple[float, float, float, float]], look: dict[str, Any]) -> None:
    x, y, low, high = 100 * np.array(points, dtype=np.float64).reshape(-1, 4).T
    axes.plot(x, y, linewidth=1.4, **look)
    axes.vlines(x, low, high, color=look["color"], alpha=0.55, linewidth=1)


def _legend(figure: Figure, strategies: Sequence[str], theme: Theme, *, line: bool) -> None:
    handles = [
        matplotlib.lines.Line2D(
            [], [], color=theme.colours[i], marker=MARKERS[i], linestyle=DASHES[i] if line else "", markersize=5
        )
        for i in range(len(strategies))
    ]
    names = [named(name) for name in strategies]
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)


# --- ranks ------------------------------------------------------------------------------------------------------------


def ranks(title: str, ranking: Ranking, theme: Theme) -> Figure:
    """Mean ranks with their intervals, and below them a bar over each group of which no two strategies differ."""
    entries, groups = ranking.strategies, ranking.groups
    rows = len(entries) + len(groups)
    figure = Figure(figsize=(8, 1.7 + 0.3 * rows), layout="constrained")
    axes = figure.subplots()
    places = range(len(entries))
    axes.hlines(places, [one.rank_low for one in entries], [one.rank_high for one in entries], color=theme.faint, lw=4)
    axes.plot([one.mean_rank for one in entries], places, linestyle="", marker="o", color=theme.ink, markersize=5)
    for row, group in enumerate(groups, start=len(entries)):
        members = [one.mean_rank for one in entries if one.strategy in group]
        axes.plot(
            members,
            [row] * len(members),
            linewidth=3.2,
            color=theme.colours[0],
            marker="o",
            markersize=4.5,
            solid_capstyle="round",
        )
    names = [f"{named(one.strategy)}  {fixed(one.mean_rank, 2)}" for one in entries]
    axes.set_yticks(range(rows), names + [f"group {number}" for number in range(1, len(groups) + 1)])
    axes.set(ylim=(rows - 0.5, -0.5), xlabel="mean rank over task and share of the data, 1 = best")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="x")
    figure.suptitle(titled(title))
    figure.supxlabel(textwrap.fill(reading(ranking), WRAP), fontsize="medium")
    return figure
