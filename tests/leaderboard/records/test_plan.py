"""Plans: a strategy with fewer restarts by plan is whole, is not ranked, and is compared on shared ones."""

from pathlib import Path

import numpy as np
import pytest

from leaderboard import merge
from leaderboard.build import build, load
from leaderboard.export import export
from leaderboard.records.plan import PLAN, encode_plan, joined, plan_of, read_plan
from leaderboard.records.schema import MAX_RESTARTS
from leaderboard.tables import sections as tables
from leaderboard.verify import verify
from tests.leaderboard.conftest import honest

BASE, MIX = "dropout(0.1) + wdecay(0, 0.01)", "mixout(w_pre, 0.7)"
LONE = r"""[{"model": "\ud800", "weights": "", "protocol": {}, "cells": [
    {"task": "", "fraction": 1, "restarts": {"none": 1}}]}]"""
FINE = LONE.replace(r"\ud800", "")
HUGE = LONE.replace(r"\ud800", "").replace('"fraction": 1', f'"fraction": 1{"0" * 400}')
LEVELS = {BASE: 0.62, MIX: 0.66, "none": 0.60}


GRID = [
    honest(strategy, r, round(level + 0.003 * (7 * r % 12) + 0.001 * (r % 5) * (strategy != BASE), 4), task=task)
    for task in ("rte", "cola")
    for strategy, level in LEVELS.items()
    for r in range(5 if strategy == "none" else 12)
]


@pytest.fixture
def planned(store):
    """Return a function that writes records with the plan of them all, some of them left out; returns the folder."""

    def write(records=GRID, drop=lambda config: False, name="run"):
        folder = store([record for record in records if not drop(record["config"])], name)
        (folder / PLAN).write_bytes(encode_plan(plan_of(record["config"] for record in records)))
        return folder

    return write


def sections(folder):
    return tables.sections(load([folder])[0])


def test_a_plan_is_read_as_it_was_written_and_only_widens(honest_record, tmp_path):
    configs = [honest_record(MIX, restart)["config"] for restart in range(3)]
    plan = plan_of(configs)
    assert list(plan.values()) == [3]
    wider = dict.fromkeys(plan, 7)
    for name, some in (("a", plan), ("b", wider)):
        (tmp_path / name).mkdir()
        (tmp_path / name / PLAN).write_bytes(encode_plan(some))
    assert read_plan([tmp_path / "a"]) == (plan, [])
    assert read_plan([tmp_path / "b" / "records", tmp_path / "a"]) == (wider, [])
    assert joined([wider, plan]) == joined([plan, wider]) == wider


def test_what_is_no_plan_is_named_and_left_out(planned, capsys):
    folder = planned()
    (folder / PLAN).write_text("{}")
    build([folder], folder)
    assert "left out: " in capsys.readouterr().err
    assert any("plan.json" in finding.text and finding.problem for finding in verify([folder])[0])


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[1]", "[[]]", '[{"cells": 1}]', '[{"cells": [{"restarts": []}]}]', "\xff", LONE, HUGE]
    + [
        FINE.replace(": 1}}", f": {count}}}}}") for count in ("0", "-1", "true", "2.0", '"5"', MAX_RESTARTS + 1, "null")
    ],
)
def test_other_files_of_that_name_are_left_out(text, tmp_path):
    (tmp_path / PLAN).write_bytes(text.encode("latin-1"))
    plan, faults = read_plan([tmp_path])
    assert plan == {} and "must be a list of {model, weights, protocol, cells}, each cell with task" in str(faults[0])


def test_fewer_restarts_by_plan_are_whole_and_not_ranked(planned):
    (section,) = sections(planned())
    for cell in section.cells:
        row = cell.row("none")
        assert (row.restarts, row.expected, row.cell_restarts, row.missing) == (5, 5, 12, 0)
        assert row.complete and row.short and not row.ranked and row.tier is None and row.notes == ()
        assert [(other.strategy, other.tier) for other in cell.rows] == [(MIX, 1), (BASE, 2), ("none", None)]
    assert [entry.strategy for entry in section.ranking.strategies] == [MIX, BASE]
    assert section.ranking.unranked == (("none", "5 restarts by plan, the ranked ones 12"),)


