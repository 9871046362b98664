"""Results against their data and code: forged scores, predictions, splits and strategies, and training again."""

import copy
import dataclasses
import re
from argparse import Namespace

import pytest

from benchmarks import verify
from benchmarks.data.origin import Origin
from benchmarks.trial.inputs import labels_of
from benchmarks.verification import checks as verification
from benchmarks.verification import retraining as rerun
from leaderboard.export import export
from leaderboard.records.labels import LABELS, encode_labels
from leaderboard.records.store import write_record

MIX = "mixout(w_pre, 0.7)"


@pytest.fixture(scope="module")
def trained(train):
    """Two real trials of one restart, as records without id and checksum."""
    return {strategy: train(strategy) for strategy in ("none", MIX)}


@pytest.fixture
def records(trained):
    return copy.deepcopy(trained)


@pytest.fixture
def check(tmp_path, capsys):
    """Write records, run the command on them, return exit code, output and errors."""

    def run(records, *argv):
        for record in records.values():
            write_record(tmp_path / "records", record)
        code = verify.main([str(tmp_path), "--offline", *argv])
        return (code, *capsys.readouterr())

    return run


def forge(record, **changes):
    """A score that agrees with its epochs, as `leaderboard.verify` wants it."""
    record["result"] |= changes
    record["result"]["epochs"][-1]["scores"]["accuracy"] = record["result"]["score"]


def test_real_results_pass_and_so_does_training_them_again(records, check):
    code, out, err = check(records, "--rerun", "5", "--seed", "1")
    assert (code, err) == (0, "") and "Verified: no problem." in out
    assert "training 2 of 2 trials again (--seed 1); their losses must agree on average within 0.001" in out
    assert len(re.findall(r"score (\S+), again \1; 400 of 400 predictions equal; losses differ by 0\n", out)) >= 2


def test_an_archive_is_checked_like_a_folder(records, tmp_path):
    for record in records.values():
        write_record(tmp_path / "records", record)
    export([tmp_path / "records"], tmp_path / "out")
    assert verify.main([str(tmp_path / "out"), "--offline"]) == 0


def test_labels_next_to_records_are_compared_with_the_data(records, check, tmp_path):
    config = next(iter(records.values()))["config"]
    labels = list(labels_of(Origin(None, None, offline=True).load(config["task"], ()).dev))
    (tmp_path / LABELS).write_bytes(encode_labels({config["dev_hash"]: labels}))
    assert check(records)[0] == 0
    (tmp_path / LABELS).write_bytes(encode_labels({config["dev_hash"]: [1 - labels[0], *labels[1:]]}))
    code, out, _ = check(records)
    assert code == 1
    assert f"labels.json: the labels of dev set {config['dev_hash'][:12]} are not those of this data" in out


GOOD = {"status": "ok", "failed": False, "failed_by": None, "failed_plain": False}
READ = ("name", "metric", "data", "selection", "precision")  # what `leaderboard.verify` wants of a protocol


def changed(*strategies, **blocks):
    """Update blocks of these strategies' records, or of all."""

    def change(records):
        for strategy in strategies or records:
            for block, fields in blocks.items():
                records[strategy][block] |= fields

    return change


def other_split(records):
    """For all strategies alike, so that records alone show nothing."""
    for record in records.values():
        record["config"]["split_hash"] = record["result"]["hashes"]["split"] = "00" * 32


def other_protocol(records):
    protocol = records[MIX]["config"]["protocol"]
    records[MIX]["config"]["protocol"] = {key: protocol[key] for key in READ} | {"epoch": 3}


def better_score(records):
    forge(records[MIX], score=0.9, **GOOD)


