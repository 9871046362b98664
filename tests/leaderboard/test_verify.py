"""What records alone can show: every kind of fraud that the checks are for is committed here, by a careful forger."""

import copy
import functools
import json
from pathlib import Path

import pytest

from fisher.seeds import derive
from leaderboard.build import build
from leaderboard.record_audit import seed_of, terms_of
from leaderboard.records.store import read_record, write_record
from leaderboard.verify import main, verify
from tests.leaderboard.conftest import honest

ROOT = Path(__file__).parents[2]
BASE, MIX = "dropout(0.1) + wdecay(0, 0.01)", "mixout(w_pre, 0.7)"


@pytest.fixture
def grid(honest_record):
    """Two strategies, four restarts, of which one failed."""
    records = [honest_record(name, r, 0.6 + r / 100) for name in (BASE, MIX) for r in range(3)]
    return [*records, honest_record(BASE, 3, 0.64), honest_record(MIX, 3, 0.5, status="failed")]


def problems(folder, **options):
    return {(finding.check, finding.text) for finding in verify([folder], **options)[0] if finding.problem}


def checks(folder):
    return {check for check, _ in problems(folder)}


def test_honest_results_pass(grid, store, printed):
    folder = store(grid)
    build([folder], folder)
    out = printed(main, folder)
    assert "8 records\n" in out and "Verified: no problem." in out and "PROBLEM" not in out
    assert "predictions belong to the dev labels" in out


def test_the_seeds_are_those_of_the_benchmark():
    assert [seed_of(purpose, 7) for purpose in ("init", "order")] == [derive("init", 7), derive("order", 7)]


@pytest.mark.parametrize(
    ("strategy", "terms"),
    [
        ("none", ["none"]),
        (BASE, ["dropout(0.1)", "wdecay(0, 0.01)"]),
        ("mixout(w_pre, 0.7) + head:mixout(w_0, 0.7)", ["mixout(w_pre, 0.7)", "head:mixout(w_0, 0.7)"]),
        ('a(fisher="x + ) y") + b', ['a(fisher="x + ) y")', "b"]),
    ],
)
def test_terms_of_a_strategy(strategy, terms):
    assert terms_of(strategy) == terms


# --- fraud


def test_a_tampered_score_breaks_the_checksum(grid, store):
    folder = store(grid)
    path = next((folder / "records").glob("*mixout*-r3-*"))
    path.write_text(path.read_text().replace('"score":0.5', '"score":0.9'))
    assert checks(folder) == {"records", "completeness"}


ALL, FIRST, TWO, LAST, MIXED = slice(None), slice(1), slice(2), slice(-1, None), slice(4, None)
OTHER = "00" * 32


@pytest.mark.parametrize(
    ("where", "change", "check", "message"),
    [
        (LAST, {"result.score": 0.9}, "scores", "the score must be that of the selected epoch (0.5), got 0.9"),
        (
            LAST,
            {"result.status": "ok", "result.failed": False, "result.failed_by": None},
            "scores",
            "failed is False, but score 0.5 against 0.5 says other",
        ),
        (LAST, {"result.failed_plain": False}, "scores", "failed_plain is False"),
        (LAST, {"result.imputed": True, "result.score": 0.52}, "scores", "an imputed score must be the floor 0.5, got"),
        (LAST, {"result.predictions": []}, "scores", "a score needs the predictions that it was computed from, got"),
        (LAST, {"result.hashes.split": "00"}, "splits", "it trained on another split than"),
        (LAST, {"result.hashes": {}}, "splits", "the result lacks the hash of its head"),
        (MIXED, {"config.split_hash": OTHER, "result.hashes.split": OTHER}, "splits", "used another split than"),
        (FIRST, {"config.dev_hash": OTHER}, "splits", "used another dev set than"),
        (TWO, {"config.train_hash": "ab"}, "splits", "used other training texts (or names none) than"),
        (FIRST, {"result.hashes.head": "other"}, "pairing", "has another initial head than"),
        (FIRST, {"result.hashes.batches": "other"}, "pairing", "has another order of batches than"),
        (ALL, {"result.hashes.head": "e3b0"}, "pairing", "restarts 0-3 start from one head, which must be drawn anew"),
        (
            LAST,
            {"config.methods": {"none": 1}, "result.touched": {"none": []}},
            "strategies",
            "consists of mixout, its code is that of none",
        ),
        (LAST, {"result.touched": {"none": []}}, "strategies", "what acted was none"),
    ],
)
def test_what_is_signed_anew_must_agree_with_itself_and_the_others(grid, store, where, change, check, message):
    for record in grid[where]:
        for path, value in change.items():
            *outer, last = path.split(".")
            functools.reduce(dict.__getitem__, outer, record)[last] = value
    found = problems(store(grid))
    assert any(message in text for _, text in found) and {name for name, _ in found} <= {check, "pairing"}