def test_they_are_compared_on_the_restarts_of_both(planned):
    (section,) = sections(planned())
    for cell in section.cells:
        row, base = cell.row("none"), cell.row(BASE)
        gap = float(np.mean(row.scores) - np.mean(base.scores[:5]))
        assert row.comparison.restarts == 5 and row.comparison.too_few
        assert row.comparison.difference == pytest.approx(gap, abs=5e-7)
        assert abs(gap - (row.mean - base.mean)) > 1e-4, "the first five restarts are not like the others"
    (short,) = section.ranking.short
    assert (short.strategy, short.rank, short.restarts, short.pooled.units) == ("none", None, 10, 5)
    assert short.pooled.low <= short.pooled.improvement <= short.pooled.high and np.isnan(short.pooled.p)


def test_their_cost_is_that_of_the_restarts_of_both(planned):
    records = [honest(name, r) for name in (BASE, "none") for r in range(2 if name == "none" else 4)]
    for record in records:  # the machine was slow in the first two restarts
        own = 2.0 if record["config"]["strategy"] == "none" else 1.0
        record["result"]["seconds"]["total"] = own * (10 if record["config"]["restart"] < 2 else 1)
    (section,) = sections(planned(records))
    assert section.cells[0].row("none").relative_seconds == pytest.approx(2.0)


def test_a_short_baseline_is_compared_on_its_own_restarts(planned, tmp_path):
    scores = {BASE: [0.6, 0.61, 0.62], MIX: [0.6 + r / 100 for r in range(13)], "none": [0.5] * 13}
    folder = planned([honest(name, r, score) for name, own in scores.items() for r, score in enumerate(own)])
    (section,) = sections(folder)
    first, _ = section.ranking.strategies
    assert section.cells[0].row(MIX).comparison.restarts == first.pooled.units == 3
    assert (first.strategy, first.pooled.improvement, first.restarts) == (MIX, 0.5, 13)
    said = " ".join(build([folder], tmp_path / "out").split())
    assert "0.0 [0.0, 0.0] points against Devlin's recipe (too few to test)" in said
    assert "The baseline is not complete" not in said


def test_a_short_strategy_is_shown_where_none_is_ranked(planned):
    """Both strategies of 12 restarts lack one: none is ranked, and the short one is compared with nobody."""
    lost = ((MIX, 3), (BASE, 5))
    (section,) = sections(planned(drop=lambda config: (config["strategy"], config["restart"]) in lost))
    assert not section.ranking.strategies
    assert [entry.strategy for entry in section.ranking.short] == ["none"]


def test_without_a_plan_the_missing_restarts_are_missing(store):
    (section,) = sections(store(GRID))
    row = section.cells[0].row("none")
    assert (row.restarts, row.expected, row.complete, row.comparison) == (5, 12, False, None)


def test_more_than_was_planned_counts(planned):
    folder = planned()
    plan, _ = read_plan([folder])
    (folder / PLAN).write_bytes(encode_plan({place: 3 if place[-1] == "none" else n for place, n in plan.items()}))
    (section,) = sections(folder)
    assert section.cells[0].row("none").expected == 5, "results are never left out"


def test_every_output_says_how_many_restarts_were_planned(planned, tmp_path):
    text = build([planned()], tmp_path)
    said = "5 restarts by plan, others 12: not ranked"
    markdown = (tmp_path / "leaderboard.md").read_text()
    assert said in markdown
    assert all("Not ranked: none (5 restarts by plan, the ranked ones 12)" in given for given in (text, markdown))
    line = next(line for line in markdown.splitlines() if line.startswith("|") and "| none " in line)
    assert [part.strip() for part in line.strip("|").split("|")][:3] == ["-", "none (plain fine-tuning)", "-"]
    assert ", n = 5 of 12)" in (tmp_path / "table.tex").read_text()
    row = next(line for line in (tmp_path / "leaderboard.csv").read_text().splitlines() if ",none," in line)
    assert ",True,False," in row, "complete, not ranked"


