"""Archives of records: the same bytes for the same records, nothing private in them, read like a folder."""

import copy
import gzip
import json

import pytest

from leaderboard import export
from leaderboard.build import build
from leaderboard.merge import merge
from leaderboard.records import store as records
from leaderboard.records.labels import LABELS, encode_labels, read_labels
from leaderboard.records.logits import encode_logits
from leaderboard.records.methods import read_methods
from leaderboard.records.plan import PLAN, encode_plan, plan_of
from leaderboard.records.store import read_records
from leaderboard.verify import verify

NAME = export.NAME
TERM = {key: key for key in ("term", "name", "summary", "equation", "paper", "deviations", "cost")}
METHODS = {"mixout(w_pre, 0.7)": [TERM | {"settings": {"p": "0.7"}}]}


def lines(folder):
    return gzip.decompress((folder / NAME).read_bytes()).splitlines()


def test_an_archive_is_read_like_the_folder(realistic_records, store, tmp_path):
    folder = store(realistic_records())
    count, size, problems = export.export([folder], tmp_path / "out")
    assert (count, size, problems) == (144, (tmp_path / "out" / NAME).stat().st_size, [])
    told = [build([path], tmp_path / "table") for path in (folder, tmp_path / "out", tmp_path / "out" / NAME)]
    assert len(set(told)) == 1


def test_what_holds_nothing_private_keeps_its_checksum(realistic_records, exported, tmp_path):
    found = {record["id"]: record["checksum"] for record in exported(*realistic_records())}
    assert found == {record["id"]: record["checksum"] for record in read_records([tmp_path / "run"])[0]}


def test_the_same_records_give_the_same_bytes(realistic_records, store, tmp_path):
    entries, made = realistic_records(), []
    first, second = store(entries, "a"), store(entries[::-1], "b")
    for number, results in enumerate(([first], [second], [second, first], [tmp_path / "0"])):
        export.export(results, tmp_path / str(number))
        made.append((tmp_path / str(number) / NAME).read_bytes())
    assert len(set(made)) == 1
    assert made[0][4:8] == bytes(4), "an archive must hold no time"


@pytest.fixture
def exported(store, tmp_path):
    """Return a function that exports records and returns what is read of the archive."""

    def run(*entries):
        export.export([store(list(entries))], tmp_path / "out")
        found, problems = read_records([tmp_path / "out"])
        assert not problems and len(found) == len(entries)
        return found

    return run


def test_private_things_stay_at_home(honest_record, exported, tmp_path):
    entry = honest_record(restart=1, status="error")
    reason = "OSError: /home/jane/x.py: C:\\Users\\jane, \\\\host\\share file:///srv/y ~/z jane@host.example and/or 1/2"
    entry["result"] |= {"reason": reason, "traceback": ["File /home/jane/x.py"], "output": ["jane"]}
    entry["environment"] |= {"hostname": "janes-machine", "user": "jane", "device": "NVIDIA H200"}
    entry["environment"] |= {"gpu": "GPU-8f3c-1234-janes-own"}
    found = exported(honest_record(), entry)
    text = b"\n".join(lines(tmp_path / "out")).decode()
    assert "jane" not in text and "/srv" not in text and "~" not in text
    assert {r["id"] for r in found} == {r["id"] for r in read_records([tmp_path / "run"])[0]}
    error = next(record for record in found if record["result"]["status"] == "error")
    assert error["result"]["reason"] == "OSError: PATH: PATH, PATH PATH PATH ADDRESS and/or 1/2"
    assert error["environment"]["device"] == "NVIDIA H200"


def test_logits_are_no_paths_and_predictions_have_six_digits(honest_record, exported):
    entry = honest_record()
    entry["result"] |= {"logits": encode_logits([[at / 7, -at / 11] for at in range(4000)])}
    entry["result"] |= {"predictions": [1.23456789, 2.0]}
    assert "+/" in entry["result"]["logits"]["float16"], "what would begin a path in a text"
    (found,) = exported(entry)
    assert found["result"]["logits"] == entry["result"]["logits"]
    assert found["result"]["predictions"] == [1.234568, 2.0]


