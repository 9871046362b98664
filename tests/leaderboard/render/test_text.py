"""Text from strangers is harmless, numbers read as intended."""

import math

import pytest

from fisher.common.text import escape, shorten
from leaderboard.render.text import percent, points, quantity, ranges

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


def test_a_bound_says_on_which_side_of_0_it_lies():
    from leaderboard.render.text import bounds

    assert bounds(0.0004, 0.383, sign=True) == " [+0.0, +38.3]" and bounds(-0.01, -0.0004, sign=True) == " [-1.0, -0.0]"
    assert bounds(0.0, -0.0, sign=True) == " [0.0, 0.0]" and bounds(0.0004, 0.01) == " [0.0, 1.0]"


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


def test_control_characters_stay_visible():
    assert escape("a\x1b[0m\nb") == r"a\x1b[0m\nb"


def test_strategies_stay_readable():
    assert (
        escape("mixout(w_pre, 0.7) + head:mixout(w_0, 0.7)", "markdown") == "mixout(w_pre, 0.7) + head:mixout(w_0, 0.7)"
    )
    assert escape("_a_ b_c", "markdown") == "&#95;a&#95; b_c"


def test_shorten_takes_the_first_line_with_text():
    assert shorten("\n  first \nsecond", 20) == "first"
    assert shorten("x" * 30, 10) == "xxxxxxx..."
    assert shorten("", 10) == ""


def test_numbers():
    assert [points(x) for x in (0.12345, -0.0004, math.nan, 1)] == ["12.3", "0.0", "-", "100.0"]
    assert [points(x, sign=True) for x in (0.01, 0.0, -0.01)] == ["+1.0", "0.0", "-1.0"]
    assert [percent(x) for x in (0.1, 1.0, 0.005, 1 / 3)] == ["10 %", "100 %", "0.5 %", "33.3333 %"]
    assert [quantity(x, "x") for x in (0.1234, 12.34, 1234.5, math.nan)] == ["0.12x", "12.3x", "1235x", "-"]
    assert ranges([5, 0, 2, 3, 4]) == "0, 2-5"
