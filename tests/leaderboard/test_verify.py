"""What records alone can show: every kind of fraud that the checks are for is committed here, by a careful forger."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.trial.seeds import derive
from leaderboard.build import build
from leaderboard.record_audit import seed_of, terms_of
from leaderboard.records.store import read_record, write_record
from leaderboard.verify import main, verify

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


def test_honest_results_pass(grid, store, capsys):
    folder = store(grid)
    build([folder], folder)
    assert main([str(folder)]) == 0
    out = capsys.readouterr().out
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": 0.9}, "the score must be that of the selected epoch (0.5), got 0.9"),
        ({"status": "ok", "failed": False, "failed_by": None}, "failed is False, but score 0.5 against 0.5 says other"),
        ({"failed_plain": False}, "failed_plain is False"),
        ({"imputed": True, "score": 0.52}, "an imputed score must be the floor 0.5, got 0.52"),
        ({"predictions": []}, "a score needs the predictions that it was computed from, got none"),
        ({"hashes": {"head": "head 3", "batches": "batches 3", "split": "00"}}, "it trained on another split than"),
        ({"hashes": {}}, "the result lacks the hash of its head"),
    ],
)
def test_a_result_signed_anew_must_agree_with_itself(grid, store, change, message):
    grid[-1]["result"] |= change
    assert any(message in text for _, text in problems(store(grid)))


def test_the_best_epoch_is_no_last_epoch(honest_record, store):
    record = honest_record(score=0.8)
    record["result"]["epochs"].append({"epoch": 2, "scores": {"accuracy": 0.7}})
    assert checks(store([record])) == {"scores"}
    record["config"]["protocol"] |= {"selection": "best_dev"}
    assert not checks(store([record], "best"))


@pytest.mark.parametrize("restart", [1, 3])
def test_a_dropped_restart(grid, store, restart):
    """Of one strategy, in the middle or at the end."""
    kept = [r for r in grid if (r["config"]["strategy"], r["config"]["restart"]) != (MIX, restart)]
    assert any(
        text.endswith(f"{MIX}: no record of restart {restart}, which others have") for _, text in problems(store(kept))
    )


def test_a_restart_dropped_everywhere(grid, store):
    kept = [r for r in grid if r["config"]["restart"] != 1]
    assert any("no strategy has a record of restart 1" in text for _, text in problems(store(kept)))


def test_cherry_picked_seeds(grid, store):
    """Restart 9's good run under the number of the failed one: its seeds are not those of that number."""
    grid[-1] = copy.deepcopy(grid[-2]) | {"config": grid[-1]["config"] | {"seeds": {"split": 3, "init": 9, "order": 9}}}
    assert any("the seeds are not those of restart 3 (init, noise, order)" in text for _, text in problems(store(grid)))


def test_a_changed_split(grid, store):
    for record in grid[4:]:
        record["config"] |= {"split_hash": "00" * 32}
        record["result"]["hashes"] |= {"split": "00" * 32}
    assert checks(store(grid)) == {"splits"}


def test_another_dev_set(grid, store):
    grid[0]["config"] |= {"dev_hash": "00" * 32}
    assert "splits" in checks(store(grid))


def test_split_seeds_follow_the_restart(honest_record, store):
    records = [honest_record(restart=r) for r in range(4)]
    for record, split_seed in zip(records, (0, 1, 0, 0), strict=True):
        record["config"]["split_seed"] = record["config"]["seeds"]["split"] = split_seed
    assert any("restart r must train on split r mod 2" in text for _, text in problems(store(records)))


@pytest.mark.parametrize(("key", "what"), [("head", "initial head"), ("batches", "order of batches")])
def test_unpaired_runs(grid, store, key, what):
    grid[0]["result"]["hashes"] |= {key: "other"}
    assert any(what in text for check, text in problems(store(grid)) if check == "pairing")


def test_restarts_that_start_from_one_head_are_flagged(grid, store):
    """A classifier that came with the checkpoint and was kept."""
    for record in grid:
        record["result"]["hashes"]["head"] = "e3b0"
    found = [text for check, text in problems(store(grid)) if check == "pairing"]
    assert len(found) == 1 and found[0].endswith(
        ": restarts 0-3 start from one head, which must be drawn anew for every restart"
    )


def test_training_texts_that_differ_within_a_split_are_flagged(grid, store):
    for record in grid[:2]:
        record["config"]["train_hash"] = "ab"
    assert any("used other training texts (or names none) than" in text for _, text in problems(store(grid)))