def lower_floor(records):
    score = records[MIX]["result"]["score"]
    forge(records[MIX], floor=score - 0.1, threshold=score - 0.1, **GOOD)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (better_score, r"problem: pocket-rte-.*: score is 0\.9, its predictions and the labels give 0\."),
        (lower_floor, r"floor is 0\.\d+, its predictions and the labels give 0\."),
        (changed(MIX, result={"predictions": [0] * 399}), "399 predictions for 400 labels"),
        (changed(MIX, config={"dev_hash": "00" * 32}), "it names the dev set 000000000000, this data gives "),
        (changed(MIX, config={"methods": {"mixout": 99}}), r"it ran methods {'mixout': 99}, this code has {'mixout': "),
        (changed(config={"train_hash": "00" * 32}), "it names the training texts 000000000000, this data gives "),
        (other_split, "it names the split 000000000000, this data gives "),
        (
            changed(
                MIX,
                config={"strategy": "mixout(w_pre, 0.70)"},
                result={"touched": {"mixout(w_pre, 0.70)": ["layer"]}},
            ),
            r"the strategy must be written mixout\(w_pre, 0.7\), got mixout\(w_pre, 0.70\)",
        ),
        (other_protocol, "cannot be checked: its protocol differs from this code's in batch_size, "),
        (changed(MIX, config={"task": "pocket-xyz"}), "cannot be checked: unknown task 'pocket-xyz'"),
        (
            changed(MIX, config={"strategy": "mixuot(w_pre, 0.7)"}),
            r"cannot be checked: unknown regularizer 'mixuot'; did you mean mixout\?",
        ),
        (changed(MIX, config={"task": "pocket-mrpc"}), "it names the split"),
    ],
)
def test_what_is_not_that_of_data_or_code_is_a_problem(records, check, change, message):
    change(records)
    code, out, _ = check(records)
    assert code == 1 and re.search(message, out)
    assert change not in (better_score, lower_floor) or "  scores         ok" in out, "as records alone can tell"


def test_a_strategy_sold_under_anothers_name_is_found_by_training(records, check):
    """`none` as mixout, with everything changed that records can show."""
    records[MIX]["result"] = records["none"]["result"] | {"touched": {MIX: ["layer"]}}
    code, out, _ = check(records)
    assert code == 0 and "equal in every prediction and loss" in out
    code, out, _ = check(records, "--rerun", "2", "--seed", "0")
    assert code == 1 and re.search(r"problem: .*mixout.*: score .*; training losses differ by ", out)


@pytest.mark.parametrize(
    "field, sentence",
    [
        ("weights", "weights are 000000000000, those of --model "),
        ("tokenizer", "tokenizer is 000000000000, that of --model "),
        ("model_config", "model configuration is 000000000000, that of --model "),
    ],
)
def test_records_of_another_model_are_not_trained_again(records, check, field, sentence):
    changed(config={field: "00" * 32})(records)
    code, out, _ = check(records, "--rerun", "1")
    assert code == 1 and f"its {sentence}" in out


def test_a_record_that_names_no_training_texts_is_readable(records, check):
    for record in records.values():
        del record["config"]["train_hash"]  # as records made before the field
    assert "training texts" not in check(records)[1]


def test_scores_from_an_unknown_corpus_are_told(records, check):
    recipe = {"samples": 3, "seed": 0, "objective": "mlm", "max_length": 0, "corpus_hash": "00"}
    records[MIX]["config"] |= {"fisher": {"estimate": recipe}}
    code, out, _ = check({MIX: records[MIX]}, "--rerun", "1")
    assert code == 1 and "it cannot be trained again: its Fisher scores have another corpus or recipe here" in out


