"""Old records brought forward: a record of today, written as an earlier version had it, comes back as it was."""

import copy

import pytest

from benchmarks.upgrade import main
from benchmarks.verification.upgrading import RENAMED, strategy_of_today
from benchmarks.verify import main as verify
from leaderboard.records.plan import encode_plan, plan_of, read_plan
from leaderboard.records.store import read_records, write_record
from regularizers.registry import identity

FED, OLD = "mixout(w_pre, 0.7, layers=fed) + head:mixout(w_0, 0.7)", "mixout(w_pre, 0.7) + head:mixout(w_0, 0.7)"
ADDED = ("train_hash", "tokenizer", "model_config")


@pytest.fixture(scope="module")
def today(train):
    """Records of three strategies, as this version writes them."""
    return [train(strategy, epochs=1) for strategy in (FED, "none", "wdecay(w_pre, 0.1)")]


def as_before(record):
    """The record as the version before the new fields, names and failed-run rule wrote it."""
    old = copy.deepcopy(record)
    config, result = old["config"], old["result"]
    for field in ADDED:
        del config[field]
    if config["strategy"] == FED:
        config |= {"strategy": OLD, "methods": {"mixout": 1}}
        result["touched"] = {name.replace(", layers=fed", ""): names for name, names in result["touched"].items()}
    result |= {"failed": not result["failed"], "status": "ok" if result["failed"] else "failed", "threshold": -1.0}
    result["failed_by"] = "rule" if result["failed"] else None
    return old


@pytest.fixture
def bring(tmp_path, capsys):
    """Run the command on records; returns its exit code, the new records and what was said."""

    def run(given):
        records = list(given)
        for record in records:
            write_record(tmp_path / "old" / "records", record)
        (tmp_path / "old" / "plan.json").write_bytes(encode_plan(plan_of(record["config"] for record in records)))
        code = main([str(tmp_path / "old"), "--model", "pocket", "--output", str(tmp_path / "new")])
        return code, read_records([tmp_path / "new"])[0], capsys.readouterr()

    return run


def test_an_old_record_becomes_what_this_version_writes(today, bring, tmp_path):
    code, found, said = bring(map(as_before, today))
    assert code == 0 and said.out.startswith("3 records brought forward")
    assert "1 under another name, 3 judged otherwise; 0 left out" in said.out
    expected = {record["config"]["strategy"]: record for record in today}
    assert {record["config"]["strategy"] for record in found} == set(expected)
    for record in found:
        same = expected[record["config"]["strategy"]]
        assert record["config"] == same["config"] and record["result"] == same["result"]
    plan, faults = read_plan([tmp_path / "new"])
    assert not faults and {place[5] for place in plan} == set(expected)


def test_what_was_brought_forward_trains_again_to_the_same(today, bring, tmp_path, capsys):
    bring(map(as_before, today))
    assert verify([str(tmp_path / "new"), "--rerun", "3"]) == 0
    assert "losses differ by 0" in capsys.readouterr().out


def test_records_of_today_stay_as_they_are(today, bring):
    code, found, said = bring(today)
    assert code == 0 and "0 under another name, 0 judged otherwise" in said.out
    assert sorted(r["config"]["strategy"] for r in found) == sorted(r["config"]["strategy"] for r in today)


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"methods": {"none": 0}}, "it ran version 0 of none, and this code has 1"),
        ({"weights": "00" * 32}, "its weights is 0000000000000000000000000000000000000000, that of --model is "),
        ({"split_hash": "00" * 32}, "its split_hash is 000000000000, this data gives "),
        ({"dev_hash": "00" * 32}, "its dev_hash is 000000000000, this data gives "),
        ({"strategy": "gone(1)"}, "unknown regularizer 'gone'"),
    ],
)
def test_what_cannot_be_brought_forward_is_left_out_and_named(today, bring, change, sentence):
    records = [as_before(record) for record in today if record["config"]["strategy"] == "none"]
    records[0]["config"] |= change
    code, found, said = bring(records)
    assert code == 1 and not found
    assert f": {sentence}" in said.err and said.err.startswith("warning: left out: pocket-rte-")


@pytest.mark.parametrize(
    "strategy, ran, today",
    [
        ("mixout(w_pre, 0.7)", {"mixout": 1}, "mixout(w_pre, 0.7, layers=fed)"),
        ("mixout(w_pre, 0.7)", {"mixout": 2}, "mixout(w_pre, 0.7)"),
        ("mixout(w_pre, 0.7, layers=all)", {"mixout": 1}, "mixout(w_pre, 0.7, layers=all)"),
        ("head:mixout(w_0, 0.7)", {"mixout": 1}, "head:mixout(w_0, 0.7)"),
        ("dropconnect(0.1) + wdecay(0, 0.01)", {"dropconnect": 1, "wdecay": 1}, None),
    ],
)
def test_a_name_whose_meaning_changed_is_that_of_what_was_run(strategy, ran, today):
    expected = today or "dropconnect(0.1, layers=fed) + wdecay(0, 0.01)"
    assert str(strategy_of_today({"strategy": strategy, "methods": ran})) == expected


def test_the_versions_that_are_bridged_end_at_those_of_today():
    """A version raised later must be looked at before older records are given its name."""
    assert {name: new for name, (_, new) in RENAMED.items()} == {name: identity(name) for name in RENAMED}