def test_an_identity_with_a_path_cannot_be_published(honest_record, store, tmp_path, refused, refusal):
    entry = honest_record('guided_dropout(0, 0.1, fisher="/home/jane/scores.safetensors")')
    error = refused(export.main, store([entry]), "--output", tmp_path / "out")
    assert "config.strategy must name no path to be published, got '/home/jane/scores.safetensors'" in error
    assert not (tmp_path / "out").exists()
    entry = honest_record(fisher={"/home/jane/s": {}})
    assert "a key of config.fisher must name no path" in refusal(
        export.portable, read_records([store([entry], "two")])[0][0]
    )


def test_a_result_replaces_an_error_and_differing_results_are_refused(honest_record, store, tmp_path, refusal):
    good, bad = store([honest_record()], "good"), store([honest_record(status="oom")], "bad")
    export.export([bad, good], tmp_path / "out")
    assert [json.loads(line)["result"]["status"] for line in lines(tmp_path / "out")] == ["ok"]
    other = store([honest_record(score=0.9)], "other")
    assert "two records of this trial disagree; find out which one is right" in refusal(
        export.export, [good, other], tmp_path / "out"
    )


def test_unusable_files_are_named(honest_record, store, tmp_path, capsys):
    folder = store([honest_record()])
    (folder / "records" / "half.json").write_text("{")
    assert export.main([str(folder), "--output", str(tmp_path / "out")]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("1 records in ") and "left out:" in err and "half.json" in err


@pytest.mark.parametrize(
    ("argv", "message"),
    [(["nowhere"], "nowhere does not exist"), (["empty"], "no usable record found in empty; give the --output folder")],
)
def test_a_wrong_request_exits_2(tmp_path, monkeypatch, refused, argv, message):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert message in refused(export.main, *argv, "--output", "out") and not (tmp_path / "out").exists()


def test_a_run_s_folder_takes_no_archive(honest_record, store, refused):
    """Whoever reads such a folder finds its records, not the archive."""
    folder = store([honest_record()])
    before = sorted(path.name for path in folder.rglob("*"))
    said = f"records.jsonl.gz must go to a folder without records/, got {folder}, which is that of a run; name another"
    assert refused(export.main, folder, "--output", folder) == f"error: {said}\n"
    assert sorted(path.name for path in folder.rglob("*")) == before


def test_of_an_earlier_export_nothing_stays_that_is_said_no_more(honest_record, store, tmp_path):
    first, out = honest_record(), tmp_path / "out"
    folder, others = store([first], "one"), store([honest_record("none")], "two")
    (folder / "methods.json").write_text(json.dumps(METHODS))
    (folder / PLAN).write_bytes(encode_plan(plan_of([first["config"]])))
    export.export([folder], out)
    assert sorted(path.name for path in out.iterdir()) == ["methods.json", "plan.json", "records.jsonl.gz"]
    export.export([others], out)
    assert [path.name for path in out.iterdir()] == ["records.jsonl.gz"]
    for name in ("methods.json", "plan.json"):
        (out / name).write_text("3, my own")
    export.export([others], out)
    assert [(out / name).read_text() for name in ("methods.json", "plan.json")] == ["3, my own"] * 2


# --- damaged archives


def packed(path, *contents):
    path.write_bytes(gzip.compress(b"".join(contents)))
    return read_records([path])


def test_a_bad_line_spoils_no_other(honest_record, tmp_path):
    _, first = records.encode_record(honest_record())
    _, second = records.encode_record(honest_record(restart=1))
    good, bad = packed(tmp_path / "a.jsonl.gz", first, b"{}\n", second.replace(b'"score":0.7', b'"score":0.8'), second)
    assert [record["config"]["restart"] for record in good] == [0, 1]
    assert "a.jsonl.gz, line 2: not a record" in str(bad[0])
    assert "line 3: the checksum does not match the content" in str(bad[1])


def test_a_truncated_archive_gives_what_is_whole(honest_record, tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(records.encode_record(honest_record(restart=r))[1] for r in range(20))))
    data = path.read_bytes()
    for length in (0, 5, 20, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        good, bad = read_records([path])
        assert len(good) <= 20 and (len(bad) == 1 or length == 0), (length, bad)
        assert all("the archive cannot be read after line" in str(problem) for problem in bad)


NO_ARCHIVES = {
    "text": b"plain text",
    "head": b"\x1f\x8b" + b"\xff" * 50,
    "length": gzip.compress(b"x", mtime=0)[:-4] + b"abcd",
}


@pytest.mark.parametrize("data", NO_ARCHIVES.values(), ids=NO_ARCHIVES)
def test_what_is_no_archive(tmp_path, data):
    (tmp_path / "a.jsonl.gz").write_bytes(data)
    good, bad = read_records([tmp_path])
    assert not good and 1 <= len(bad) <= 2 and all("a.jsonl.gz" in str(problem) for problem in bad)


def test_bombs_are_left_early(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "MAX_BYTES", 1000)
    good, bad = packed(tmp_path / "long.jsonl.gz", b" " * 100_000)
    assert not good and "must not exceed 1000 bytes" in str(bad[0]) and len(bad) == 2
    good, bad = packed(tmp_path / "many.jsonl.gz", b"\n" * 100_000)
    assert not good and len(bad) == records.MAX_BAD_LINES + 1
    assert str(bad[-1]).endswith("not read after line 100; an archive holds one record a line")


# --- descriptions


def test_descriptions_travel_along(honest_record, store, tmp_path):
    folder = store([honest_record()])
    (folder / "methods.json").write_text(json.dumps(METHODS | {"none": []}))
    export.export([folder / "records"], tmp_path / "out")
    assert read_methods([tmp_path / "out"]) == (METHODS, [])
    assert not [finding for finding in verify([tmp_path / "out"])[0] if finding.problem]


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"none": [{}]}',
        json.dumps({"none": [METHODS["mixout(w_pre, 0.7)"][0] | {"settings": {"p": 0.7}}]}).encode(),
        b" " * (4 * 1024 * 1024 + 1),
    ],
)
def test_descriptions_that_are_none_are_named(tmp_path, content):
    (tmp_path / "methods.json").write_bytes(content)
    methods, faults = read_methods([tmp_path])
    assert not methods and "methods.json: must be an object of lists of terms" in str(faults[0])


