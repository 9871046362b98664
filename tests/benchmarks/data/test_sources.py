"""The sources: files laid out here, the hub through `datasets`, and every message."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

from benchmarks.data.sources import Example, TaskData, examples_hash, load_task_data, load_test
from benchmarks.data.tasks import TASKS, task_from_file

# ------------------------------------------------------------------------------------ every GLUE layout, laid out here

LAYOUT = {  # task -> (train and dev header, a row of each label, test header, a test row)
    "cola": (None, ["s\t0\t*\tbad it", "s\t1\t\tgood it"], "index\tsentence", "0\tsome it"),
    "sst2": ("sentence\tlabel", ["bad it\t0", "good it\t1"], "index\tsentence", "0\tsome it"),
    "mrpc": (
        "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String",
        ["0\t1\t2\ta\tb", "1\t3\t4\tc\td"],
        "index\t#1 ID\t#2 ID\t#1 String\t#2 String",
        "0\t1\t2\te\tf",
    ),
    "qqp": (
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
        ["0\t1\t2\ta\tb\t0", "1\t3\t4\tc\td\t1"],
        "id\tquestion1\tquestion2",
        "0\te\tf",
    ),
    "stsb": (
        "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore",
        ["0\tg\tf\ty\t0\ts\ts\ta\tb\t0.000", "1\tg\tf\ty\t0\ts\ts\tc\td\t3.800"],
        "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2",
        "0\tg\tf\ty\t0\ts\ts\te\tf",
    ),
    "mnli": (
        "index\tpairID\tsentence1\tsentence2\tlabel1\tgold_label",
        ["0\tp\ta\tb\tneutral\tentailment", "1\tp\tc\td\tneutral\tneutral", "2\tp\te\tf\tneutral\tcontradiction"],
        "index\tpairID\tsentence1\tsentence2",
        "0\tp\te\tf",
    ),
    "qnli": (
        "index\tquestion\tsentence\tlabel",
        ["0\ta\tb\tentailment", "1\tc\td\tnot_entailment"],
        "index\tquestion\tsentence",
        "0\te\tf",
    ),
    "rte": (
        "index\tsentence1\tsentence2\tlabel",
        ["0\ta\tb\tentailment", "1\tc\td\tnot_entailment"],
        "index\tsentence1\tsentence2",
        "0\te\tf",
    ),
    "wnli": (
        "index\tsentence1\tsentence2\tlabel",
        ["0\ta\tb\t0", "1\tc\td\t1"],
        "index\tsentence1\tsentence2",
        "0\te\tf",
    ),
}


def lay_out(folder: Path, name: str) -> Path:
    """A tiny task in the layout of the original release; returns its folder."""
    files = TASKS[name].files
    header, rows, test_header, test_row = LAYOUT[name]
    place = folder / files.folder
    place.mkdir(parents=True, exist_ok=True)
    labelled = "\n".join([header, *rows] if header else rows) + "\n"
    for file in ("train.tsv", files.dev, *(dev for _, dev, _ in files.extra)):
        (place / file).write_text(labelled, encoding="utf-8")
    for file in (files.test, *(test for _, _, test in files.extra)):
        (place / file).write_text(f"{test_header}\n{test_row}\n", encoding="utf-8")
    return place


@pytest.mark.parametrize("name", LAYOUT)
def test_every_task_is_read_in_the_layout_of_the_release(tmp_path: Path, name: str) -> None:
    lay_out(tmp_path, name)
    task = TASKS[name]
    data = load_task_data(task, data_dir=tmp_path)
    expected = [0.0, 3.8] if task.regression else list(range(len(task.labels or ())))
    assert [example.label for example in data.train] == expected
    assert data.dev == data.train
    assert all(len(example.texts) == len(task.text) for example in data.train)
    (test,) = load_test(task, data_dir=tmp_path)
    assert test == Example(0, ("some it",) if len(task.text) == 1 else ("e", "f"), None)


def test_mnli_has_a_second_dev_and_test_set(tmp_path: Path, refusal: Callable[..., str]) -> None:
    place = lay_out(tmp_path, "mnli")
    header, rows, test_header, _ = LAYOUT["mnli"]
    (place / "dev_mismatched.tsv").write_text(f"{header}\n{rows[2]}\n")
    (place / "test_mismatched.tsv").write_text(f"{test_header}\n7\tp\tother\ttext\n")
    data = load_task_data(TASKS["mnli"], data_dir=tmp_path)
    assert dict(data.extra) == {"mismatched": (Example(0, ("e", "f"), 2),)}
    assert load_test(TASKS["mnli"], name="mismatched", data_dir=tmp_path)[0].texts == ("other", "text")
    said = refusal(load_test, TASKS["mnli"], name="matched", data_dir=tmp_path)
    assert said == "mnli has no test set 'matched', it has: test, mismatched."


def test_a_windows_line_end_belongs_to_no_field_and_a_line_separator_to_its_text(tmp_path: Path) -> None:
    """str.splitlines would cut at U+2028 and shift every id after it."""
    place = lay_out(tmp_path, "sst2")
    (place / "dev.tsv").write_bytes("sentence\tlabel\r\none\u2028two\x0bthree\t1".encode())
    assert load_task_data(TASKS["sst2"], data_dir=tmp_path).dev == (Example(0, ("one\u2028two\x0bthree",), 1),)


@pytest.fixture
def said(refusal: Callable[..., str]) -> Callable[..., str]:
    """A refusal without its last sentence, which is the same for every faulty row and has tests of its own."""
    return lambda *ask, **more: refusal(*ask, **more).partition(" Correct them or leave them out: --drop-rows ")[0]


HEADER = b"index\tsentence1\tsentence2\tlabel\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEADER + b"0\ta\tb\tentailment\n1\ta\tentailment\n", ", line 3: expected 4 columns, found 3."),
        (HEADER + b"0\ta\tb\tentailment\t\n", ", line 2: expected 4 columns, found 5."),
        (HEADER + b"0\ta\tb\tentailment\n\n", ", line 3: expected 4 columns, found 1."),
        (
            HEADER + b"0\ta\tb\tmaybe\n",
            ", line 2: unknown label 'maybe', expected one of entailment, not_entailment.",
        ),
        (HEADER + b"0\ta\t \tentailment\n", ", line 2: an example's text must not be empty."),
        (
            HEADER + b"0\ta\tb\tentailment\n1\ta\xff\tb\tentailment\n",
            ", line 3: is not UTF-8; it looks like another encoding, save it as UTF-8.",
        ),
        (
            b"\xef\xbb\xbf" + HEADER + b"0\ta\xc3",
            ", line 2: is not UTF-8; it looks like another encoding, save it as UTF-8.",
        ),
        (HEADER + b"0\ta\0\tb\tentailment\n", ", line 2: holds a NUL byte, so it is not a text file in UTF-8."),
        (
            b"index\tsentence1\tlabel\n",
            ", line 1: the header must name column 'sentence2' once, found not at all in "
            "['index', 'sentence1', 'label'].",
        ),
        (
            b"sentence1\tsentence2\tsentence2\tlabel\n",
            ", line 1: the header must name column 'sentence2' once, found more than once in "
            "['sentence1', 'sentence2', 'sentence2', 'label'].",
        ),
        (b"", ": is empty."),
        (HEADER, ": holds no examples."),
    ],
)
def test_a_malformed_file_is_one_sentence_with_file_and_line(
    tmp_path: Path, content: bytes, message: str, said: Callable[..., str]
) -> None:
    path = lay_out(tmp_path, "rte") / "dev.tsv"
    path.write_bytes(content)
    assert said(load_task_data, TASKS["rte"], data_dir=tmp_path) == f"{path}{message}"


@pytest.mark.parametrize("score", ["5.001", "-0.1", "nan", "inf", "high", "", "1_0"])
def test_a_score_outside_zero_to_five_is_refused(tmp_path: Path, score: str, said: Callable[..., str]) -> None:
    path = lay_out(tmp_path, "stsb") / "train.tsv"
    path.write_text(path.read_text().replace("3.800", score))
    expected = f"{path}, line 3: a score must be a number in [0, 5], got {score!r}."
    assert said(load_task_data, TASKS["stsb"], data_dir=tmp_path) == expected


def test_missing_folders_and_files_are_named(tmp_path: Path, refusal: Callable[..., str]) -> None:
    expected = f"{tmp_path}/RTE: no such folder; the data folder must hold RTE/ as GLUE's release does."
    assert refusal(load_task_data, TASKS["rte"], data_dir=tmp_path) == expected
    (lay_out(tmp_path, "rte") / "dev.tsv").unlink()
    assert refusal(load_task_data, TASKS["rte"], data_dir=tmp_path) == f"{tmp_path}/RTE/dev.tsv: no such file."
    (tmp_path / "RTE" / "dev.tsv").mkdir()
    assert refusal(load_task_data, TASKS["rte"], data_dir=tmp_path).endswith("cannot be read (Is a directory).")


# ------------------------------------------------------------------------------------------------------ one's own task


def own_task(folder: Path, file: str, content: str, extra: str) -> TaskData:
    """Load an own task whose train and dev are one and the same file."""
    (folder / file).write_text(content, encoding="utf-8")
    toml = folder / "task.toml"
    toml.write_text(f'name = "mine"\ntrain = "{file}"\ndev = "{file}"\nlabel = "y"\n{extra}\n')
    return load_task_data(task_from_file(toml))


BINARY = 'text = ["a", "b"]\nlabels = ["no", "yes"]\nmetric = "accuracy"'
REGRESSION = 'text = "a"\nregression = true\nmetric = "spearman"'


QUOTED = (Example(0, ('one, "two"\nthree', "four"), 1), Example(1, ("five", "six"), 0))


@pytest.mark.parametrize(
    ("file", "content", "extra", "expected"),
    [
        ("data.csv", 'y,a,b\nyes,"one, ""two""\nthree",four\nno,five,six\n', BINARY, QUOTED),
        (
            "data.jsonl",
            '{"a": "one, \\"two\\"\\nthree", "b": "four", "y": "yes"}\n{"b": "six", "a": "five", "y": "no"}',
            BINARY,
            QUOTED,
        ),
        pytest.param(
            "data.tsv",
            'a\tb\ty\n"one\ttwo\tyes\n',
            BINARY,
            (Example(0, ('"one', "two"), 1),),
            id="without quoting, as GLUE's",
        ),
        pytest.param(
            "data.jsonl",
            '{"a": "x", "b": "y", "y": 1}\n{"a": "x", "b": "y", "y": true}',
            BINARY.replace('["no", "yes"]', '["1", "true"]'),
            (Example(0, ("x", "y"), 0), Example(1, ("x", "y"), 1)),
            id="labels by their JSON text",
        ),
        pytest.param(
            "data.jsonl",
            '{"a": "x", "y": -12.5}\n{"a": "z", "y": "1e3"}',
            REGRESSION,
            (Example(0, ("x",), -12.5), Example(1, ("z",), 1000.0)),
            id="any finite score",
        ),
    ],
)
def test_own_files_are_read_as_their_format_has_it(
    tmp_path: Path, file: str, content: str, extra: str, expected: tuple[Example, ...]
) -> None:
    data = own_task(tmp_path, file, content, extra)
    assert data.train == data.dev == expected
    assert data.source == "file"


@pytest.mark.parametrize(
    ("file", "content", "extra", "message"),
    [
        ("d.csv", 'y,a,b\nyes,"one,two\n', BINARY, ", line 2: is not valid CSV (unexpected end of data)."),
        ("d.csv", 'y,a,b\nyes,"x\ny",z\nyes,z\n', BINARY, ", line 4: expected 3 columns, found 2."),
        (
            "d.csv",
            "y,a\nno,x\n",
            BINARY,
            ", line 1: the header must name column 'b' once, found not at all in ['y', 'a'].",
        ),
        ("d.csv", "", BINARY, ": is empty."),
        ("d.jsonl", "", BINARY, ": holds no examples."),
        ("d.jsonl", '{"a": "x"', BINARY, ", line 1: is not valid JSON."),
        ("d.jsonl", "[" * 100_000, BINARY, ", line 1: is not valid JSON."),
        ("d.jsonl", "[1]", BINARY, ", line 1: must be a JSON object, got '[1]'."),
        ("d.jsonl", '{"a": "x", "y": "no"}', BINARY, ", line 1: key 'b' is missing."),
        ("d.jsonl", '{"a": "x", "b": 3, "y": "no"}', BINARY, ", line 1: a text must be a string, got 3."),
        (
            "d.jsonl",
            '{"a": "x", "b": "\\ud800", "y": "no"}',
            BINARY,
            ", line 1: a text must be valid Unicode without NUL, got '\\ud800'.",
        ),
        (
            "d.jsonl",
            '{"a": "x", "b": "z", "y": null}',
            BINARY,
            ", line 1: unknown label 'null', expected one of no, yes.",
        ),
        ("d.jsonl", '{"a": "x", "y": true}', REGRESSION, ", line 1: a score must be a finite number, got True."),
        ("d.jsonl", '{"a": "x", "y": NaN}', REGRESSION, ", line 1: a score must be a finite number, got nan."),
        ("d.jsonl", '{"a": "x", "y": [1]}', REGRESSION, ", line 1: a score must be a finite number, got [1]."),
        (
            "d.jsonl",
            f'{{"a": "x", "y": 1{"0" * 400}}}',
            REGRESSION,
            f", line 1: a score must be a finite number, got 1{'0' * 400}.",
        ),
    ],
)
def test_a_malformed_own_file_is_one_sentence(
    tmp_path: Path, file: str, content: str, extra: str, message: str, said: Callable[..., str]
) -> None:
    assert said(own_task, tmp_path, file, content, extra) == f"{tmp_path / file}{message}"


def test_an_own_test_file_needs_no_label_column(tmp_path: Path, refusal: Callable[..., str]) -> None:
    own_task(tmp_path, "data.csv", "y,a,b\nyes,p,q\n", BINARY)
    toml = tmp_path / "task.toml"
    assert refusal(load_test, task_from_file(toml)) == f"{toml}: names no test file."
    (tmp_path / "test.csv").write_text("a,b\nr,s\n")
    toml.write_text(toml.read_text() + 'test = "test.csv"\n')
    assert load_test(task_from_file(toml)) == (Example(0, ("r", "s"), None),)


# ------------------------------------------------------------------------------------------------------------- the hub


Row = tuple[tuple[str | None, ...], object]  # texts and label
Fill = Callable[..., None]


def hub_features(name: str) -> datasets.Features:
    task = TASKS[name]
    label = datasets.Value("float32") if task.labels is None else datasets.ClassLabel(names=list(task.labels))
    columns = {column: datasets.Value("string") for column in task.text}
    return datasets.Features(columns | {"label": label, "idx": datasets.Value("int32")})


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fill:
    """Fill this test's own cache of the hub, which `datasets` then reads as if it had downloaded it before.

    The same rows for every split, in what `load_dataset("nyu-mll/glue", name)` makes of parquet files.
    """
    cache = tmp_path / "cache"
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    datasets.disable_progress_bars()

    def fill(name: str, rows: list[Row], **label: Any) -> None:
        task = TASKS[name]
        repository, configs = tmp_path / f"repository-{name}" / "glue", []
        sections = ["_matched", "_mismatched"] if name == "mnli" else [""]
        for split in ["train", *(part + section for section in sections for part in ("validation", "test"))]:
            file = repository / name / f"{split}-00000-of-00001.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            configs.append({"split": split, "path": f"{name}/{split}-*"})
            table: dict[str, list[object]] = {
                column: [texts[at] for texts, _ in rows] for at, column in enumerate(task.text)
            }
            table["label"] = [-1 if split.startswith("test") else value for _, value in rows]
            table["idx"] = [900 - number for number in range(len(rows))]
            datasets.Dataset.from_dict(table, features=datasets.Features(hub_features(name) | label)).to_parquet(file)
        card = json.dumps({"configs": [{"config_name": name, "data_files": configs}]})  # JSON is YAML
        (repository / "README.md").write_text(f"---\n{card}\n---\n")
        datasets.load_dataset(str(repository), name, cache_dir=str(cache))
        (cache / "glue").rename(cache / "nyu-mll___glue")

    return fill


@pytest.mark.parametrize("name", ["cola", "rte", "stsb", "mnli"])
def test_the_hub_gives_the_same_examples_as_the_folder(name: str, hub: Fill, tmp_path: Path) -> None:
    """Ids are row positions, not the hub's `idx`; class ids need no translation, scores are float32 there."""
    lay_out(tmp_path / "folder", name)
    from_folder = load_task_data(TASKS[name], data_dir=tmp_path / "folder")
    hub(name, [(example.texts, example.label) for example in from_folder.train])
    from_hub = load_task_data(TASKS[name], offline=True)
    assert (from_hub.source, from_folder.source) == ("hub", "folder")
    assert (from_hub.train, from_hub.dev, from_hub.extra) == (from_folder.train, from_folder.dev, from_folder.extra)
    assert examples_hash(from_hub.dev) == examples_hash(from_folder.dev)
    for part in ("test", *from_hub.extra):
        rows = load_test(TASKS[name], name=part, offline=True)
        assert rows[1] == Example(1, from_hub.train[1].texts, None)
    assert datasets.config.HF_HUB_OFFLINE is False, "offline lasts for one call only"


