"""What belongs together, what is complete, what is ranked."""

import math
import random
import re
from dataclasses import replace

import pytest

from leaderboard.records.store import read_records, write_record
from leaderboard.tables import reading
from leaderboard.tables import sections as tables
from tests.leaderboard.conftest import grid, make

BASE, MIX = "dropout(0.1) + wdecay(0, 0.01)", "mixout(w_pre, 0.7)"


def only_cell(sections):
    (section,) = sections
    (cell,) = section.cells
    return cell


CHANCE = {"failed_by": "chance", "failed_plain": False}
DIVERGED = {"imputed": True, "failed_by": "diverged"}
OTHER_SEEDS = {"split": 0, "init": 1, "order": 2, "noise": 3}
GAP = [0.5, None, 0.7, None, 0.6]
ROWS = {
    "a failed run counts": (
        [*grid({BASE: [0.6, 0.8]}), make(0.5, status="failed", strategy=BASE, restart=2)],
        {"restarts": 3, "expected": 3, "failed": 1, "failed_plain": 1, "mean": 1.9 / 3, "max": 0.8}
        | {"std": math.sqrt((0.0333333**2 + 0.1666667**2 + 0.1333333**2) / 2), "mean_not_failed": 0.7}
        | {"failure_rate": 1 / 3, "failure_low": 0.061492, "failure_high": 0.792340}
        | {"seconds": 2.0, "relative_seconds": 1.0, "peak_memory": 400e6},
        (),
    ),
    "the plain rule apart": (
        [make(0.51, status="failed", result=CHANCE, strategy=BASE)],
        {"failed": 1, "failed_plain": 0},
        (),
    ),
    "an imputed run counts": (
        [make(0.7, strategy=BASE), make(0.5, status="failed", result=DIVERGED, strategy=BASE, restart=1)],
        {"mean": 0.6, "imputed": 1, "complete": True},
        ("restart 1: training diverged, the floor counts as score (imputed)",),
    ),
    "a missing restart": (
        grid({BASE: [0.9, None, 0.9], MIX: [0.5, 0.6, 0.7]}),
        {"restarts": 2, "expected": 3, "missing": 1, "complete": False, "ranked": False},
        ("restart 1: no record: not ranked",),
    ),
    "a gap that all share": (
        grid({BASE: GAP, MIX: GAP}),
        {"ranked": False},
        ("restarts 1, 3: no record: not ranked",),
    ),
    "split seeds": (
        [make(0.5, strategy=MIX), make(0.5, strategy=MIX, split_seed=1), make(0.9, strategy=BASE)],
        {"ranked": False},
        ("restart 0 with split seed 1: no record: not ranked",),
    ),
    "other seeds": (
        [make(0.5, strategy=MIX), make(0.9, strategy=BASE, seeds=OTHER_SEEDS)],
        {"ranked": False},
        ("restart 0 with split seed 0 (data or seeds 12b25b39): no record: not ranked",),
    ),
    "pooled restarts have dev sets of their own": (
        [
            make(
                0.5, strategy=BASE, restart=r, dev_hash=str(r) * 64, split_hash=str(r) * 64, protocol={"data": "pooled"}
            )
            for r in (0, 1)
        ],
        {"restarts": 2},
        (),
    ),
}


@pytest.mark.parametrize(("entries", "figures", "notes"), ROWS.values(), ids=ROWS)
def test_a_row_holds_the_statistics_of_its_restarts(entries, figures, notes, arrange):
    row = only_cell(arrange(entries)).row(BASE)
    assert {name: getattr(row, name) for name in figures} == pytest.approx(figures, rel=1e-5)
    assert row.notes == notes


@pytest.mark.parametrize(
    ("lacking", "reason"),
    [
        (grid({MIX: [0.9, None, 0.9]}) + grid({MIX: [0.9], BASE: [0.5]}, task="cola"), "2 of 3 restarts at RTE 10 %"),
        (grid({MIX: [0.9] * 3}) + grid({BASE: [0.5]}, task="cola"), "no trial at CoLA 10 %"),
    ],
)
def test_what_is_not_complete_is_not_ranked_whatever_its_mean(arrange, lacking, reason):
    (section,) = arrange(grid({BASE: [0.5, 0.6, 0.7]}) + lacking)
    assert [entry.strategy for entry in section.ranking.strategies] == [BASE]
    assert section.ranking.unranked == ((MIX, reason),)