def test_another_stored_target_is_told(records, check, tmp_path):
    target = tmp_path / "target.safetensors"
    records[MIX]["config"] |= {"strategy": f"mixout({target}, 0.5)", "files": {str(target): "00"}}
    missing = check({MIX: records[MIX]}, "--rerun", "1")
    target.write_bytes(b"other")
    other = check({MIX: records[MIX]}, "--rerun", "1")
    for (code, out, _), said in ((missing, "no such file"), (other, "else here")):
        assert code == 1 and "it cannot be trained again: " in out and said in out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--rerun", "-1"], "--rerun must be at least 0, got -1"),
        (["--threads", "0"], "--threads must be at least 1, got 0"),
        (["--tolerance", "nan"], "--tolerance must be at least 0, got nan"),
        (["--loss-tolerance", "nan"], "--loss-tolerance must be at least 0, got nan"),
        (["--data-dir", "./nowhere"], "--data-dir must be an existing folder, got ./nowhere"),
        (["--rerun", "1", "--model", "./nowhere"], "--model must be a hub id or an existing folder"),
        (["--rerun", "1"], "--model must be given to train trials of bert-large-uncased again"),
    ],
)
def test_a_wrong_request_exits_2(records, check, argv, message):
    changed(config={"model": "bert-large-uncased"})(records)
    code, _, err = check(records, *argv)
    assert code == 2 and err.startswith("error: ") and message in err


def test_a_trial_that_fell_back_to_small_micro_batches_is_trained_again_with_them(train, resources, check):
    """Their masks are others than those of the whole batch, so its losses are too."""
    record = train("dropout(0.1)", on=dataclasses.replace(resources, micro_batch=4))
    assert record["result"]["micro_batch"] == 4
    code, out, _ = check({"small": record}, "--rerun", "1")
    assert code == 0 and "400 of 400 predictions equal; losses differ by 0\n" in out
    for size in (17, -1, True, "4"):
        record["result"]["micro_batch"] = size
        code, out, _ = check({"small": record}, "--rerun", "1")
        assert code == 1 and f"micro_batch must be a whole number from 0 to batch_size (16), got {size!r}" in out


def test_predictions_are_kept_only_for_training_again(records):
    record = records["none"] | {"id": "x"}
    for keep in (False, True):
        found = verification.Check(Origin(offline=True), keep=keep)
        found(record)
        assert len(found.results) == keep and not found.findings


# --- the pieces


def test_which_trials_are_drawn_depends_on_the_seed_alone():
    records = [{"id": str(number)} for number in range(20)]
    first = rerun.sample(records, 5, 1)
    assert first == rerun.sample(records[::-1], 5, 1) != rerun.sample(records, 5, 2)
    assert len({record["id"] for record in first}) == 5 and len(rerun.sample(records, 99, 1)) == 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, ""),
        ({"score": 0.72}, ""),
        ({"score": 0.73}, "scores differ by 0.03, more than 0.02"),
        ({"train_loss": [0.5, 0.4019]}, ""),
        ({"train_loss": [0.5, 0.403]}, "training losses differ by 0.0015 on average, more than 0.001"),
        ({"train_loss": [0.5]}, "2 training losses, again 1"),
        ({"hashes": {"head": "x", "batches": "b"}}, "another head"),
    ],
)
def test_how_far_a_repetition_may_be_off(change, message):
    result = {"score": 0.7, "train_loss": [0.5, 0.4], "predictions": [0, 1], "hashes": {"head": "h", "batches": "b"}}
    found = rerun.compared({"id": "x", "result": result}, {"result": result | change}, 0.02 + 1e-12, 1e-3)
    assert found.problem == bool(message) and message in found.text


def test_a_repetition_that_breaks_is_a_problem(records, monkeypatch):
    given = Namespace(model=None, offline=True, data_dir=None, task_file=None, plugin=[], threads=1, tolerance=0.02)
    broken = {"result": {"status": "oom", "reason": "no memory"}}
    monkeypatch.setattr(rerun, "execute", lambda config, resources: broken)
    record = records["none"] | {"id": "x"}
    assert rerun.Retrainer(given, [record]).compare(record).text == "x: it ended in oom: no memory"


def test_the_records_of_a_folder_are_as_they_were(records, check, tmp_path):
    paths = [write_record(tmp_path / "records", record) for record in records.values()]
    before = {path: path.read_bytes() for path in paths}
    assert check({}, "--rerun", "1")[0] == 0
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
