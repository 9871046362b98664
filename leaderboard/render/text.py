"""Numbers as the tables print them."""

import itertools
import math
from decimal import ROUND_HALF_UP, Decimal

from leaderboard.stats.rounding import rounded


def fixed(value: float, digits: int) -> str:
    """Return a number with so many decimals, halves away from zero, as a browser's `toFixed` prints the same number."""
    return str(Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


def points(score: float, *, sign: bool = False) -> str:
    """Return a score (a fraction) times 100 with one decimal, `-` where it is undefined."""
    if math.isnan(score):
        return "-"
    text = fixed(100 * rounded(score), 1)
    text = "0.0" if text == "-0.0" else text
    return f"+{text}" if sign and not text.startswith(("-", "0.0")) else text


def percent(fraction: float) -> str:
    """Return a fraction as `10 %`."""
    return f"{100 * fraction:.6g} %"


def quantity(value: float, unit: str = "") -> str:
    """Return a positive amount with about three digits and no exponent, `-` where it is undefined."""
    if math.isnan(value):
        return "-"
    return fixed(value, 0 if value >= 100 else 1 if value >= 10 else 2) + unit


def bounds(low: float, high: float, *, sign: bool = False) -> str:
    """Return ` [low, high]` x 100, nothing where it is undefined."""
    return "" if math.isnan(low) else f" [{_bound(low, sign)}, {_bound(high, sign)}]"


def gap(value: float, low: float, high: float) -> str:
    """Return a difference with its interval, x 100 and signed."""
    return points(value, sign=True) + bounds(low, high, sign=True)


def _bound(value: float, sign: bool) -> str:
    """Return a bound x 100; with `sign` it says on which side of 0 it lies, also where it rounds to 0."""
    text = points(value, sign=sign)
    return f"{math.copysign(0.0, value):+.1f}" if sign and value and text == "0.0" else text


def p_value(p: float) -> str:
    """Return a p-value with three decimals, `-` where there was no test."""
    return "-" if math.isnan(p) else "<0.001" if p < 0.001 else fixed(p, 3)


def share(rate: float) -> str:
    """Return a rate as whole percent without the sign."""
    return fixed(100 * rounded(rate), 0)


def ranges(numbers: list[int]) -> str:
    """Return sorted whole numbers as `0, 2-4`."""
    steps = itertools.groupby(enumerate(sorted(numbers)), key=lambda item: item[1] - item[0])  # equal within a run
    runs = [[number for _, number in run] for _, run in steps]
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
