"""Text from records made harmless, and numbers as the tables print them.

Records may come from strangers, so every string of theirs passes `escape` before it is printed or written. Formulas in
spreadsheets are kept out earlier: a name that starts with `=`, `+`, `-` or `@` is refused when a record is read or
written (`leaderboard.records.store`), so the CSV needs no prefix that would spoil the name for programs.
"""

import io
import math
import re
import sys
from typing import Literal

Style = Literal["plain", "markdown"]

# Everything that GitHub reads as markup; `_` only where it can open or close emphasis, so `w_pre` stays readable.
_MARKUP = re.compile(r"[\\`*\[\]<>&|#~!${}^@\"]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=www)\.", re.IGNORECASE)


def escape(text: str, style: Style = "plain") -> str:
    r"""Return `text` as one line that neither a terminal, a CSV reader nor Markdown can take for an instruction.

    `plain` (terminal, CSV) writes every control, direction, line-break and unassigned character as a visible `\x1b`;
    `markdown` also writes what GitHub would read as markup or HTML as a character reference.
    """
    visible = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    if style == "plain":
        return visible
    return _MARKUP.sub(lambda match: f"&#{ord(match.group())};", visible)


def show_any_script() -> None:
    r"""Let the output show what its encoding lacks as `\xe9`, as errors do: names of records are in any script."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def shorten(text: str, limit: int) -> str:
    """Return the first non-empty line of `text`, cut to `limit` characters."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return first if len(first) <= limit else first[: limit - 3] + "..."


def points(score: float, *, sign: bool = False) -> str:
    """Return a score (a fraction) times 100 with one decimal, `-` where it is undefined."""
    if math.isnan(score):
        return "-"
    value = round(100 * score, 1) + 0.0  # -0.04 is 0.0, not -0.0
    return f"{value:+.1f}" if sign and value else f"{value:.1f}"


def percent(fraction: float) -> str:
    """Return a fraction as `10 %`."""
    return f"{100 * fraction:.6g} %"


def quantity(value: float, unit: str = "") -> str:
    """Return a positive amount with about three digits and no exponent, `-` where it is undefined."""
    if math.isnan(value):
        return "-"
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}{unit}"


def ranges(numbers: list[int]) -> str:
    """Return sorted whole numbers as `0, 2-4`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