SWAPPED = datasets.ClassLabel(names=["not_entailment", "entailment"])


@pytest.mark.parametrize(
    ("row", "label", "message"),
    [
        ((("a", "b"), -1), {}, "row 1: a class id must be in 0..1, got -1."),
        ((("a", ""), 1), {}, "row 1: an example's text must not be empty."),
        ((("a", None), 1), {}, "row 1: a text must be a string, got None."),
        (
            (("a", "b"), 1),
            {"label": SWAPPED},
            "the classes must be entailment, not_entailment, found not_entailment, entailment.",
        ),
    ],
)
def test_a_bad_row_of_the_hub_and_other_classes_are_named(
    hub: Fill, row: Row, label: dict[str, Any], message: str, said: Callable[..., str]
) -> None:
    hub("rte", [(("x", "y"), 0), row], **label)
    found = said(load_task_data, TASKS["rte"], offline=True)
    assert found.removeprefix("nyu-mll/glue (rte), train").lstrip(",: ") == message


def test_a_task_that_was_never_downloaded_is_one_sentence_offline(hub: Fill, refusal: Callable[..., str]) -> None:
    assert refusal(load_task_data, TASKS["rte"], offline=True) == (
        "nyu-mll/glue (rte) is not in this machine's Hugging Face cache (offline): Couldn't reach 'nyu-mll/glue' on "
        "the Hub (OfflineModeIsEnabled); run once with the network or give the GLUE files with --data-dir."
    )
    hub("rte", [(("x", "y"), 0)])
    said = refusal(load_task_data, TASKS["qnli"], offline=True)
    assert said.startswith("nyu-mll/glue (qnli) is not in this machine's") and "Couldn't find cache for " in said


