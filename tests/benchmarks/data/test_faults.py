"""Faulty rows: all of a file in one sentence, with the way out, and rows that the user leaves out by number."""

import re

import pytest

from benchmarks.data.readers import load_toml, parse_dropped
from benchmarks.data.sources import Example, load_task_data
from benchmarks.data.tasks import TASKS, task_from_file


@pytest.fixture
def own(tmp_path, write_task):
    """A task of one's own with these training rows, in a format; dev is good."""

    def make(*rows, suffix="csv", dev="a,no", **keys):
        return task_from_file(write_task(tmp_path, rows, [dev], suffix=suffix, **keys))

    return make


def test_all_faulty_rows_are_named_at_once_by_kind_with_the_way_out(own, tmp_path, refusal):
    assert refusal(load_task_data, own("a,yes", " ,no", "b,maybe", ",no", "c", "d,yes")) == (
        f"{tmp_path}/train.csv: 4 rows cannot be used: lines 3, 5 (an example's text must not be empty); line 4 "
        "(unknown label 'maybe', expected one of no, yes); line 6 (expected 2 columns, found 1). Correct them or leave "
        "them out: --drop-rows own:train:3,4,5,6"
    )


def test_the_first_ten_and_the_count_are_shown_and_all_can_be_left_out(own, refusal):
    task = own("a,yes", *[" ,no"] * 25)
    said = refusal(load_task_data, task)
    assert re.search(r"25 rows cannot be used: lines 3, .*12 \(an .*\); and 15 more\.", said)
    dropped = parse_dropped([said.split()[-1]])
    assert load_task_data(task, dropped=dropped["own"]).train == (Example(0, ("a",), 1),)


@pytest.mark.parametrize(
    "suffix, rows, dev, line, kept",
    [
        ("csv", ("a,yes", '"b\nc",no', "d,"), "a,no", 5, ("a", "b\nc")),
        ("tsv", ("a\tyes", "broken", "d\tno"), "a\tno", 3, ("a", "d")),
        (
            "jsonl",
            ('{"text": "a", "label": "yes"}', "{", '{"text": "d", "label": "no"}'),
            '{"text": "a", "label": "no"}',
            2,
            ("a", "d"),
        ),
    ],
)
def test_rows_are_left_out_by_the_line_that_a_message_names_and_those_after_them_move_up(
    own, suffix, rows, dev, line, kept, refusal
):
    task = own(*rows, suffix=suffix, dev=dev)
    assert re.search(rf", line {line}: .* --drop-rows own:train:{line}$", refusal(load_task_data, task))
    data = load_task_data(task, dropped={"train": (line,)})
    assert [(example.id, example.texts) for example in data.train] == [(at, (text,)) for at, text in enumerate(kept)]


@pytest.mark.parametrize(
    ("task", "dropped", "message"),
    [
        (None, {"train": (3, 9)}, "train.csv: --drop-rows must name rows that are there, but it has no line 9."),
        (None, {"test": (2,)}, "must name train or dev rows of a GLUE task or of your own, got own:test"),
        (TASKS["pocket-rte"], {"train": (2,)}, "of your own, got pocket-rte:train"),
    ],
)
def test_what_cannot_be_left_out_is_refused(own, task, dropped, message, refusal):
    assert message in refusal(load_task_data, task or own("a,yes", "b,no"), dropped=dropped)


@pytest.mark.parametrize("text", ["", "qqp", "qqp:train", "qqp:train:", "qqp:train:4-5", "qqp:train:4,"])
def test_drop_rows_takes_task_part_and_numbers(text, refusal):
    expected = f"--drop-rows must be TASK:PART:NUMBERS, such as qqp:train:4,5, got {text!r}"
    assert refusal(parse_dropped, [text]).startswith(expected)


def test_drop_rows_of_one_part_add_up():
    assert parse_dropped(["a:train:5,4", "a:train:5,1", "a:dev:2"]) == {"a": {"dev": (2,), "train": (1, 4, 5)}}


def test_a_text_of_any_length_is_read_from_csv_as_from_jsonl(own):
    long = "rabbit " * 40_000
    assert load_task_data(own(f"{long},yes")).train[0].texts == (long,)


def test_a_toml_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "x.toml").write_bytes(b"\xef\xbb\xbfname = 1\n")
    assert load_toml(tmp_path / "x.toml", "a suite") == {"name": 1}


@pytest.mark.parametrize(
    "rows, count",
    [(('"he said ""no"""\tyes', "plain\tno"), 1), (('"one"\tyes', '"two"\tno'), 2)],
)
def test_a_tsv_written_with_the_quotes_of_csv_is_named(own, rows, count):
    (warning,) = load_task_data(own(*rows, suffix="tsv", dev="a\tno")).warnings
    assert (
        f"train.tsv: {count} texts stand in quotes, as CSV writes them (line 2: {rows[0].partition(chr(9))[0]})"
        in warning
    )


def test_quotes_that_are_text_are_no_quotes_of_csv(own):
    task = own('"yes" and "no"\tyes', '"Hamlet"\tno', "plain\tno", suffix="tsv", dev="a\tno")
    assert load_task_data(task).warnings == ()


@pytest.mark.parametrize("score, fits", [("1e18", True), ("1.1e18", False), ("-3e38", False)])
def test_scores_must_fit_what_they_are_trained_in(own, score, fits, refusal):
    task = own(f"a,{score}", "b,2", dev="a,1", labels=None, regression=True, metric="spearman")
    if fits:
        assert load_task_data(task).train[0].label == float(score)
    else:
        message = "must be a number in [-1e+18, 1e+18], whose square fits float32"
        assert message in refusal(load_task_data, task)
