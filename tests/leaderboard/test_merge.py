"""The published board: results are added only if the whole passes the checks, and its page is made from it alone."""

from pathlib import Path

import pytest

from leaderboard import merge
from leaderboard.build import load
from leaderboard.export import NAME, export
from leaderboard.records.store import read_records
from leaderboard.render.text import points
from leaderboard.tables.sections import sections
from leaderboard.verify import verify

ROOT = Path(__file__).parents[2]
BASE, MIX = "dropout(0.1) + wdecay(0, 0.01)", "mixout(w_pre, 0.7)"


@pytest.fixture
def submit(honest_record, store, tmp_path):
    """Return a function that packs records of strategies at restarts and returns the folder to hand in."""

    def make(name, strategies, restarts, **options):
        entries = [honest_record(strategy, restart, **options) for strategy in strategies for restart in restarts]
        export([store(entries, name)], tmp_path / f"{name}-packed")
        return str(tmp_path / f"{name}-packed")

    return make


@pytest.fixture
def command(tmp_path, capsys):
    def run(*argv):
        code = merge.main([*argv, "--board", str(tmp_path / "board"), "--page", str(tmp_path / "BOARD.md")])
        return (code, *capsys.readouterr())

    return run


def test_results_are_added_and_the_page_is_made(submit, command, tmp_path):
    code, out, _ = command(submit("first", [BASE, MIX], range(2)))
    assert code == 0 and "4 records, 4 of them new" in out
    page = (tmp_path / "BOARD.md").read_text()
    assert page == merge.page(tmp_path / "board") and MIX in page
    assert page.splitlines()[:3] == ["# Leaderboard", "", merge.ABOUT] and "(docs/board.md)" in merge.ABOUT
    code, out, _ = command(submit("second", [BASE, MIX], range(2, 4)))
    assert code == 0 and "8 records, 4 of them new" in out
    assert (tmp_path / "BOARD.md").read_text() != page
    assert len(read_records([tmp_path / "board"])[0]) == 8


def test_what_does_not_pass_is_refused_whole(submit, command, tmp_path):
    assert command(submit("first", [BASE, MIX], range(3)))[0] == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "board").iterdir()}
    code, out, _ = command(submit("fewer", ["none"], range(2)))
    assert code == 1 and "none: no record of restart 2, which others have" in out and "Nothing was written." in out
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "board").iterdir()}
    assert command(submit("fewer", ["none"], range(2)), "--allow-incomplete")[0] == 0


@pytest.mark.parametrize(
    ("score", "fraction", "message"),
    [
        (0.9, b'"fraction":0.1', "two records of this trial disagree"),
        (0.7, b'"fraction":2.0', "config.fraction must be"),
    ],
)
def test_wrong_submissions_exit_2(submit, command, store, honest_record, tmp_path, score, fraction, message):
    assert command(submit("first", [BASE], range(2)))[0] == 0
    (path,) = (store([honest_record(BASE, score=score)], "other") / "records").iterdir()
    path.write_bytes(path.read_bytes().replace(b'"fraction":0.1', fraction))
    code, _, err = command(str(tmp_path / "other"))
    assert code == 2 and err.startswith("error: ") and message in err


def test_a_board_without_anything(command):
    code, _, err = command()
    assert code == 2 and err.endswith("board holds no records.jsonl.gz yet; name what to merge into it\n")


def test_a_board_must_stay_small(submit, command, monkeypatch):
    monkeypatch.setattr(merge, "MAX_BOARD", 1000)
    code, _, err = command(submit("first", [BASE], range(3)))
    assert code == 2 and "a board must not exceed 1000 bytes, got " in err


def test_the_published_board_is_what_its_records_make():
    """LEADERBOARD.md is exactly the page of the records in this package, and they pass the checks."""
    board = ROOT / merge.BOARD
    if not (board / NAME).is_file():
        assert not (ROOT / merge.PAGE).exists(), f"{merge.PAGE} stands without the records that it is made from"
        pytest.skip(f"no board is published yet: {merge.BOARD / NAME} does not exist")
    assert (board / NAME).stat().st_size <= merge.MAX_BOARD
    text = (ROOT / merge.PAGE).read_text(encoding="utf-8")
    assert text == merge.page(board) and len(text.split()) <= 1500, "one table over all tasks, one per task, no more"
    assert not [finding.text for finding in verify([board], allow_incomplete=True)[0] if finding.problem]


def test_the_archive_makes_the_table_of_its_page():
    """The first board is readable, passes the checks, and gives the means and failures in docs/first-board.md."""
    archive = ROOT / "leaderboard" / "archive"
    first, _ = sections(load([archive])[0])
    lines = (ROOT / "docs" / "first-board.md").read_text(encoding="utf-8").splitlines()
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| `")]
    order = ("rte", "mrpc", "cola", "stsb")
    told = {name.split("`")[1]: (*scores, failed) for name, *scores, failed, _ in table}
    made = {}
    for name in {row.strategy for cell in first.cells for row in cell.rows}:
        rows = {cell.task: cell.row(name) for cell in first.cells}
        failed = f"{sum(row.failed for row in rows.values())}/{sum(row.restarts for row in rows.values())}"
        made[name] = (*(points(rows[task].mean) for task in order), failed)
    assert made == told
    assert not [finding.text for finding in verify([archive], allow_incomplete=True)[0] if finding.problem]
