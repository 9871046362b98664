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


def keys(value):
    """Every key of every object below `value`."""
    if isinstance(value, dict):
        return {*value, *(key for item in value.values() for key in keys(item))}
    return {key for item in value for key in keys(item)} if isinstance(value, list) else set()


def test_every_key_is_documented(content):
    told = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "leaderboard-json.md").read_text(encoding="utf-8")))
    made = json.loads(document.text(document.document(content)))
    for section in made["sections"]:
        for free in ("protocol", "versions", "differs"):
            section[free] = {}
        for strategy in section["strategies"]:
            strategy["methods"] = strategy["touched"] = {}
    assert keys(made) <= told


def test_a_row_and_its_trials(content):
    (section,) = json.loads(document.text(document.document(content)))["sections"]
    cell = section["cells"][0]
    assert (cell["task"], cell["fraction"], cell["synthetic"]) == ("rte", 0.1, False)
    for row in cell["rows"]:
        assert [trial["restart"] for trial in row["trials"]] == list(range(12))
        assert row["mean"] == pytest.approx(np.mean([trial["score"] for trial in row["trials"]]))
        assert len(row["expected_max"]) == 12 and row["expected_max"][0] == pytest.approx(row["mean"])
        assert {trial["deviation"] for trial in row["trials"]} == {1.5}
    by_name = {row["strategy"]: row for row in cell["rows"]}
    assert by_name["none"]["comparison"] is None
    found = by_name["mixout(w_pre, 0.7)"]["comparison"]
    assert found["difference"] == pytest.approx(by_name["mixout(w_pre, 0.7)"]["mean"] - by_name["none"]["mean"])
    assert not found["too_few"] and 0 < found["p"] <= found["p_holm"] <= 1


def test_what_is_undefined_is_null(content):
    (section,) = json.loads(document.text(document.document(content)))["sections"]
    other = next(row for row in section["cells"][1]["rows"] if row["strategy"] == "other")
    assert other["mean"] is None and other["tier"] is None and not other["complete"]
    (trial,) = other["trials"]
    assert (trial["status"], trial["score"], trial["failed"], trial["failed_by"]) == ("oom", None, None, None)
    few = next(row for row in section["cells"][1]["rows"] if row["comparison"])["comparison"]
    assert few["too_few"] and few["p"] is None and few["p_holm"] is None


def test_strategies_are_told_with_what_they_touched(content):
    (section,) = json.loads(document.text(document.document(content)))["sections"]
    told = {entry["label"]: entry for entry in section["strategies"]}
    assert set(told) == {"none", "mixout(w_pre, 0.7)", "other"}
    assert told["mixout(w_pre, 0.7)"]["touched"] == {"mixout(w_pre, 0.7)": ["encoder.0"]}
    assert told["other"]["touched"] == {}


def test_without_cost_no_cost_is_left(content):
    found = keys(json.loads(document.text(document.document(content, without_cost=True))))
    assert not found & {"seconds", "relative_seconds", "peak_memory"}
    assert "deviation" in found


def test_the_text_is_that_of_the_standard_encoder(content):
    odd = {"é\n": [[], {}, [{}], [[1, "a, b: {c}"], None]], "": {"x": [True, 1e-7, {"y": {"z": -0.0}}]}}
    for value in (document.document(content), odd, {}):
        assert document.text(value) == json.dumps(value, indent=1) + "\n"
    with pytest.raises(ValueError, match="JSON compliant"):
        document.text({"a": [float("nan")]})
