"""Plans: a strategy with fewer restarts by plan is whole, is not ranked, and is compared on shared ones."""

import json
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

BASE, MIX = "dropout(0.1) + wdecay(0, 0.01)", "mixout(w_pre, 0.7)"
LONE = r"""[{"model": "\ud800", "weights": "", "protocol": {}, "cells": [
    {"task": "", "fraction": 1, "restarts": {"none": 1}}]}]"""
HUGE = LONE.replace(r"\ud800", "").replace('"fraction": 1', f'"fraction": 1{"0" * 400}')
LEVELS = {BASE: 0.62, MIX: 0.66, "none": 0.60}


@pytest.fixture
def grid(honest_record, store):
    """Return a function that writes 12 restarts of two strategies and fewer of a third, with or without a plan."""

    def make(name="run", *, short=5, planned=True, tasks=("rte", "cola"), drop=None):
        records = [
            honest_record(strategy, r, round(level + 0.003 * (7 * r % 12) + 0.001 * (r % 5) * (strategy != BASE), 4))
            | {"task": task}
            for task in tasks
            for strategy, level in LEVELS.items()
            for r in range(short if strategy == "none" else 12)
        ]
        for record in records:
            record["config"]["task"] = record.pop("task")
        plan = plan_of(record["config"] for record in records)
        folder = store([record for record in records if drop is None or not drop(record["config"])], name)
        if planned:
            (folder / PLAN).write_bytes(encode_plan(plan))
        return folder

    return make


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


@pytest.mark.parametrize("restarts", [0, -1, True, 2.0, "5", MAX_RESTARTS + 1, None])
def test_what_is_no_plan_is_named_and_left_out(grid, restarts, capsys):
    folder = grid()
    content = json.loads((folder / PLAN).read_text())
    content[0]["cells"][0]["restarts"]["none"] = restarts
    (folder / PLAN).write_text(json.dumps(content))
    _, (fault,) = read_plan([folder])
    assert "plan.json: must be a list of {model, weights, protocol, cells}, each cell with task" in str(fault)
    build([folder], folder)
    assert "left out: " in capsys.readouterr().err
    assert any("plan.json" in finding.text and finding.problem for finding in verify([folder])[0])


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", "[[]]", '[{"cells": 1}]', '[{"cells": [{"restarts": []}]}]', "\xff", LONE, HUGE]
)
def test_other_files_of_that_name_are_left_out(text, tmp_path):
    (tmp_path / PLAN).write_bytes(text.encode("latin-1"))
    plan, faults = read_plan([tmp_path])
    assert plan == {} and "must be a list of {model, weights, protocol, cells}" in str(faults[0])


def test_fewer_restarts_by_plan_are_whole_and_not_ranked(grid):
    (section,) = sections(grid())
    for cell in section.cells:
        row = cell.row("none")
        assert (row.restarts, row.expected, row.cell_restarts, row.missing) == (5, 5, 12, 0)
        assert row.complete and row.short and not row.ranked and row.tier is None and row.notes == ()
        assert [other.strategy for other in cell.rows] == [MIX, BASE, "none"]
        assert [other.tier for other in cell.ranked] == [1, 2]
    assert [entry.strategy for entry in section.ranking.strategies] == [MIX, BASE]
    assert section.ranking.unranked == (("none", "5 restarts by plan, the ranked ones 12"),)


def test_they_are_compared_on_the_restarts_of_both(grid):
    (section,) = sections(grid())
    for cell in section.cells:
        row, base = cell.row("none"), cell.row(BASE)
        gap = float(np.mean(row.scores) - np.mean(base.scores[:5]))
        assert row.comparison.restarts == 5 and row.comparison.too_few
        assert row.comparison.difference == pytest.approx(gap, abs=5e-7)
        assert abs(gap - (row.mean - base.mean)) > 1e-4, "the first five restarts are not like the others"
    (short,) = section.ranking.short
    assert (short.strategy, short.rank, short.restarts, short.pooled.units) == ("none", None, 10, 5)
    assert short.pooled.low <= short.pooled.improvement <= short.pooled.high and np.isnan(short.pooled.p)


def test_their_cost_is_that_of_the_restarts_of_both(grid, store, honest_record):
    records = [honest_record(name, r) for name in (BASE, "none") for r in range(2 if name == "none" else 4)]
    for record in records:  # the machine was slow in the first two restarts
        own = 2.0 if record["config"]["strategy"] == "none" else 1.0
        record["result"]["seconds"]["total"] = own * (10 if record["config"]["restart"] < 2 else 1)
    folder = store(records)
    (folder / PLAN).write_bytes(encode_plan(plan_of(record["config"] for record in records)))
    (section,) = sections(folder)
    assert section.cells[0].row("none").relative_seconds == pytest.approx(2.0)