# --- checking and publishing


def problems(folder):
    return [finding.text for finding in verify([folder])[0] if finding.problem]


def test_verify_takes_fewer_restarts_by_plan_and_says_so(planned):
    folder = planned()
    assert problems(folder) == []
    notes = [finding.text for finding in verify([folder])[0] if "by plan" in finding.text]
    said = "small-bert, lee20, none: 5 restarts by plan, others have 12"
    assert notes == [f"{task} 10 %, {said}" for task in ("cola", "rte")]
    (folder / PLAN).unlink()
    assert len(problems(folder)) == 2 and "none: no record of restarts 5-11, which others have" in problems(folder)[0]


LACKING = {
    "one": (
        lambda config: (config["strategy"], config["restart"]) == ("none", 4),
        "none: no record of restart 4, which o",
        2,
    ),
    "all": (lambda config: config["restart"] == 11, "no record of restart 11, which plan.json has", 4),
    "nobody": (
        lambda config: config["restart"] == 3,
        "10 %, small-bert, lee20: no strategy has a record of restart 3",
        2,
    ),
}


@pytest.mark.parametrize(("drop", "said", "count"), LACKING.values(), ids=LACKING)
def test_a_restart_that_was_planned_and_is_not_there_is_told_once(planned, drop, said, count):
    """Where nobody has the last restart, only the plan can tell."""
    found = problems(planned(drop=drop))
    assert len(found) == count and all(said in text for text in found)


def test_a_strategy_that_was_planned_and_has_no_record_is_caught(planned, capsys):
    folder = planned(drop=lambda config: (config["strategy"], config["task"]) == ("none", "rte"))
    said = "rte 10 %, small-bert, lee20, none: no record at all, plan.json has 5"
    assert problems(folder) == [said]
    assert not [finding for finding in verify([folder], allow_incomplete=True)[0] if finding.problem]
    assert len(problems(planned(drop=lambda config: config["task"] == "rte", name="all"))) == 3, (
        "a cell without any record"
    )
    others = {("small\x1b", "w", text, "rte", 0.1, "none"): 2 for text in ("[]", '{"name": [1]}')}
    (folder / PLAN).write_bytes(encode_plan(read_plan([folder])[0] | others))
    assert len(problems(folder)) == 3, "whatever a plan has for a protocol"


def test_a_board_takes_its_plan_with_it(planned, tmp_path):
    folder, packed, board = planned(), tmp_path / "packed", tmp_path / "board"
    export([folder], packed)
    assert (packed / PLAN).read_bytes() == (folder / PLAN).read_bytes()
    before, after, refused = merge.merge([packed], board)
    assert (before, after, refused) == (0, 58, None)
    assert "5 restarts by plan" in merge.page(board)
    narrowed = {place: 5 for place in read_plan([packed])[0]}
    (packed / PLAN).write_bytes(encode_plan(narrowed))
    assert merge.merge([packed], board)[2] is None
    assert sorted(set(read_plan([board])[0].values())) == [5, 12], "a plan cannot be narrowed afterwards"
    others = {(*place[:-1], "mixout(w_pre, 0.8)"): 3 for place in narrowed}
    (packed / PLAN).write_bytes(encode_plan(narrowed | others))
    assert merge.merge([packed], board)[2] is None
    assert len(read_plan([board])[0]) == 6, "what the board has no record of is left out"


def test_an_export_plans_only_what_is_in_it(planned, tmp_path):
    folder = planned()
    some = [path for path in (folder / "records").iterdir() if "mixout" in path.name]
    export(some, tmp_path / "packed")
    assert {place[-1] for place in read_plan([tmp_path / "packed"])[0]} == {MIX}
    assert Path(tmp_path / "packed" / PLAN).read_bytes() != (folder / PLAN).read_bytes()


def test_a_board_with_a_broken_plan_is_refused(planned, tmp_path, refused):
    folder = planned()
    (folder / PLAN).write_text("{}")
    said = refused(merge.main, folder, "--board", tmp_path / "board", "--page", tmp_path / "B.md")
    assert "plan.json: must be a list" in said
