"""What is in the page's file: nothing from elsewhere, records as data only, numbers as the tables print them."""

import base64
import hashlib
import json
import re
import zlib
from html.parser import HTMLParser

import pytest

from leaderboard import page
from leaderboard.build import build
from leaderboard.page import data
from leaderboard.tables.names import task_title

HOSTILE = "x</script><script>alert(1)</script><img src=x onerror=alert(1)>\u2028 & <b>b</b> \"'"


class Reader(HTMLParser):
    """Collects the tags of a page with their attributes."""

    def __init__(self):
        super().__init__()
        self.tags = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def content(folder):
    block = re.search(r'id="data">(.*?)</script>', (folder / "index.html").read_text())
    return json.loads(zlib.decompress(base64.b64decode(block[1], validate=True)))


def test_the_page_stands_alone(board):
    source = (board / "index.html").read_text()
    reader = Reader()
    reader.feed(source)
    addresses = {value for _, attributes in reader.tags for key, value in attributes.items() if key in ("src", "href")}
    assert addresses == {"#verdict", "data:,"}
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|innerHTML|\bimport\b.*from", source)
    assert [tag for tag, _ in reader.tags].count("script") == 2


def test_the_policy_allows_this_script_and_this_style_alone(board):
    source = (board / "index.html").read_text()
    for kind, block in (("script", r'<script type="module">(.*?)</script>'), ("style", r"<style>(.*?)</style>")):
        inside = re.search(block, source, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in source
    assert "default-src 'none'" in source and "unsafe" not in source


def test_texts_of_records_cannot_leave_their_block(honest_record, store, tmp_path):
    entry = honest_record(HOSTILE, task=HOSTILE, model=HOSTILE, metric=HOSTILE)
    entry["result"]["epochs"] = []
    build([store([entry])], tmp_path / "out")
    source = (tmp_path / "out" / "index.html").read_text()
    assert "alert(1)" not in source and "<img" not in source and "\u2028" not in source
    assert content(tmp_path / "out")["sections"][0]["cells"][0]["title"] == HOSTILE


def test_records_are_linked_only_where_the_page_has_them_in_its_folder(board, tmp_path):
    build([board], tmp_path)
    assert [content(folder)["records"] for folder in (board, tmp_path)] == ["records/", None]


@pytest.mark.parametrize(
    ("task", "title"),
    [("sst2", "SST-2"), ("cola", "CoLA"), ("mine", "mine"), ("pocket-stsb", "pocket-STS-B (synthetic)")],
)
def test_tasks_are_named_as_people_write_them(task, title):
    assert task_title(task) == title


def test_lines_of_the_scripts_are_readable():
    lines = page.script().splitlines()
    assert [line for line in lines if len(line) > 120] == []


@pytest.mark.parametrize(
    ("strategies", "shown"),
    [
        ([], []),
        (["mixout(w_pre, 0.5)"] * 3, ["mixout(w_pre, 0.5)"]),
        (["mixout(w_pre, 0.5)", "mixout(w_pre, 0.9)", "mixout(w_pre, 0.6)"], ["mixout(w_pre, 0.6 [0.5, 0.9])"]),
        (["a(x) + b(1e-05)", "a(x) + b(-2.5)"], ["a(x) + b(-2.5 [-2.5, 1e-05])"]),
        (["a(x)", "a(y)", "a(y)"], ["a(y) (2 x)", "a(x) (1 x)"]),
    ],
)
def test_what_restarts_chose_is_one_strategy_with_its_ranges(strategies, shown):
    assert data.strengths(strategies) == shown
