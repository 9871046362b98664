"""Records: atomic writing, checksums, and that reading fails only with a sentence that names the file."""

import json
import math
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leaderboard.build import build
from leaderboard.records import identity, schema
from leaderboard.records import store as records
from leaderboard.records.identity import config_hash
from leaderboard.records.schema import RecordError
from leaderboard.records.store import read_record, read_records, write_record


def resigned(record: dict) -> bytes:
    """Return a record's bytes with the checksum that belongs to its content, as a careful forger would write it."""
    body = {key: value for key, value in record.items() if key != "checksum"}
    return json.dumps(body | {"checksum": identity.digest(identity.dump(body))}).encode()


# --- writing


def test_a_record_comes_back_as_it_was_written(record, tmp_path):
    given = record(0.1 + 0.2)
    path = write_record(tmp_path / "records", given)
    back = read_record(path)
    assert {key: back[key] for key in given} == given
    assert path.name == f"{back['id']}.json" and back["schema"] == 1
    assert os.listdir(path.parent) == [path.name]


def test_writing_again_replaces_an_error_and_is_idempotent(record, tmp_path):
    first = write_record(tmp_path, record(None, status="timeout"))
    assert not schema.is_done(read_record(first))
    second = write_record(tmp_path, read_record(write_record(tmp_path, record(0.7))))
    assert first == second and read_record(first)["result"]["score"] == 0.7
    assert len(os.listdir(tmp_path)) == 1


@pytest.mark.parametrize(
    ("status", "change", "message"),
    [
        ("ok", {"score": 71.2}, "result.score must be a number in [-1, 1], got 71.2"),
        ("ok", {"score": None}, "result.score must be a number in [-1, 1], got None"),
        ("ok", {"failed": True}, "result.failed must be false, got True"),
        ("failed", {"failed_by": "luck"}, "result.failed_by must be one of rule, chance, diverged, got 'luck'"),
        ("error", {"score": 0.0}, "result.score must be null, got 0.0"),
        ("error", {"reason": None}, "result.reason must be a text, got None"),
        ("ok", {"status": "fine"}, "result.status must be one of ok, failed, skipped, error, oom, timeout, killed"),
        ("ok", {"seconds": {}}, "result.seconds.total is missing; it must be a number >= 0"),
        ("ok", {"peak_memory": -1}, "result.peak_memory must be a number >= 0 or null, got -1"),
        ("ok", {"train_loss": [math.nan]}, "numbers in a record must be finite, got nan"),
        ("ok", {"note": "\ud800"}, "texts in a record must be valid Unicode, got a lone surrogate"),
    ],
)
def test_a_wrong_result_is_not_written(record, tmp_path, status, change, message, refusal):
    assert message in refusal(write_record, tmp_path, record(0.5, status=status, result=change))
    assert os.listdir(tmp_path) == []


def test_the_content_is_on_disk_before_the_name(record, tmp_path, monkeypatch):
    steps = []
    replace = os.replace
    monkeypatch.setattr(os, "fsync", lambda number: steps.append(stat.S_ISDIR(os.fstat(number).st_mode)))
    monkeypatch.setattr(os, "replace", lambda old, new: (steps.append("rename"), replace(old, new)))
    write_record(tmp_path, record())
    assert steps == [False, "rename", True]  # file, rename, folder


def test_a_folder_that_is_a_file_is_a_sentence(record, tmp_path, refusal):
    (tmp_path / "records").write_text("")
    assert re.search(r"record .* cannot be written: ", refusal(write_record, tmp_path / "records", record()))


# --- reading


def test_each_truncation_is_a_sentence_and_costs_one_record(record, tmp_path, refusal):
    other = write_record(tmp_path, record(0.6, restart=1))
    path = write_record(tmp_path, record(0.7))
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 64):
        path.write_bytes(whole[:length])
        assert re.search(f"{path.name}: not valid JSON .* truncated, corrupt or no record", refusal(read_record, path))
    good, problems = read_records([tmp_path])
    assert [item["id"] for item in good] == [other.stem]
    assert [problem.path for problem in problems] == [path]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not valid JSON"),
        (b"\xff\xfe\x00", "not UTF-8 text"),
        (b"[]", "not a record: it must be an object with the key 'schema'"),
        (b'{"name": "some other tool"}', "not a record"),
        (b'{"schema": 2}', "schema must be 1, got 2; it needs another version of this tool"),
        (b'{"schema": true}', "schema must be 1, got True"),
        (b'{"schema": 1}', "id is missing"),
        (b'{"schema": 1, "schema": 1}', "a key occurs twice in one object"),
        (b'{"schema": NaN}', "numbers must be finite, got NaN"),
        (b'{"schema": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b'{"schema": 1, "id": ' + b"[" * 40 + b"]" * 40 + b"}", "must not nest deeper than 32 levels"),
        (b"[" * 100_000, "must not nest deeper than 32 levels"),
    ],
)
def test_foreign_files_are_refused(tmp_path, data, message, refusal):
    path = tmp_path / "x.json"
    path.write_bytes(data)
    assert re.search(f"x.json: .*{re.escape(message)}", refusal(read_record, path))


def edited(path: Path, change: Callable[[bytes], bytes]) -> Path:
    path.write_bytes(change(path.read_bytes()))
    return path


