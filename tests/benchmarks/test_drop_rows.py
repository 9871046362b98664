"""Rows that a message names are left out of a run, stand in its records, and are left out again by `verify`."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import verify
from benchmarks.run import main
from leaderboard.records.store import read_records, write_record

WORDS = ["the", "a", "rabbit", "fox", "sees", "hears", "chases", "likes", "big", "small", "red", "old"]
TEXTS = [(" ".join(WORDS[at % 5 : at % 5 + 4]), " ".join(WORDS[at % 7 : at % 7 + 3])) for at in range(40)]
OWN = 'name = "mine"\ntrain = "train.csv"\ndev = "dev.csv"\ntext = ["first", "second"]\nlabel = "label"\n'


def first_release(folder: Path) -> list[str]:
    """QQP as it was published first: a row cut in two by a line end, and one with an empty question."""
    head = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate"
    rows = [f"{at}\t{at}\t{at}\t{first}\t{second}\t{at % 2}" for at, (first, second) in enumerate(TEXTS)]
    broken = ["90\t1\t2\tcut", "in two\tthere\t0", "91\t1\t2\tempty\t\t1"]
    (folder / "QQP").mkdir()
    (folder / "QQP" / "train.tsv").write_text("\n".join([head, *rows[:20], *broken, *rows[20:]]) + "\n")
    (folder / "QQP" / "dev.tsv").write_text("\n".join([head, *rows[:10]]) + "\n")
    return ["--data-dir", str(folder)]


def own_files(folder: Path) -> list[str]:
    """Rows of one's own, three of them without a label that the task knows."""
    rows = [f"{first},{second},{'no' if at % 2 else 'yes'}" for at, (first, second) in enumerate(TEXTS)]
    broken = [f"a fox,{at},perhaps" for at in range(3)]
    (folder / "train.csv").write_text("\n".join(["first,second,label", *rows[:20], *broken, *rows[20:]]) + "\n")
    (folder / "dev.csv").write_text("\n".join(["first,second,label", *rows[:10]]) + "\n")
    (folder / "mine.toml").write_text(OWN + 'labels = ["no", "yes"]\nmetric = "accuracy"\n')
    return ["--task-file", str(folder / "mine.toml")]


@pytest.mark.parametrize(("task", "files"), [("qqp", first_release), ("mine", own_files)])
def test_from_the_message_to_verified_records(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    task: str,
    files: Callable[[Path], list[str]],
    printed: Callable[..., str],
) -> None:
    source, output = files(tmp_path), tmp_path / "out"
    request = [*source, "--tasks", task, "--strategies", "none", "--restarts", "1", "--fractions", "1"]
    request += ["--model", "pocket", "--offline", "--set", "epochs=1", "--output", str(output)]
    assert main(request) == 2
    said = capsys.readouterr().err
    assert "3 rows cannot be used" in said and said.split()[-1] == f"{task}:train:22,23,24"
    drop = ["--drop-rows", said.split()[-1]]
    assert main([*request, *drop]) == 0
    (record,), problems = read_records([output])
    assert record["config"]["dropped"] == {"train": [22, 23, 24]} and not problems

    capsys.readouterr()
    assert "10 of 10 predictions equal; losses differ by 0\n" in printed(
        verify.main, output, *source, "--offline", "--rerun", "1"
    )

    assert main([*request, *drop, f"{task}:train:2"]) == 2, "another training set under the same names"
    assert "--output" in capsys.readouterr().err
    forged = copy.deepcopy(record)
    forged["config"]["dropped"] = {"train": [2, 22, 23, 24]}
    write_record(tmp_path / "forged", forged)
    assert "it names the split" in printed(verify.main, tmp_path / "forged", *source, "--offline", code=1)
