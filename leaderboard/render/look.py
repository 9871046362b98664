"""How figures look, on a light and on a dark page, and how they become files: the same figure gives the same bytes.

Colours are those of Okabe and Ito, which colour-blind readers can distinguish.
"""

import io
import textwrap
import warnings
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from fisher.common.text import escape, shorten

DPI = 110
WRAP = 110  # characters of a title's line
LONGEST = 70  # characters of a name


@dataclass(frozen=True)
class Theme:
    """Colours on a light or a dark page."""

    page: str
    ink: str
    faint: str
    colours: tuple[str, ...]


BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
LIGHT = Theme("#FFFFFF", "#1A1A1A", "#D9D9D9", (BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE, "#000000", "#7F7F7F"))
DARK = Theme("#0D1117", "#E6EDF3", "#3A424C", (SKY, ORANGE, GREEN, PURPLE, BLUE, VERMILION, "#FFFFFF", "#9AA0A6"))
THEMES = {"": LIGHT, "-dark": DARK}  # by the ends of the names of their files


def themed(theme: Theme) -> AbstractContextManager[None]:
    """Matplotlib's own defaults with the theme's colours, whatever the user's configuration says."""
    inked = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    paged = ("figure.facecolor", "axes.facecolor", "savefig.facecolor", "legend.facecolor")
    parameters: dict[str, Any] = {
        **dict.fromkeys(inked, theme.ink),
        **dict.fromkeys(paged, theme.page),
        "legend.edgecolor": theme.faint,
        "grid.color": theme.faint,
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
        "font.size": 8.5,
        "svg.hashsalt": "regbench",  # makes the ids in an SVG depend on its content alone
    }
    return matplotlib.style.context(parameters, after_reset=True)


def to_files(figure: Figure) -> dict[str, bytes]:
    """The figure as `svg` and `png`, without dates and names of programs; it is laid out once for both."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # names of records: letters that the font lacks, no room for axes
        figure.set_dpi(DPI)
        engine = figure.get_layout_engine()
        assert engine is not None
        engine.execute(figure)
        figure.set_layout_engine("none")
        png, svg = io.BytesIO(), io.BytesIO()
        FigureCanvasAgg(figure).print_png(png, metadata={"Software": None})  # `savefig` would draw everything twice
        FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None, "Creator": None})  # leaves it at 72 dpi: last
    return {"svg": svg.getvalue(), "png": png.getvalue()}


def plain(text: str) -> str:
    """A text of a record that matplotlib does not take for a formula."""
    return escape(text).replace("$", r"\$")


def named(name: str) -> str:
    """A strategy's or task's name as figures show it, on one line of bounded length."""
    return plain(shorten(escape(name), LONGEST))


def titled(title: str) -> str:
    """A section's title, on as many lines as it takes."""
    return textwrap.fill(plain(title), WRAP)
