"""The command and its files: golden texts, determinism, cost columns, hostile names, exit codes."""

import copy
import csv
import io
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from leaderboard.build import FILES, build, main
from tests.leaderboard.conftest import grid

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"
BASE, MIX = "dropout(0.1) + wdecay(0, 0.01)", "mixout(w_pre, 0.7)"


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


@pytest.fixture
def small(record):
    """Two protocols, two tasks, two strategies: a failed run, an imputed one, an error, a missing restart."""
    diverged = {"imputed": True, "failed_by": "diverged", "failed_plain": True}
    cola = {"task": "pocket-cola", "metric": "matthews", "fraction": 0.25}
    oom = {"reason": "out of memory | <b>2 GiB</b>\nTraceback"}
    return [
        *grid({BASE: [0.65, 0.675, 0.7], MIX: [0.71]}),
        record(0.5, status="failed", strategy=MIX, restart=1),
        record(0.5, status="failed", strategy=MIX, restart=2, result=diverged),
        *grid({BASE: [0.2, 0.2]}, **cola),
        record(None, status="oom", strategy=MIX, restart=0, result=oom, **cola),
        record(0.6, strategy=BASE, protocol={"bias_correction": False}),
    ]


@pytest.fixture
def tested(record):
    """Enough restarts to test in two cells of four; MIX is better, "none" fails often, a fourth strategy is "none"
    under another name, and nothing learns one task."""
    draw, entries = random.Random(17), []
    for task, metric, fraction, count in (
        ("cola", "matthews", 0.1, 12),
        ("rte", "accuracy", 0.1, 12),
        ("rte", "", 1, 3),
    ):
        place = {"task": task, "metric": metric or "accuracy", "fraction": float(fraction)}
        for r in range(count):
            place |= {"restart": r} | ({"split_seed": 0, "split_hash": "9" * 64} if fraction == 1 else {})
            shared = 0.6 + draw.gauss(0, 0.03)
            for strategy, gain in ((BASE, 0.0), (MIX, 0.03), ("none", 0.0)):
                status = "failed" if strategy == "none" and draw.random() < 0.5 else "ok"
                score = 0.5 if status == "failed" else round(shared + gain + draw.gauss(0, 0.01), 4)
                entries.append(record(score, status=status, strategy=strategy, **place))
            entries.append(copy.deepcopy(entries[-1]))
            entries[-1]["config"]["strategy"] = "wdecay(w_pre, 0.01)"
    names = (BASE, MIX, "none", "wdecay(w_pre, 0.01)")
    return entries + [record(0.5, status="failed", strategy=s, task="wnli", restart=r) for s in names for r in range(3)]


@pytest.mark.parametrize("name", ["small", "tested"])
def test_golden_files(name, request, store, tmp_path):
    """The whole outputs, to be read by a person when they change; REGENERATE=1 writes them anew.

    The page shows the golden leaderboard.json; the browser looks at it in page/test_page.py.
    """
    text = build([store(request.getfixturevalue(name))], tmp_path / "out")
    made = files(tmp_path / "out") | {"terminal.txt": text.encode()}
    made.pop("index.html")
    if os.environ.get("REGENERATE"):
        (GOLDEN / name).mkdir(parents=True, exist_ok=True)
        for file, data in made.items():
            (GOLDEN / name / file).write_bytes(data)
    assert made == {file: (GOLDEN / name / file).read_bytes() for file in made}


def test_order_and_folder_change_nothing(realistic_records, store, tmp_path):
    records = realistic_records()
    first, second = store(records, "first"), store(records[::-1], "second/deeper")
    half = store(records[:70], "half"), store(records[70:], "rest")
    texts = [
        build([first], tmp_path / "a"),
        build([second / "records"], tmp_path / "b"),
        build(half[::-1], tmp_path / "c"),
        build(sorted((first / "records").iterdir(), reverse=True), tmp_path / "d"),
        build([first, second], tmp_path / "e"),
    ]
    assert len(set(texts)) == 1
    assert all(files(tmp_path / name) == files(tmp_path / "a") for name in "bcde")


def test_without_cost_nothing_differs_between_two_runs(small, store, tmp_path):
    first = store(small, "first")
    for entry in small:
        entry["environment"] |= {"git": {"commit": "1" * 40, "dirty": True}, "threads": 2, "platform": "other"}
        if entry["result"]["score"] is not None:
            entry["result"] |= {"seconds": {"total": 9.9}, "peak_memory": None}
    second = store(small, "second")
    texts = [build([folder], folder, without_cost=True) for folder in (first, second)]
    assert texts[0] == texts[1] and files(first) == files(second)
    assert "seconds" not in files(first)["leaderboard.csv"].decode()
    assert build([first], first) and build([second], second)
    assert files(first) != files(second)


def test_tied_winners_are_said_to_be_tied(record, store, tmp_path):
    text = build([store([record(0.7, strategy=name) for name in (MIX, BASE, "none")])], tmp_path / "out")
    assert "(tied with 2)" in text and f"At 10 % of RTE, {BASE}; {MIX}; none share the best mean, 70.0" in " ".join(
        text.split()
    )


