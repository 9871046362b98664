"""Faulty rows: all of a file in one sentence, with the way out, and rows that the user leaves out by number."""

import pytest

from benchmarks.data.faults import parse_dropped
from benchmarks.data.own_task import task_from_file
from benchmarks.data.readers import load_toml
from benchmarks.data.sources import Example, load_task_data
from benchmarks.data.tasks import TASKS
from fisher.common.errors import InputError


@pytest.fixture
def own(tmp_path):
    """A task of one's own with these training rows, in a format; dev is good."""

    def make(*rows, suffix="csv", labels='labels = ["no", "yes"]\nmetric = "accuracy"', dev="a,no"):
        separator = "\t" if suffix == "tsv" else ","
        for part, content in (("train", rows), ("dev", [separator.join(dev.split(","))])):
            lines = content if suffix == "jsonl" else [separator.join(("text", "label")), *content]
            (tmp_path / f"{part}.{suffix}").write_text("\n".join(lines) + "\n")
        (tmp_path / "mine.toml").write_text(
            f'name = "mine"\ntrain = "train.{suffix}"\ndev = "dev.{suffix}"\ntext = "text"\nlabel = "label"\n{labels}\n'
        )
        return task_from_file(tmp_path / "mine.toml")

    return make


def test_all_faulty_rows_are_named_at_once_by_kind_with_the_way_out(own, tmp_path):
    with pytest.raises(InputError) as refused:
        load_task_data(own("a,yes", " ,no", "b,maybe", ",no", "c", "d,yes"))
    assert str(refused.value) == (
        f"{tmp_path}/train.csv: 4 rows cannot be used: lines 3, 5 (an example's text must not be empty); line 4 "
        "(unknown label 'maybe', expected one of no, yes); line 6 (expected 2 columns, found 1). Correct them or leave "
        "them out: --drop-rows mine:train:3,4,5,6"
    )


def test_the_first_ten_and_the_count_are_shown_and_all_can_be_left_out(own):
    task = own("a,yes", *[" ,no"] * 25)
    with pytest.raises(InputError, match=r"25 rows cannot be used: lines 3, .*12 \(an .*\); and 15 more\.") as refused:
        load_task_data(task)
    dropped = parse_dropped([str(refused.value).split()[-1]])
    assert load_task_data(task, dropped=dropped["mine"]).train == (Example(0, ("a",), 1),)


@pytest.mark.parametrize(
    "suffix, rows, dev, line, kept",
    [
        ("csv", ("a,yes", '"b\nc",no', "d,"), "a,no", 5, ("a", "b\nc")),
        ("tsv", ("a\tyes", "broken", "d\tno"), "a,no", 3, ("a", "d")),
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
    own, suffix, rows, dev, line, kept
):
    task = own(*rows, suffix=suffix, dev=dev)
    with pytest.raises(InputError, match=rf", line {line}: .* --drop-rows mine:train:{line}$"):
        load_task_data(task)
    data = load_task_data(task, dropped={"train": (line,)})
    assert [(example.id, example.texts) for example in data.train] == [(at, (text,)) for at, text in enumerate(kept)]


def test_rows_of_a_public_release_are_left_out_of_the_part_that_is_named(tmp_path):
    """As QQP's first release: one row cut in two by a line end, one with an empty question."""
    (tmp_path / "QQP").mkdir()
    head, good = "id\tquestion1\tquestion2\tis_duplicate\n", "1\ta b\tc d\t1\n"
    (tmp_path / "QQP" / "train.tsv").write_text(f"{head}{good}2\te\n\tf\t0\n3\tg\t\t0\n{good}")
    (tmp_path / "QQP" / "dev.tsv").write_text(head + good)
    with pytest.raises(InputError, match=r"3 rows .* --drop-rows qqp:train:3,4,5$"):
        load_task_data(TASKS["qqp"], data_dir=tmp_path)
    data = load_task_data(TASKS["qqp"], data_dir=tmp_path, dropped={"train": (3, 4, 5)})
    assert [example.id for example in data.train] == [0, 1] and len(data.dev) == 1


@pytest.mark.parametrize(
    ("task", "dropped", "message"),
    [
        (None, {"train": (3, 9)}, r"train\.csv: --drop-rows must name rows that are there, but it has no line 9\."),
        (None, {"test": (2,)}, "must name train or dev rows of a GLUE task or of your own, got mine:test"),
        (TASKS["pocket-rte"], {"train": (2,)}, "of your own, got pocket-rte:train"),
    ],
)
def test_what_cannot_be_left_out_is_refused(own, task, dropped, message):
    with pytest.raises(InputError, match=message):
        load_task_data(task or own("a,yes", "b,no"), dropped=dropped)


@pytest.mark.parametrize("text", ["", "qqp", "qqp:train", "qqp:train:", "qqp:train:4-5", "qqp:train:4,"])
def test_drop_rows_takes_task_part_and_numbers(text):
    with pytest.raises(InputError, match=r"--drop-rows must be TASK:PART:NUMBERS, such as qqp:train:4,5, got"):
        parse_dropped([text])


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
    (warning,) = load_task_data(own(*rows, suffix="tsv")).warnings
    assert (
        f"train.tsv: {count} texts stand in quotes, as CSV writes them (line 2: {rows[0].partition(chr(9))[0]})"
        in warning
    )


def test_quotes_that_are_text_are_no_quotes_of_csv(own):
    assert load_task_data(own('"yes" and "no"\tyes', '"Hamlet"\tno', "plain\tno", suffix="tsv")).warnings == ()


@pytest.mark.parametrize("score, fits", [("1e18", True), ("1.1e18", False), ("-3e38", False)])
def test_scores_must_fit_what_they_are_trained_in(own, score, fits):
    task = own(f"a,{score}", "b,2", labels='regression = true\nmetric = "spearman"', dev="a,1")
    if fits:
        assert load_task_data(task).train[0].label == float(score)
        return
    with pytest.raises(InputError, match=r"must be a number in \[-1e\+18, 1e\+18\], whose square fits float32"):
        load_task_data(task)