def test_a_strategy_under_anothers_name(grid, store):
    """`none` sold as mixout: its code and what acted say otherwise."""
    grid[-1]["config"] |= {"methods": {"none": 1}}
    grid[-1]["result"] |= {"touched": {"none": []}}
    texts = [text for check, text in problems(store(grid)) if check == "strategies"]
    assert any("consists of mixout, its code is that of none" in text for text in texts)
    assert any("what acted was none" in text for text in texts)


def test_one_run_under_two_names_is_noted(honest_record, store):
    records = [honest_record(MIX), honest_record("none")]
    for key in ("predictions", "train_loss"):
        records[1]["result"][key] = records[0]["result"][key]
    findings, _ = verify([store(records)])
    assert [(f.check, f.problem) for f in findings] == [("strategies", False)]
    assert "equal in every prediction and loss, restart 0: mixout(w_pre, 0.7); none" in findings[0].text


def test_records_of_one_trial_that_disagree(honest_record, store):
    first, second = store([honest_record(score=0.7)], "a"), store([honest_record(score=0.8)], "b")
    findings, count = verify([first, second])
    assert count == 2 and [f.check for f in findings if f.problem] == ["duplicates"]


def test_a_polished_table(grid, store):
    folder = store(grid)
    build([folder], folder)
    path = folder / "leaderboard.csv"
    path.write_text(path.read_text().replace("0.5825", "0.6775"))
    assert [text for check, text in problems(folder) if "mean 0.6775" in text and check == "tables"]
    path.write_text("no table")
    assert any("is no table of this tool" in text for _, text in problems(folder))


def test_a_table_with_a_line_too_many_and_one_too_few(grid, store):
    folder = store(grid)
    build([folder], folder)
    path = folder / "leaderboard.csv"
    path.write_text(path.read_text().replace(MIX, "mixout(w_pre, 0.8)"))
    texts = [text for _, text in problems(folder)]
    assert any("mixout(w_pre, 0.8) has no records" in text for text in texts)
    assert any("mixout(w_pre, 0.7) has records but no line" in text for text in texts)


# --- what is told


def test_errors_and_skips(honest_record, store, capsys):
    records = [honest_record(name, r) for name in (BASE, MIX) for r in range(2)]
    records[1] = honest_record(BASE, 1, status="oom")
    records[3] = honest_record(MIX, 1, status="skipped")
    folder = store(records)
    assert checks(folder) == {"completeness"}
    assert not problems(folder, allow_incomplete=True)
    assert main([str(folder)]) == 1
    out = capsys.readouterr().out
    assert "no result but an error in restart 1" in out and "NOT verified: 1 problem." in out
    assert "note: rte 10 %, small-bert, lee20, mixout(w_pre, 0.7): skipped restart 1" in out


def test_versions_and_changed_checkouts_are_notes(grid, store, capsys):
    grid[0]["environment"] |= {"torch": "2.14.0", "git": {"commit": "0", "dirty": True}}
    assert main([str(store(grid))]) == 0
    out = capsys.readouterr().out
    assert "several versions of torch: 2.13.0 (7), 2.14.0 (1)" in out and "changes of its own" in out


def test_many_problems_are_cut_short(honest_record, store, capsys):
    records = [honest_record(restart=r, seeds={"split": 0}) for r in range(25)]
    assert main([str(store(records))]) == 1
    assert "and 5 more" in capsys.readouterr().out


def test_a_wrong_request_exits_2(tmp_path, capsys):
    assert main([str(tmp_path / "nowhere")]) == 2
    assert "does not exist; give output folders" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 2
    assert "no usable record found in" in capsys.readouterr().err


def test_hostile_names_reach_the_terminal_as_text(honest_record, tmp_path, capsys):
    path = write_record(tmp_path, honest_record(task="x\x1b[31m", seeds={"split": 0}))
    assert json.loads(path.read_text())["config"]["task"] == read_record(path)["config"]["task"]
    assert main([str(tmp_path)]) == 1
    assert "\x1b" not in capsys.readouterr().out


def test_names_in_any_script_are_shown_on_any_terminal(honest_record, store):
    """A record lacks whose strategy ASCII cannot write."""
    name = "gr\u00f6\u00dfe(0.1)"
    folder = store([honest_record(name), *(honest_record("none", restart) for restart in range(2))])
    command = [sys.executable, "-m", "leaderboard.verify", str(folder)]
    said = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, text=True
    )
    assert (said.returncode, said.stderr) == (1, "")
    assert "gr\\xf6\\xdfe(0.1): no record of restart 1" in said.stdout
