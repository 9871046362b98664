"""Rows that a message names are left out of a run, stand in its records, and are left out again by `verify`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import verify
from benchmarks.run import main
from leaderboard.records.store import write_record

WORDS = ["the", "a", "rabbit", "fox", "sees", "hears", "chases", "likes", "big", "small", "red", "old"]
TEXTS = [(" ".join(WORDS[at % 5 : at % 5 + 4]), " ".join(WORDS[at % 7 : at % 7 + 3])) for at in range(40)]


def first_release(folder: Path, write_task: Callable[..., str]) -> list[str]:
    """QQP as it was published first: a row cut in two by a line end, and one with an empty question."""
    head = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate"
    rows = [f"{at}\t{at}\t{at}\t{first}\t{second}\t{at % 2}" for at, (first, second) in enumerate(TEXTS)]
    broken = ["90\t1\t2\tcut", "in two\tthere\t0", "91\t1\t2\tempty\t\t1"]
    (folder / "QQP").mkdir()
    (folder / "QQP" / "train.tsv").write_text("\n".join([head, *rows[:20], *broken, *rows[20:]]) + "\n")
    (folder / "QQP" / "dev.tsv").write_text("\n".join([head, *rows[:10]]) + "\n")
    return ["--data-dir", str(folder)]


def own_files(folder: Path, write_task: Callable[..., str]) -> list[str]:
    """Rows of one's own, three of them without a label that the task knows."""
    rows = [f"{first},{second},{'no' if at % 2 else 'yes'}" for at, (first, second) in enumerate(TEXTS)]
    broken = [f"a fox,{at},perhaps" for at in range(3)]
    mixed, columns = [*rows[:20], *broken, *rows[20:]], ("first", "second", "label")
    return ["--task-file", write_task(folder, mixed, rows[:10], suffix="csv", columns=columns)]


@pytest.mark.parametrize(("task", "files"), [("qqp", first_release), ("own", own_files)])
def test_from_the_message_to_verified_records(
    tmp_path: Path,
    task: str,
    files: Callable[..., list[str]],
    write_task: Callable[..., str],
    refused: Callable[..., str],
    printed: Callable[..., str],
    records_in: Callable[..., dict[str, dict[str, Any]]],
) -> None:
    source, output = files(tmp_path, write_task), tmp_path / "out"
    request = [*source, "--tasks", task, "--strategies", "none", "--restarts", "1", "--fractions", "1"]
    request += ["--model", "pocket", "--offline", "--set", "epochs=1", "--output", str(output)]
    said = refused(main, *request)
    assert "3 rows cannot be used" in said and said.split()[-1] == f"{task}:train:22,23,24"
    drop = ["--drop-rows", said.split()[-1]]
    assert main([*request, *drop]) == 0
    (record,) = records_in(output).values()
    assert record["config"]["dropped"] == {"train": [22, 23, 24]}
    verified = printed(verify.main, output, *source, "--offline", "--rerun", "1")
    assert "10 of 10 predictions equal; losses differ by 0\n" in verified

    other = refused(main, *request, *drop, f"{task}:train:2")
    assert "--output" in other, "another training set under the same names"
    record["config"]["dropped"] = {"train": [2, 22, 23, 24]}
    write_record(tmp_path / "forged", record)
    assert "it names the split" in printed(verify.main, tmp_path / "forged", *source, "--offline", code=1)