def test_without_a_baseline_there_is_no_relative_cost(arrange):
    assert math.isnan(only_cell(arrange(grid({MIX: [0.5]}))).rows[0].relative_seconds)


# --- missing restarts and errors


@pytest.mark.parametrize(
    ("status", "counts"),
    [("error", (2, 0)), ("oom", (2, 0)), ("timeout", (2, 0)), ("killed", (2, 0)), ("skipped", (0, 2))],
)
def test_what_ends_without_result_is_shown_with_its_reason(arrange, status, counts):
    entries = [make(None, status=status, strategy=MIX, restart=restart) for restart in (0, 1)]
    (section,) = arrange(grid({BASE: [0.5, 0.6]}) + entries)
    row = section.cells[0].row(MIX)
    assert (row.restarts, row.missing, row.failed, row.errors, row.skipped) == (0, 0, 0, *counts)
    assert math.isnan(row.mean) and math.isnan(row.failure_rate)
    assert row.notes == (f"restarts 0-1: {status}: it broke",)
    assert section.ranking.unranked == ((MIX, "0 of 2 restarts at RTE 10 %"),)


# --- what is never mixed


@pytest.mark.parametrize(
    "change",
    [
        {"protocol": {"epochs": 20}},
        {"protocol": {"selection": "best_dev"}},
        {"protocol": {"metric": "combined"}},
        {"protocol": {"precision": "bf16"}},
        {"protocol": {"name": "sharma24"}},
        {"protocol": {"warmup": 0.1}},
        {"weights": "11" * 32},
        {"model": "other-bert"},
    ],
)
def test_sections_are_never_mixed(arrange, change):
    first, second = arrange([make(0.5, strategy=BASE), make(0.7, strategy=BASE, **change)])
    assert {section.cells[0].rows[0].mean for section in (first, second)} == {0.5, 0.7}
    assert first.title != second.title


def test_the_fields_that_differ_are_named(record, arrange):
    first, second = arrange([record(), record(protocol={"bias_correction": False, "warmup": 0.1})])
    by_title = {section.title: dict(section.differs) for section in (first, second)}
    assert by_title == {
        "small-bert, protocol lee20, bias_correction true, warmup not set": {
            "bias_correction": "true",
            "warmup": "not set",
        },
        "small-bert, protocol lee20, bias_correction false, warmup 0.1": {
            "bias_correction": "false",
            "warmup": "0.1",
        },
    }


@pytest.mark.parametrize("change", [{"metric": "f1"}, {"dev_hash": "22" * 32}])
def test_another_metric_or_dev_set_is_another_cell(arrange, change):
    (section,) = arrange([make(0.5), make(0.7, **change)])
    assert sorted(cell.rows[0].mean for cell in section.cells) == [0.5, 0.7]


def test_versions_are_named_only_where_they_differ(record, arrange):
    newer = record(0.7, restart=1)
    newer["environment"]["torch"] = "2.14.0"
    failing = record(None, status="error", restart=2)
    failing["environment"]["device"] = "a broken one"  # it made no score
    (section,) = arrange([record(0.5), newer, failing])
    assert section.versions == {"torch": "2.13.0 (1 of 2 trials), 2.14.0 (1 of 2 trials)"}


def test_variants_of_a_strategy_are_rows_of_their_own(arrange):
    entries = [make(0.5, strategy=MIX), make(0.7, strategy=MIX, methods={"mixout": 2}), make(0.6, strategy=BASE)]
    names = sorted(row.strategy.partition(" (variant ")[0] for row in only_cell(arrange(entries)).rows)
    assert names == [BASE, MIX, MIX]


# --- several records of one trial


@pytest.fixture
def in_both_orders(tmp_path):
    """Return a function from two records to (rows, conflicts), read in one order and in the other."""

    def read(*entries):
        for name, entry in zip("ab", entries, strict=True):
            write_record(tmp_path / name, entry)
        found, _ = read_records([tmp_path / "a", tmp_path / "b"])
        return reading.trials(found), reading.trials(found[::-1])

    return read


def test_a_result_wins_over_an_error_of_the_same_trial(record, in_both_orders):
    for rows, conflicts in in_both_orders(record(None, status="error"), record(0.7)):
        assert [row.score for row in rows] == [0.7] and not conflicts


def test_of_equal_results_the_same_one_is_used_in_any_order(record, in_both_orders):
    first, other = in_both_orders(*(record(0.7, result={"seconds": {"total": total}}) for total in (1.0, 9.0)))
    assert first == other and len(first[0]) == 1 and not first[1]