def forged(path: Path, **config: object) -> Path:
    """A record whose config was changed and signed anew."""
    record = read_record(path)
    record["config"] |= config
    return edited(path, lambda _: resigned(record))


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (
            lambda path: edited(path, lambda data: data.replace(b'"score":0.7,', b'"score":0.9,')),
            "the checksum does not match the content",
        ),
        (lambda path: forged(path, strategy="mixout(w_pre, 0.7)"), "does not belong to its config"),
        (
            lambda path: path.rename(path.with_name("other.json")),
            r"the file must be named rte-.*\.json after the trial that it holds",
        ),
        (lambda path: pipe(path.with_name("pipe.json")), r"pipe\.json: cannot be read: it must be a regular file"),
        (lambda path: path.with_name("a.json"), r"a\.json: cannot be read: No such file"),
    ],
)
@pytest.mark.parametrize("is_planned", [False, True])
def test_what_is_not_as_it_was_written_is_refused(record, tmp_path, damaged, message, is_planned, refusal):
    path = write_record(tmp_path, record(0.7))
    planned = {path.stem, "other", "a", "pipe"} if is_planned else ()
    assert re.search(message, refusal(read_record, damaged(path), planned=planned))


@pytest.mark.parametrize("second", ["", "config", r"conf\u0069g"])
def test_the_config_of_a_planned_record_is_that_of_its_id(record, tmp_path, second, refusal):
    """What a forger writes behind the planned config does not count, and its own text alone makes a planned record."""
    path = write_record(tmp_path, record(0.7))
    assert read_record(path, planned=[path.stem]) == read_record(path)
    text = identity.dump(read_record(path)["config"])
    other = text.replace('"restart":0', '"restart":1')
    body = identity.dump({key: value for key, value in read_record(path).items() if key != "checksum"})
    body = body.replace(f'"config":{text}', f'"config":{text},"{second}":{other}' if second else f'"config":{other}')
    path.write_text(f'{{"checksum":"{identity.digest(body)}",{body[1:]}\n')
    for planned in ((), [path.stem]):
        assert "does not belong to its config" in refusal(read_record, path, planned=planned)


@pytest.mark.parametrize("number", ["1e999", "1e999 ", "1E+0309\n", f"1{'0' * 309}.0", f"{'9' * 210}e99"])
def test_an_infinite_number_is_refused_where_a_forger_has_signed_it(record, tmp_path, number, refusal):
    path = write_record(tmp_path, record(0.7))
    body = identity.dump({key: value for key, value in read_record(path).items() if key != "checksum"})
    body = body.replace("[0.7,0.6]", f"[0.7,{number}]")
    assert f"[0.7,{number}]" in body
    path.write_text(f'{{"checksum":"{identity.digest(body)}",{body[1:]}\n')
    assert "numbers must be finite" in refusal(read_record, path)


def test_what_was_written_is_known_to_be_intact_however_its_numbers_lie(record, tmp_path):
    """Floats of 17 digits in a row, so that some lie at any stride: none of them could be infinite."""
    entry = record(0.7)
    entry["result"]["train_loss"] = [0.1 + at / 7e9 for at in range(2000)]
    data = write_record(tmp_path, entry).read_bytes()
    assert records._is_intact(data)
    assert not records._is_intact(data.replace(b"0.1,", b"0.2,"))


def test_size_is_bounded(record, tmp_path, monkeypatch, refusal):
    path = write_record(tmp_path, record(0.7))
    monkeypatch.setattr(records, "MAX_BYTES", 1000)
    assert "a record must not exceed 1000 bytes" in refusal(read_record, path)
    assert "must not exceed 1000 bytes, got" in refusal(write_record, tmp_path, record(0.7, restart=1))


def test_a_hostile_file_name_is_printable(tmp_path):
    (tmp_path / "\x1b[2J.json").write_text("{}")
    _, (problem,) = read_records([tmp_path])
    assert str(problem).isprintable()


def test_folders_files_and_rubbish(record, tmp_path, refusal):
    run, more = tmp_path / "run", tmp_path / "more"
    first = write_record(run / "records", record(0.7))
    second = write_record(more, record(0.6, restart=1))
    (run / "leaderboard.json").write_text("{}")
    (more / ".half.json.1f.tmp").write_text("{")
    (more / "notes.txt").write_text("")
    assert records.find_records([run, more, second, run / "records"]) == sorted(map(str, [first, second]))
    (empty := tmp_path / "empty").mkdir()
    assert records.find_records([empty]) == []
    assert re.search(
        r"no usable record found in .*empty; give the --output folder",
        refusal(records.find_records, [run, empty], none_empty=True),
    )
    assert "notes.txt/x cannot be read: Not a directory" in refusal(records.find_records, [more / "notes.txt" / "x"])


# --- fuzzing

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def refuses_or_reads(path: Path) -> dict | None:
    try:
        return read_record(path)
    except RecordError as error:
        assert str(error).isprintable()
        return None


def _places(value: object, path: tuple = ()) -> list[tuple]:
    inner = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in _places(item, (*path, key)))]


@settings(QUICK, max_examples=80)
@given(data=st.data())
def test_a_changed_and_resigned_record_is_refused_or_makes_a_table(record, tmp_path, data):
    """A careful forger keeps checksum, id and name right; whatever passes must not break the tables."""
    source = write_record(tmp_path / "clean", record(0.7))
    changed = read_record(source)
    place = data.draw(st.sampled_from(_places(changed)[1:]))
    block = changed
    for key in place[:-1]:
        block = block[key]
    block[place[-1]] = data.draw(JSON)
    try:
        changed["id"] = identity.name_of(changed["config"], config_hash(changed["config"]))
        path = tmp_path / f"{changed['id']}.json"
        path.write_bytes(resigned(changed))
    except (ValueError, KeyError, TypeError, AttributeError, OSError):  # not even a forger can sign or name this
        return
    if refuses_or_reads(path) is not None:
        assert build([path], tmp_path / "out")
    path.unlink()