@pytest.mark.usefixtures("hub")
def test_an_unreachable_hub_is_one_sentence(monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str]) -> None:
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the hub's client waits 23 s between its retries
    said = refusal(load_task_data, TASKS["rte"])
    assert said.startswith("nyu-mll/glue (rte) cannot be loaded from the hub: ")
    assert said.endswith("; check the network or give the GLUE files with --data-dir.")


def test_the_cache_of_a_fresh_process_is_found_through_hf_home(hub: Fill, tmp_path: Path) -> None:
    """The user's own settings decide where the cache lies."""
    hub("rte", [(("x", "y"), 0)])
    (tmp_path / "home").mkdir()
    (tmp_path / "cache").rename(tmp_path / "home" / "datasets")
    code = (
        "from benchmarks.data.sources import load_task_data; from benchmarks.data.tasks import TASKS; "
        "print(load_task_data(TASKS['rte'], offline=True).train)"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"HF_HOME": str(tmp_path / "home")},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "(Example(id=0, texts=('x', 'y'), label=0),)\n"


# ------------------------------------------------------------------------------------------------- hashes


def test_the_hash_of_examples_covers_texts_labels_and_order() -> None:
    one, two = Example(0, ("a", "b"), 1), Example(1, ("c", "d"), 0)
    hashes = {
        examples_hash(examples)
        for examples in (
            [one, two],
            [two, one],
            [one],
            [Example(0, ("a b",), 1), two],
            [Example(0, ("a", "b"), 0), two],
            [Example(0, ("a", "B"), 1), two],
        )
    }
    assert len(hashes) == 6
    assert examples_hash([one]) == examples_hash(iter([one]))
