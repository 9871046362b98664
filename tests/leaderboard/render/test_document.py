"""leaderboard.json: plain, complete, and as docs/leaderboard-json.md says."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from leaderboard.render import json as document

ROOT = Path(__file__).parents[3]


@pytest.fixture
def content(record, arrange):
    """Two strategies at two shares of the data, 12 restarts and 3; one trial without result."""
    draw = np.random.Generator(np.random.PCG64(1))
    touched = {"touched": {"mixout(w_pre, 0.7)": ["encoder.0"]}, "deviation": 1.5}
    entries = [
        record(float(draw.normal(0.6, 0.05)), strategy=name, fraction=fraction, restart=r, result=dict(touched))
        for name in ("none", "mixout(w_pre, 0.7)")
        for fraction, count in ((0.1, 12), (1.0, 3))
        for r in range(count)
    ]
    entries.append(record(None, status="oom", strategy="other", fraction=1.0))
    return arrange(entries)


@pytest.fixture
def section(content):
    """The only section, as a program reads it."""
    return json.loads(document.text(document.document(content)))["sections"][0]


def keys(value):
    """Every key of every object below `value`."""
    if isinstance(value, dict):
        return {*value, *(key for item in value.values() for key in keys(item))}
    return {key for item in value for key in keys(item)} if isinstance(value, list) else set()


def test_every_key_is_documented(content):
    told = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "leaderboard-json.md").read_text(encoding="utf-8")))
    made = json.loads(document.text(document.document(content)))
    for section in made["sections"]:
        for free in ("protocol", "versions", "environment", "differs", "facts"):
            section[free] = {}
        for strategy in section["strategies"]:
            strategy["methods"] = strategy["touched"] = {}
    assert keys(made) <= told


def test_a_row_and_its_trials(section):
    cell = section["cells"][0]
    assert (cell["task"], cell["fraction"], cell["synthetic"]) == ("rte", 0.1, False)
    for row in cell["rows"]:
        scores, mean = [trial["score"] for trial in row["trials"]], pytest.approx(row["mean"], abs=1e-6)
        assert [trial["restart"] for trial in row["trials"]] == list(range(12))
        assert np.mean(scores) == mean and row["expected_max"] == [mean, *row["expected_max"][1:12]]
        assert {trial["deviation"] for trial in row["trials"]} == {1.5}
    mix, none = sorted(cell["rows"], key=lambda row: row["strategy"])
    assert none["comparison"] is None and not mix["comparison"]["too_few"]
    assert mix["comparison"]["difference"] == pytest.approx(mix["mean"] - none["mean"], abs=2e-6)
    assert 0 < mix["comparison"]["p"] <= mix["comparison"]["p_holm"] <= 1


def test_what_is_undefined_is_null(section):
    rows = section["cells"][1]["rows"]
    (other,) = [row for row in rows if row["strategy"] == "other"]
    (trial,) = other["trials"]
    assert other["mean"] is None and other["tier"] is None and not other["complete"]
    assert (trial["status"], trial["score"], trial["failed"], trial["failed_by"]) == ("oom", None, None, None)
    (few,) = [row["comparison"] for row in rows if row["comparison"]]
    assert few["too_few"] and few["p"] is None and few["p_holm"] is None


def test_strategies_are_told_with_what_they_touched(section):
    told = {entry["label"]: entry for entry in section["strategies"]}
    assert set(told) == {"none", "mixout(w_pre, 0.7)", "other"}
    assert told["mixout(w_pre, 0.7)"]["touched"] == {"mixout(w_pre, 0.7)": ["encoder.0"]}
    assert told["other"]["touched"] == {}


def test_pairs_are_columns_of_row_indices(section):
    cell = section["cells"][0]
    pairs, rows = cell["pairs"], cell["rows"]
    assert (pairs["a"], pairs["b"]) == ([0], [1])
    assert {len(column) for column in pairs.values()} == {1}
    differences = [a["score"] - b["score"] for a, b in zip(*(row["trials"] for row in rows), strict=True)]
    assert pairs["difference"][0] == pytest.approx(np.mean(differences), abs=2e-6)
    assert pairs["wins"][0] == sum(value > 0 for value in differences)
    made = next(row["comparison"] for row in rows if row["comparison"])
    assert pairs["p"][0] == made["p"] and abs(pairs["difference"][0]) == abs(made["difference"])


def test_the_text_reads_back_and_lists_of_numbers_take_one_line(content):
    odd = {"é\n": [[], {}, [{}], [[1, "a, b: {c}"], None]], "": {"x": [True, 1e-7, {"y": {"z": -0.0}}]}}
    for value in (document.document(content), odd, {}):
        assert json.loads(document.text(value)) == value
    assert document.text({"a": [1, 2.5, None], "b": {"c": 1}}) == '{\n "a": [1,2.5,null],\n "b": {\n  "c": 1\n }\n}\n'
    with pytest.raises(ValueError, match="JSON compliant"):
        document.text({"a": [float("nan")]})


def test_the_explanations_and_the_verdict_are_there(content):
    made = document.document(content)
    told = {"scores", "intervals", "tests", "pooled", "tiers", "power", "same", "gaps", "fit", "cost"}
    assert set(made["wording"]) == told
    assert "cost" not in document.document(content, without_cost=True)["wording"]
    (section,) = made["sections"]
    assert section["learned"] and section["verdict"][0].startswith("Over 2 cells (")
    assert [bool(cell["reach"]) for cell in section["cells"]] == [True, True]