def test_records_of_one_trial_that_disagree_are_not_used(record, in_both_orders):
    for rows, (conflict,) in in_both_orders(record(0.6), record(0.7)):
        assert not rows and "2 records of this trial disagree; none of them is used" in str(conflict)


def test_rows_are_equal_by_what_they_hold_also_where_a_number_is_undefined(record, tmp_path):
    write_record(tmp_path, record(0.7))
    found, _ = read_records([tmp_path])
    [row], [same] = (reading.trials(found)[0] for _ in range(2))
    assert math.isnan(row.forgetting) and row == same and row != found[0]
    for change in ({"score": 0.8}, {"forgetting": 0.1}, {"score": math.nan}, {"rule": "oracle"}):
        assert replace(row, **change) != same
        assert replace(row, **change) == replace(same, **change)


# --- ranking


def test_mean_rank_by_hand(record, arrange):
    entries = grid({"a": [0.9], "b": [0.5], "none": [0.7]}, task="t1")
    entries += grid({"a": [0.6], "b": [0.6], "none": [0.7]}, task="t2")
    (section,) = arrange(entries)
    assert section.baseline == "none"
    ranked = [(one.rank, one.strategy, one.mean_rank, one.wins) for one in section.ranking.strategies]
    assert ranked == [(1, "none", 1.5, 1), (2, "a", 1.75, 1), (3, "b", 2.75, 0)]
    assert section.ranking.strategies[1].pooled.improvement == 0.5


def test_equal_mean_ranks_share_the_better_rank_and_equal_means_the_win(record, arrange):
    (section,) = arrange(grid({"a": [0.9], "b": [0.9], "none": [0.5]}, task="t1"))
    ranked = [(one.rank, one.strategy, one.mean_rank, one.wins) for one in section.ranking.strategies]
    assert ranked == [(1, "a", 1.5, 1), (1, "b", 1.5, 1), (3, "none", 3, 0)]


def test_the_protocol_with_most_trials_stands_first(record, arrange):
    entries = [record(), record(restart=1), record(protocol={"bias_correction": False})]
    assert [section.protocol["bias_correction"] for section in arrange(entries)] == [True, False]


# --- baseline


@pytest.mark.parametrize(
    ("names", "asked", "chosen"),
    [
        ([MIX, "none", BASE], None, BASE),
        ([MIX, "none"], None, "none"),
        ([MIX], None, None),
        ([MIX], "mixout( w_pre,0.7 )", MIX),
    ],
)
def test_the_baseline_is_devlins_else_none_else_nothing(names, asked, chosen):
    assert tables.choose_baseline(names, asked) == chosen


@pytest.mark.parametrize("stalled", [BASE, MIX])
def test_a_trial_that_was_held_up_does_not_move_the_cost(record, arrange, stalled):
    entries = []
    for task, factor in (("rte", 1), ("cola", 10)):
        for restart, (base, mix) in enumerate([(1.0, 1.5), (2.0, 3.0), (4.0, 6.4)]):
            for name, seconds in ((BASE, base), (MIX, mix)):
                held_up = 2000.0 if restart == 0 and name == stalled else 0.0
                own = {"seconds": {"total": factor * seconds + held_up}}
                entries.append(record(strategy=name, restart=restart, task=task, result=own))
    (section,) = arrange(entries)
    wanted = 1.5 if stalled == BASE else 1.6
    assert [cell.row(MIX).relative_seconds for cell in section.cells] == pytest.approx([wanted, wanted])
    assert next(one for one in section.ranking.strategies if one.strategy == MIX).relative_seconds == wanted
    assert section.cells[1].row(BASE).seconds == (4.0 if stalled == BASE else 2.0)


def test_an_unknown_baseline_is_refused_with_a_suggestion(record, arrange, refusal):
    message = (
        r"the baseline must be a strategy of the records, got 'mixout\(w_pre, 0\.8\)'; "
        r"did you mean mixout\(w_pre, 0\.7\)\? available: dropout.*; mixout"
    )
    assert re.search(message, refusal(arrange, grid({MIX: [0.5], BASE: [0.5]}), baseline="mixout(w_pre, 0.8)"))


# --- order


def test_the_order_of_records_changes_nothing(realistic_records, tmp_path):
    for entry in realistic_records():
        write_record(tmp_path, entry)
    found, _ = read_records([tmp_path])
    rows = reading.trials(found)[0]
    for seed in range(3):
        random.Random(seed).shuffle(found)
        assert reading.trials(found)[0] == rows
