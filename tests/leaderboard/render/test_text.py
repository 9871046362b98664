"""Text from strangers is harmless, numbers read as intended."""

import math

import pytest

from fisher.common.text import escape, shorten
from leaderboard.render.text import bounds, percent, points, quantity, ranges

HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "\x9b2J",
    "a\nb\r\nc\x85d\u2028e",
    "a | b",
    "<script>alert(1)</script>",
    "<!-- ",
    "[click](javascript:alert(1))",
    "![x](http://evil)",
    "**bold** `code` ~~s~~ $x$ # h",
    "\u202egnp.exe",
    "a\x00b\ud800c",
    "&lt;b&gt; \\| @someone www.evil.example",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("style", ["plain", "markdown"])
def test_escaped_text_is_one_printable_line(text, style):
    assert escape(text, style).isprintable()
    escape(text, style).encode("utf-8")


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_holds_no_markup(text):
    safe = escape(text, "markdown")
    assert not set(safe) & set('\\`*[]<>|~!${}^@"')
    assert "://" not in safe and "www." not in safe


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (escape("a\x1b[0m\nb"), r"a\x1b[0m\nb"),  # control characters stay visible
        (
            escape("mixout(w_pre, 0.7) + head:mixout(w_0, 0.7)", "markdown"),
            "mixout(w_pre, 0.7) + head:mixout(w_0, 0.7)",  # strategies stay readable
        ),
        (escape("_a_ b_c", "markdown"), "&#95;a&#95; b_c"),
        (shorten("\n  first \nsecond", 20), "first"),
        (shorten("x" * 30, 10), "xxxxxxx..."),
        (shorten("", 10), ""),
        ([points(x) for x in (0.12345, -0.0004, math.nan, 1)], ["12.3", "0.0", "-", "100.0"]),
        ([points(x, sign=True) for x in (0.01, 0.0, -0.01)], ["+1.0", "0.0", "-1.0"]),
        ([percent(x) for x in (0.1, 1.0, 0.005, 1 / 3)], ["10 %", "100 %", "0.5 %", "33.3333 %"]),
        ([quantity(x, "x") for x in (0.1234, 12.34, 1234.5, math.nan)], ["0.12x", "12.3x", "1235x", "-"]),
        (ranges([5, 0, 2, 3, 4]), "0, 2-5"),
        (bounds(0.0004, 0.383, sign=True), " [+0.0, +38.3]"),  # a bound says on which side of 0 it lies
        (bounds(-0.01, -0.0004, sign=True), " [-1.0, -0.0]"),
        (bounds(0.0, -0.0, sign=True), " [0.0, 0.0]"),
        (bounds(0.0004, 0.01), " [0.0, 1.0]"),
    ],
)
def test_texts_and_numbers_read_as_intended(made, expected):
    assert made == expected