def test_the_best_epoch_is_no_last_epoch(honest_record, store):
    record = honest_record(score=0.8)
    record["result"]["epochs"].append({"epoch": 2, "scores": {"accuracy": 0.7}})
    assert checks(store([record])) == {"scores"}
    record["config"]["protocol"] |= {"selection": "best_dev"}
    assert not checks(store([record], "best"))


def without(restart, *strategies):
    return lambda grid: [
        r for r in grid if r["config"]["restart"] != restart or r["config"]["strategy"] not in strategies
    ]


def cherry_picked(grid):
    """Restart 9's good run under the number of the failed one: its seeds are not those of that number."""
    seeds = {"split": 3, "init": 9, "order": 9}
    return [*grid[:-1], copy.deepcopy(grid[-2]) | {"config": grid[-1]["config"] | {"seeds": seeds}}]


def uneven_splits(grid):
    mixed = [record for record in grid if record["config"]["strategy"] == MIX]
    for record, split_seed in zip(mixed, (0, 1, 0, 0), strict=True):
        record["config"]["split_seed"] = record["config"]["seeds"]["split"] = split_seed
    return mixed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without(1, MIX), f"{MIX}: no record of restart 1, which others have"),
        (without(3, MIX), f"{MIX}: no record of restart 3, which others have"),
        (without(1, MIX, BASE), "no strategy has a record of restart 1"),
        (cherry_picked, "the seeds are not those of restart 3 (init, noise, order)"),
        (uneven_splits, "restart r must train on split r mod 2"),
    ],
)
def test_restarts_that_were_chosen_are_found(grid, store, change, message):
    assert any(message in text for _, text in problems(store(change(grid))))


def test_one_run_under_two_names_is_noted(honest_record, store):
    records = [honest_record(MIX), honest_record("none")]
    records[1]["result"] |= {key: records[0]["result"][key] for key in ("predictions", "train_loss")}
    findings, _ = verify([store(records)])
    assert [(f.check, f.problem) for f in findings] == [("strategies", False)]
    assert "equal in every prediction and loss, restart 0: mixout(w_pre, 0.7); none" in findings[0].text


def test_records_of_one_trial_that_disagree(honest_record, store):
    first, second = store([honest_record(score=0.7)], "a"), store([honest_record(score=0.8)], "b")
    findings, count = verify([first, second])
    assert count == 2 and [f.check for f in findings if f.problem] == ["duplicates"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.5825", "0.6775", "mean 0.6775"),
        (MIX, "mixout(w_pre, 0.8)", "mixout(w_pre, 0.8) has no records"),
        (MIX, "mixout(w_pre, 0.8)", "mixout(w_pre, 0.7) has records but no line"),
        ("model,", "x,", "is no table of this tool"),
    ],
)
def test_a_polished_table(grid, store, old, new, message):
    folder = store(grid)
    build([folder], folder)
    path = folder / "leaderboard.csv"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert any(message in text and check == "tables" for check, text in problems(folder))


# --- what is told


NEWER = {"torch": "2.14.0", "git": {"commit": "0", "dirty": True}}
TOLD = {
    "errors and skips": (
        [honest(BASE), honest(MIX), honest(BASE, 1, status="oom"), honest(MIX, 1, status="skipped")],
        1,
        [
            "no result but an error in restart 1",
            "NOT verified: 1 problem.",
            "note: rte 10 %, small-bert, lee20, mixout(w_pre, 0.7): skipped restart 1",
        ],
    ),
    "versions and changed checkouts": (
        [honest(restart=0), honest(restart=1) | {"environment": honest()["environment"] | NEWER}],
        0,
        ["several versions of torch: 2.13.0 (1), 2.14.0 (1)", "changes of its own"],
    ),
    "many problems are cut short": ([honest(restart=r, seeds={"split": 0}) for r in range(25)], 1, ["and 5 more"]),
}


@pytest.mark.parametrize(("records", "code", "texts"), TOLD.values(), ids=TOLD)
def test_what_is_told(store, printed, records, code, texts):
    out = printed(main, store(records), code=code)
    assert all(text in out for text in texts)


def test_an_error_is_no_problem_where_that_is_allowed(store):
    folder = store(TOLD["errors and skips"][0])
    assert checks(folder) == {"completeness"} and not problems(folder, allow_incomplete=True)


def test_a_wrong_request_exits_2(tmp_path, refused):
    assert "does not exist; give output folders" in refused(main, tmp_path / "nowhere")
    assert "no usable record found in" in refused(main, tmp_path)


def test_hostile_names_reach_the_terminal_as_text(honest_record, tmp_path, printed):
    path = write_record(tmp_path, honest_record(task="x\x1b[31m", seeds={"split": 0}))
    assert json.loads(path.read_text())["config"]["task"] == read_record(path)["config"]["task"]
    assert "\x1b" not in printed(main, tmp_path, code=1)