def test_of_two_descriptions_the_first_is_kept(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        changed = copy.deepcopy(METHODS)
        changed["mixout(w_pre, 0.7)"][0]["summary"] = name
        (tmp_path / name / "methods.json").write_text(json.dumps(changed))
    assert read_methods([tmp_path / "b", tmp_path / "a"])[0]["mixout(w_pre, 0.7)"][0]["summary"] == "b"


@pytest.fixture
def labelled(honest_record, store):
    """A run on an embedded task and on another, each with the labels of its dev set, and with those of no record."""
    folder = store([honest_record(task="pocket-rte", dev_hash="a" * 64), honest_record(dev_hash="b" * 64)])
    (folder / LABELS).write_bytes(encode_labels({"a" * 64: [0, 1], "b" * 64: [1, 1], "c" * 64: [0, 0]}))
    return folder


def published(folder):
    return {name[0]: values.tolist() for name, values in read_labels([folder])[0].items()}


def test_labels_of_embedded_tasks_are_published_and_others_only_on_request(labelled, tmp_path):
    out = tmp_path / "out"
    assert export.main([str(labelled), "--output", str(out), "--with-labels"]) == 0
    assert published(out) == {"a": [0, 1], "b": [1, 1]}
    assert export.main([str(labelled), "--output", str(out)]) == 0
    assert published(out) == {"a": [0, 1]}
    (labelled / LABELS).unlink()
    assert export.main([str(labelled), "--output", str(out)]) == 0
    assert not (out / LABELS).exists(), "what an earlier export wrote"


def test_a_board_takes_the_labels_of_submissions_and_none_of_a_run(labelled, tmp_path):
    assert merge([labelled], tmp_path / "board")[2] is None
    assert published(tmp_path / "board") == {}
    export.export([labelled], tmp_path / "out")
    assert merge([tmp_path / "out"], tmp_path / "board")[2] is None
    assert published(tmp_path / "board") == {"a": [0, 1]}
    assert merge([labelled], tmp_path / "board")[2] is None
    assert published(tmp_path / "board") == {"a": [0, 1]}, "the board keeps its own"
