"""Our results and the papers': what matches what, by how much it differs, and what is said about the difference."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fisher.common.errors import InputError
from leaderboard.compare import main
from leaderboard.render.comparison import markdown
from leaderboard.stats.intervals import interval
from leaderboard.tables.published import load_reference, task_key
from leaderboard.tables.sections import sections
from leaderboard.tables.trials import trials

DEVLIN, MIXOUT, DECAY = "dropout(0.1) + wdecay(0, 0.01)", "mixout(w_pre, 0.7)", "wdecay(w_pre, 0.01)"
LEE20 = {"batch_size": 32, "warmup": 0.1, "schedule": "linear", "beta1": 0.9, "beta2": 0.999, "head_init": "normal"}
Make, Store = Callable[..., dict[str, Any]], Callable[..., Path]


def rte(record: Make, strategy: str, scores: list[float], **config: Any) -> list[dict[str, Any]]:
    """One record per score at the published protocol, model and data."""
    place = {"task": "rte", "model": "bert-large-uncased", "fraction": 1.0, "protocol": LEE20} | config
    return [
        record(score, strategy=strategy, restart=restart, **place | {"protocol": dict(place["protocol"])})
        for restart, score in enumerate(scores)
    ]


def compared(records: list[dict[str, Any]], name: str = "lee20-table1") -> str:
    """The Markdown of records that were never written."""
    lines, _ = trials({**item, "id": str(at), "checksum": str(at)} for at, item in enumerate(records))
    return markdown(load_reference(name), sections(lines))


def line(text: str, *starts: str) -> list[str]:
    """The cells of the first table line that begins with these cells."""
    lines = [[cell.strip() for cell in row.strip("|").split("|")] for row in text.splitlines() if row.startswith("|")]
    return next(cells for cells in lines if cells[: len(starts)] == list(starts))


def test_the_shipped_figures_are_those_of_the_papers() -> None:
    table = load_reference("lee20-table1")
    assert len(table.figures) == 11 * 4
    first = table.figures[0]
    assert (first.strategy, first.task, first.mean, first.max) == (DEVLIN, "RTE", 0.565, 0.736)
    assert [len(load_reference(f"lee20-table{n}").figures) for n in (2, 3, 4)] == [2, 12, 8]
    assert load_reference("lee20-figure3").figures == table.figures
    failed = {(f.strategy, f.task): f.failed for f in (*table.figures, *load_reference("lee20-figure4").figures)}
    assert [failed[name, "CoLA"] for name in (DEVLIN, DECAY, MIXOUT)] == ["7", "6", "1"]
    assert [failed[name, "STS-B"] for name in (DEVLIN, DECAY, MIXOUT, f"{MIXOUT} + {DECAY}")] == ["2", "1", "0", "0"]
    assert failed["dropout(0.1) + head:none", "RTE"] == "at least 15" and failed[DEVLIN, "RTE"] == ""
    assert load_reference("sharma24-surgical").fractions == (1.0, 0.5)
    assert {task_key(name) for name in ("STS-B", "stsb", "pocket-stsb")} == {"stsb"}


def test_a_cell_stands_next_to_its_published_figure(record: Make) -> None:
    scores = [0.55, 0.65]
    text = compared([*rte(record, DEVLIN, [0.5, 0.5]), *rte(record, MIXOUT, scores)])
    found = line(text, "RTE", "100 %", MIXOUT)[3:]
    assert found[:3] == ["2", "60.0", "61.6"], "n, mean, published mean"
    assert found[3].startswith("-1.6 ["), "with an interval"
    assert found[4:9] == ["65.0", "74.0", "-9.0", "0/2", "-"], "max, published, difference, failed, published"
    assert "Not run here: 42 of the 44 published cells." in text
    assert "Model, data and protocol are the published ones" not in text, "there are 2 restarts, not 20"
    assert "- restarts: 2, published: 20" in text


def test_the_interval_is_that_of_our_mean_moved_by_the_published_one(record: Make) -> None:
    scores = [0.50, 0.60, 0.70, 0.65]
    low, high = interval(scores)
    text = compared(rte(record, MIXOUT, scores))
    gap = f"[{100 * (low - 0.616):+.1f}, {100 * (high - 0.616):+.1f}]"
    assert line(text, "RTE", "100 %", MIXOUT)[6].endswith(gap)
    assert "No direction: that strategy" in text, "without the first strategy of the table there is no direction"


def test_directions_are_paired_and_compared_by_sign(record: Make) -> None:
    base = [0.50, 0.52, 0.51, 0.55, 0.50, 0.53] * 2
    better, worse = [score + 0.02 for score in base], [score - 0.02 for score in base]
    records = [*rte(record, DEVLIN, base), *rte(record, MIXOUT, better), *rte(record, "wdecay(w_pre, 0.07)", worse)]
    text = compared(records)
    assert line(text, "RTE", "100 %", MIXOUT, "mean")[4:] == ["+5.1", "+2.0 [+2.0, +2.0]", "same", "yes"]
    assert line(text, "RTE", "100 %", "wdecay(w_pre, 0.07)", "mean")[4:] == [
        "+0.5",
        "-2.0 [-2.0, -2.0]",
        "opposite",
        "yes",
    ]
    assert [line(text, strategy) for strategy in (MIXOUT, "wdecay(w_pre, 0.07)")] == [
        [MIXOUT, "1", "0", "0"],
        ["wdecay(w_pre, 0.07)", "0", "1", "0"],
    ]
    assert (
        "Of 2 published differences: 1 have the same sign here (1 significant), 1 have the opposite sign here (1"
        in text
    )


def test_failed_runs_stand_next_to_those_the_paper_prints(record: Make) -> None:
    text = compared(rte(record, MIXOUT, [0.5, 0.0], task="cola"))
    assert line(text, "CoLA", "100 %", MIXOUT)[-2:] == ["0/2", "1 of 20"]
    names = ["dropout(0.1) + head:none", "mixout(w_pre, 0.8) + head:none"]
    text = compared([item for name in names for item in rte(record, name, [0.5])], "lee20-figure4")
    assert [line(text, "RTE", "100 %", name)[-1] for name in names] == ["at least 15 of 20", "4 of 20"]
    assert "No direction: that strategy" in text, "no score is printed, so there is no direction"


def test_every_reading_of_a_strategy_meets_its_figure(record: Make) -> None:
    coupled, fed = "wdecay(w_pre, 0.01, form=coupled)", "mixout(w_pre, 0.7, layers=fed, gradient=authors)"
    text = compared([item for name in (DECAY, coupled, fed) for item in rte(record, name, [0.6])])
    published = {name: line(text, "RTE", "100 %", name)[5] for name in (DECAY, coupled, fed)}
    assert published == {DECAY: "56.3", coupled: "56.3", fed: "61.6"}
    assert "Not run here: 42 of the 44" in text


def test_no_difference_is_no_direction(record: Make) -> None:
    text = compared([*rte(record, DEVLIN, [0.5, 0.6]), *rte(record, MIXOUT, [0.6, 0.5])])
    assert line(text, "RTE", "100 %", MIXOUT, "mean")[6:] == ["no difference here", "too few"]


def test_a_difference_between_failed_runs_is_no_direction(record: Make) -> None:
    records = [*rte(record, DEVLIN, [0.5, 0.5]), *rte(record, MIXOUT, [0.5, 0.51])]
    for item in records:
        item["result"] |= {"status": "failed", "failed": True, "failed_by": "rule", "failed_plain": True}
    text = compared(records)
    assert line(text, "RTE", "100 %", MIXOUT, "mean")[6] == "all runs failed"
    assert line(text, MIXOUT) == [MIXOUT, "0", "0", "1"]
    assert "Of 1 published differences: 1: all runs failed." in text


def test_an_incomplete_strategy_is_shown_without_a_direction(record: Make) -> None:
    text = compared([*rte(record, DEVLIN, [0.5, 0.6]), *rte(record, MIXOUT, [0.7])])
    assert line(text, "RTE", "100 %", MIXOUT)[3] == "1/2"
    assert "No direction: that strategy" in text


def test_everything_that_differs_is_spelled_out(record: Make) -> None:
    own = {"model": "pocket", "fraction": 0.25, "task": "pocket-rte"}
    changed = LEE20 | {"epochs": 1, "max_length": 40, "clip": 1.0, "eps": 1e-6}
    text = compared([*rte(record, DEVLIN, [0.5], **own, protocol=changed)])
    for said in (
        "- model: pocket, published: bert-large-uncased",
        "- data: synthetic embedded tasks instead of GLUE",
        "- training data: 25 %, published: 100 %",
        "- epochs: 1, published: 3",
        "- not stated in the paper, ours: max_length 40, clip 1.0, eps 1e-06, bias_correction true",
        "- restarts: 1, published: 20",
    ):
        assert said in text, said
    assert "lr:" not in text, "what agrees is not listed"


def test_table_4_compares_maxima_and_says_that_dev_is_not_test(record: Make) -> None:
    head = "mixout(w_pre, 0.7) + head:mixout(w_0, 0.7)"
    text = compared([*rte(record, DEVLIN, [0.5, 0.7]), *rte(record, head, [0.6, 0.6])], "lee20-table4")
    assert "- scored on: dev, published: test (GLUE server)" in text
    assert line(text, "RTE", "100 %", head, "max")[4:] == ["+2.0", "-10.0", "opposite", "-"]
    assert line(text, "RTE", "100 %", head)[5:7] == ["-", "-"], "no mean is printed"


def test_shares_that_the_paper_has_meet_only_each_other(record: Make) -> None:
    guided, place = "guided_dropout(0, 0.099)", {"task": "rte", "model": "bert-base-uncased", "metric": "combined"}
    records = [record(0.6, strategy=guided, fraction=share, **place) for share in (1.0, 0.5)]
    text = compared(records, "sharma24-surgical")
    assert line(text, "RTE", "100 %", guided)[5] == "68.8"
    assert line(text, "RTE", "50 %", guided)[5] == "62.1"
    assert "training data" not in text
    assert "- metric of rte: combined, published: accuracy" in text


def test_a_name_from_a_record_cannot_become_markup(record: Make) -> None:
    text = compared(rte(record, DEVLIN, [0.5], model="<b>[x](y)"))
    assert "<b>" not in text


def test_the_command_prints_or_writes(
    store: Store, record: Make, capsys: pytest.CaptureFixture[str], printed: Callable[..., str]
) -> None:
    folder = store(rte(record, DEVLIN, [0.5, 0.6]))
    shown = printed(main, folder, "--published", "lee20-table1")
    assert shown.startswith("# lee20-table1: our results and the published figures")
    assert main([str(folder), "--published", "lee20-table1", "--output", str(folder / "compare.md")]) == 0
    assert (folder / "compare.md").read_text() == shown
    (folder / "records" / "broken.json").write_text("{")
    assert main([str(folder), "--published", "lee20-table1"]) == 1
    assert "left out: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lee20-tabel1", "unknown published table 'lee20-tabel1'; did you mean lee20-table1? available: lee20-fi"),
        (
            "lee20-table2",
            "no trial matches a published figure of lee20-table2, which are of: dropout(0.1) + wdecay(",
        ),
    ],
)
def test_what_cannot_be_compared_is_one_sentence_and_status_2(
    name: str, message: str, store: Store, record: Make, refused: Callable[..., str]
) -> None:
    folder = store(rte(record, DEVLIN, [0.5]))
    assert f"error: {message}" in refused(main, folder, "--published", name)
    with pytest.raises(InputError):
        load_reference("smoke")