def test_a_short_baseline_is_compared_on_its_own_restarts(honest_record, store, tmp_path):
    scores = {BASE: [0.6, 0.61, 0.62], MIX: [0.6 + r / 100 for r in range(13)], "none": [0.5] * 13}
    records = [honest_record(name, r, score) for name, own in scores.items() for r, score in enumerate(own)]
    folder = store(records)
    (folder / PLAN).write_bytes(encode_plan(plan_of(record["config"] for record in records)))
    (section,) = sections(folder)
    assert section.cells[0].row(MIX).comparison.restarts == 3
    first, _ = section.ranking.strategies
    assert (first.strategy, first.pooled.improvement, first.pooled.units, first.restarts) == (MIX, 0.5, 3, 13)
    said = " ".join(build([folder], tmp_path / "out").split())
    assert "0.0 [0.0, 0.0] points against Devlin's recipe (too few to test)" in said
    assert "The baseline is not complete" not in said


def test_a_short_strategy_is_shown_where_none_is_ranked(grid):
    """Both strategies of 12 restarts lack one: none is ranked, and the short one is compared with nobody."""
    folder = grid(drop=lambda config: config["strategy"] == MIX and config["restart"] == 3)
    records = list((folder / "records").iterdir())
    for path in records:
        if "dropout" in path.name and "-r5-" in path.name:
            path.unlink()
    (section, *_) = sections(folder)
    assert not section.ranking.strategies
    assert [entry.strategy for entry in section.ranking.short] == ["none"]


def test_without_a_plan_the_missing_restarts_are_missing(grid):
    (section,) = sections(grid(planned=False))
    row = section.cells[0].row("none")
    assert (row.restarts, row.expected, row.complete, row.comparison) == (5, 12, False, None)


def test_more_than_was_planned_counts(grid):
    folder = grid()
    plan, _ = read_plan([folder])
    (folder / PLAN).write_bytes(encode_plan({place: 3 if place[-1] == "none" else n for place, n in plan.items()}))
    (section,) = sections(folder)
    assert section.cells[0].row("none").expected == 5, "results are never left out"


def test_every_output_says_how_many_restarts_were_planned(grid, tmp_path):
    text = build([grid()], tmp_path)
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


def test_verify_takes_fewer_restarts_by_plan_and_says_so(grid):
    folder = grid()
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
    ),
    "all": (lambda config: config["restart"] == 11, "no record of restart 11, which plan.json has"),
    "nobody": (lambda config: config["restart"] == 3, "10 %, small-bert, lee20: no strategy has a record of restart 3"),
}


@pytest.mark.parametrize(("name", "count"), [("one", 2), ("all", 4), ("nobody", 2)])
def test_a_restart_that_was_planned_and_is_not_there_is_told_once(grid, name, count):
    """Where nobody has the last restart, only the plan can tell."""
    drop, said = LACKING[name]
    found = problems(grid(drop=drop))
    assert len(found) == count and all(said in text for text in found)


def test_a_strategy_that_was_planned_and_has_no_record_is_caught(grid, capsys):
    folder = grid("one", drop=lambda config: (config["strategy"], config["task"]) == ("none", "rte"))
    said = "rte 10 %, small-bert, lee20, none: no record at all, plan.json has 5"
    assert problems(folder) == [said]
    assert not [finding for finding in verify([folder], allow_incomplete=True)[0] if finding.problem]
    assert len(problems(grid("all", drop=lambda config: config["task"] == "rte"))) == 3, "a cell without any record"
    others = {("small\x1b", "w", text, "rte", 0.1, "none"): 2 for text in ("[]", '{"name": [1]}')}
    (folder / PLAN).write_bytes(encode_plan(read_plan([folder])[0] | others))
    assert len(problems(folder)) == 3, "whatever a plan has for a protocol"


def test_a_board_takes_its_plan_with_it(grid, tmp_path):
    folder, packed, board = grid(), tmp_path / "packed", tmp_path / "board"
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


def test_an_export_plans_only_what_is_in_it(grid, tmp_path):
    folder = grid()
    some = [path for path in (folder / "records").iterdir() if "mixout" in path.name]
    export(some, tmp_path / "packed")
    assert {place[-1] for place in read_plan([tmp_path / "packed"])[0]} == {MIX}
    assert Path(tmp_path / "packed" / PLAN).read_bytes() != (folder / PLAN).read_bytes()


def test_a_board_with_a_broken_plan_is_refused(grid, tmp_path, refused):
    folder = grid()
    (folder / PLAN).write_text("{}")
    said = refused(merge.main, folder, "--board", tmp_path / "board", "--page", tmp_path / "B.md")
    assert "plan.json: must be a list" in said