def test_the_terminal_text_fits_120_columns(realistic_records, record, store, tmp_path):
    records = realistic_records(restarts=20, fractions=(0.1,))
    for entry in records:
        if entry["result"]["score"] is not None:
            entry["result"] |= {"seconds": {"total": 843.2}, "peak_memory": 23_456_000_000}
    records.append(record(task="a-task-of-my-own-with-a-long-name", strategy="long " * 90, model="m" * 300))
    text = build([store(records)], tmp_path / "out")
    assert max(map(len, text.splitlines())) <= 120
    assert all(line.isprintable() for line in text.splitlines())


# --- hostile names

HOSTILE = 'x\x1b[31m | **b** <script>alert(1)</script> [l](javascript:x) `c`\n# "h", \u202eend'


def test_hostile_names_are_harmless(record, store, tmp_path):
    names = {"task": HOSTILE, "strategy": HOSTILE, "model": HOSTILE, "weights": HOSTILE, "metric": HOSTILE}
    protocol = {key: HOSTILE for key in ("name", "metric", "selection", "precision", "data", HOSTILE)}
    entries = [record(0.5, protocol=dict(protocol), **names)]
    entries += [record(0.6, protocol=protocol | {"name": "other"}, **names)]
    entries += [record(None, status="error", result={"reason": HOSTILE}, restart=1, protocol=dict(protocol), **names)]
    entries[0]["environment"]["torch"] = HOSTILE
    text = build([store(entries)], tmp_path / "out")
    markdown, table, document, tex, _ = (data.decode() for data in files(tmp_path / "out").values())
    for output in (text, markdown, table, document, tex):
        assert all(line.isprintable() for line in output.split("\n"))
    assert document.isascii() and json.loads(document)["sections"][0]["model"] == HOSTILE  # who shows it escapes it
    for markup in ("<script", "](", "`", "**b", "# &", '"h'):
        assert markup not in markdown
    widths = {len(row) for row in csv.reader(io.StringIO(table))}
    assert len(widths) == 1
    tables = [block.split("\n") for block in markdown.rstrip("\n").split("\n\n") if block.startswith("|")]
    assert tables and all(len({line.count("|") for line in block}) == 1 for block in tables)


# --- command line and exit codes


def test_the_command_prints_the_table_and_exits_0(small, store, capsys, printed):
    folder = store(small)
    argv = [str(folder), "--output", str(folder), "--baseline", MIX, "--without-figures"]
    assert main(argv) == 0
    out, err = capsys.readouterr()
    explained = printed(main, *argv, "--explain")
    assert explained.endswith(out) and "sign-flip test" in explained and "sign-flip test" not in out
    assert "=== RTE: small-bert, protocol lee20" in out and err == ""
    assert f"baseline: {MIX}" in out


def test_a_corrupt_file_is_named_counted_and_costs_exit_1(small, store, capsys):
    folder = store(small)
    complete = build([folder], folder)
    (folder / "records" / "half.json").write_text('{"schema": 1,')
    assert main([str(folder), "--output", str(folder), "--without-figures"]) == 1
    out, err = capsys.readouterr()
    assert re.fullmatch(r"left out: .*half\.json: not valid JSON .*\n", err)
    note = "Left out, because they could not be used as records: 1 file."
    assert note in out and note in (folder / "leaderboard.md").read_text()
    assert complete.split("Tasks named")[0] in out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["nowhere"], r"error: .*nowhere does not exist; give output folders, record folders or record files\n"),
        (
            ["empty"],
            r"error: no usable record found in .*empty; give the --output folder of a run or its records folder\n",
        ),
        (["run", "--baseline", "mixout(w_pre, 0.8)"], r"error: the baseline must be .* did you mean mixout.*\? .*\n"),
    ],
)
def test_a_wrong_request_exits_2_with_a_sentence(small, store, tmp_path, monkeypatch, refused, argv, message):
    store(small)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert re.fullmatch(message, refused(main, *argv, "--output", "out"))
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_is_a_sentence(small, store, tmp_path, refusal):
    (tmp_path / "file").write_text("")
    assert "file/leaderboard.md cannot be written (" in refusal(build, [store(small)], tmp_path / "file")


def test_records_without_any_result_make_a_table(record, store, tmp_path):
    text = build([store([record(None, status="timeout")])], tmp_path / "out")
    assert "No ranking: fewer than two strategies" in text
    assert "no strategy is complete" in text
    assert "RTE 10 %, none: restart 0: timeout: it broke" in text


# --- independence and scale


def test_the_leaderboard_needs_no_torch_and_none_of_our_other_packages(small, store, tmp_path):
    code = (
        "import sys\n"
        "from leaderboard import build\n"
        "assert build.main(sys.argv[1:]) == 0\n"
        "loaded = {name.split('.')[0] for name in sys.modules}\n"
        "print(sorted(loaded & {'torch', 'transformers', 'benchmarks', 'regularizers'}))\n"
    )
    argv = [sys.executable, "-W", "error", "-c", code, str(store(small)), "--output", str(tmp_path / "out")]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
