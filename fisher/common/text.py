"""Text of others made harmless: names and messages that come from records, files and plugins.

Every such string passes `escape` before it is printed or written. Formulas in spreadsheets are kept out earlier: a name
that starts with `=`, `+`, `-` or `@` is refused when a record is read or written (`leaderboard.records.store`), so the
CSV needs no prefix that would spoil the name for programs.
"""

import re
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


def shorten(text: str, limit: int) -> str:
    """Return the first non-empty line of `text`, cut to `limit` characters."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return first if len(first) <= limit else first[: limit - 3] + "..."
