"""Every kind of file that is read, damaged: at random it is read or refused in one sentence, by name it is refused.

Cheap, seeded damage to good files, so that many inputs come deep; suites and tasks have values of every type besides.
Files that a user names are also missing, a folder, a pipe, empty, binary, cut short or in UTF-16.
"""

import contextlib
import gzip
import io
import json
import os
import random
import re
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from benchmarks.data.official import DataHash, compare_hashes, remember_hashes
from benchmarks.data.sources import load_task_data
from benchmarks.data.tasks import TASKS, task_from_file
from benchmarks.executors.slurm import read_options
from benchmarks.planning.grid import file_hashes
from benchmarks.planning.suite_file import load_suite, override
from benchmarks.pocket import MODEL_DIR
from benchmarks.run import main
from benchmarks.submission import FILES, check
from benchmarks.theory.digits import read_folder
from benchmarks.trial.models import find_model, load_template
from benchmarks.trial.tokenizer import load_tokenizer
from fisher.common.errors import InputError
from fisher.estimation.output import load_state
from fisher.pretraining.corpus import read_corpus
from fisher.scores import load_scores
from fisher.surfaces.landscape import Points
from leaderboard.records.identity import canonical
from leaderboard.records.methods import TEXTS, read_methods
from leaderboard.records.plan import encode_plan, read_plan
from leaderboard.records.schema import RecordError
from leaderboard.records.store import encode_record, read_record, read_records
from leaderboard.verify import KEY, VALUES, disagreements
from regularizers.registry import load_plugin
from regularizers.strategy import parse
from regularizers.surgery.mixing_method import _read as read_target

QUICK, MANY = 100, 100_000
ODD = [b"", b"\0", b"\xff", b"\n", b"\r", b"\t", b" ", b"-1", b"0", b"1e999", b"nan", b"NaN", b"9" * 5000, b"0.1", b"x"]
ODD += [b'"', b'""', b'"x"', b'"\\ud800"', b"'", b"\\"]
ODD += [bytes([sign]) for sign in b"=,:+()[]{}#"]
ODD += [b"[]", b"{}", b"[1]", b'{"a": 1}', b"null", b"true", b"1979-05-27", b"[" * 3000, "\u2028é".encode(), b"\x1b[2J"]
WORDS = re.compile(rb'"[^"\n]*"|[\w.-]+|\s+|.', re.DOTALL)


def damaged(whole: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """`count` copies of a file with one to four words or stretches of bytes replaced by odd ones or by its own."""
    draw, words = random.Random(seed), WORDS.findall(whole)
    for _ in range(count):
        if draw.random() < 0.6:
            parts = list(words)
            for _ in range(draw.choice((1, 1, 1, 2, 4))):
                parts[draw.randrange(len(parts))] = draw.choice(draw.choice((ODD, words)))
            yield b"".join(parts)
        else:
            data = bytearray(whole)
            for _ in range(draw.choice((1, 1, 2, 4))):
                at = draw.randrange(len(data) + 1)
                by = draw.choice(ODD) if draw.random() < 0.5 else draw.randbytes(draw.choice((1, 1, 2, 8)))
                data[at : at + draw.choice((0, 1, 1, 4, 30, len(data)))] = by
            yield bytes(data)


@dataclass
class Read:
    """How bytes are read: as the content of a file, packed first, or, without a path, as they are."""

    read: Callable[[Any], object]
    path: Path | None = None
    pack: Callable[[bytes], bytes] = bytes

    def __call__(self, data: bytes) -> object:
        if self.path is None:
            return self.read(data)
        self.path.unlink(missing_ok=True)  # always a new file, because overwriting waits for the disk
        self.path.write_bytes(self.pack(data))
        return self.read(self.path)


# --- good files and their readers

Target = Callable[[Path], tuple[bytes, Read]]


def stored(name: str, whole: bytes, read: Callable[[Path], object], pack: Callable[[bytes], bytes] = bytes) -> Target:
    """A good file of this name, and how it is read."""
    return lambda folder: (whole, Read(read, folder / name, pack))


def said(whole: str, read: Callable[[str], object]) -> Target:
    """A good text of the command line, and how it is read."""
    return lambda folder: (whole.encode(), Read(lambda data: read(data.decode("utf-8", "replace"))))


OWN = (
    b'name = "own"\ntrain = "a.%s"\ndev = "a.%s"\ntext = ["t", "u"]\nlabel = "l"\nlabels = ["0", "1"]\nmetric = "f1"\n'
)


def task(folder: Path) -> tuple[bytes, Read]:
    (folder / "a.csv").touch()
    return OWN % (b"csv", b"csv"), Read(task_from_file, folder / "task.toml")


def table(kind: bytes, whole: bytes) -> Callable[[Path], tuple[bytes, Read]]:
    def make(folder: Path) -> tuple[bytes, Read]:
        (folder / "task.toml").write_bytes(OWN % (kind, kind))
        own = task_from_file(folder / "task.toml") if (folder / f"a.{kind.decode()}").write_bytes(whole) else None
        return whole, Read(lambda path: load_task_data(own), folder / f"a.{kind.decode()}")

    return make


def glue(folder: Path) -> tuple[bytes, Read]:
    whole = b"index\tsentence1\tsentence2\tlabel\n0\ta b\tc\tentailment\n1\td\te\tnot_entailment\n"
    (folder / "RTE").mkdir()
    for name in ("train.tsv", "dev.tsv"):
        (folder / "RTE" / name).write_bytes(whole)
    return whole, Read(lambda path: load_task_data(TASKS["rte"], data_dir=folder), folder / "RTE" / "dev.tsv")


CONFIG = {
    **dict.fromkeys(("model", "weights", "split_hash", "dev_hash"), "x"),
    **{"task": "rte", "strategy": "none", "fraction": 0.1, "restart": 0, "split_seed": 0, "metric": "accuracy"},
    **{"seeds": {"init": 1}, "methods": {"none": 1}, "fisher": None},
    "protocol": {"name": "lee20", "metric": "primary", "data": "official", "selection": "last", "precision": "fp32"},
}
RECORD: dict[str, Any] = {
    "config": CONFIG,
    "result": {
        **{"status": "ok", "reason": None, "score": 0.7, "failed": False, "failed_by": None, "failed_plain": False},
        **{"floor": 0.5, "threshold": 0.5, "collapsed": False, "imputed": False, "predictions": [0, 1]},
        **{"epochs": [{"epoch": 1, "scores": {"accuracy": 0.7}}], "seconds": {"total": 1.0}, "peak_memory": None},
    },
    "environment": {"torch": "2.13.0", "threads": 1},
}


def signed_record(folder: Path) -> tuple[bytes, Read]:
    """A forger's: id and checksum are made anew for whatever the content has become."""

    def read(data: bytes) -> object:
        try:
            content = json.loads(data)
        except (ValueError, RecursionError):  # no JSON
            return None
        try:
            name, signed = encode_record(content)
        except (TypeError, KeyError, AttributeError):  # no object with the three blocks: not even a forger can sign it
            return None
        path = folder / f"{name}.json"
        path.write_bytes(signed)
        try:
            return read_record(path)
        finally:
            path.unlink()

    return json.dumps(RECORD).encode(), Read(read)


def zipped(data: bytes) -> bytes:
    return gzip.compress(data, 1)


def printable(problems: Sequence[RecordError]) -> None:
    assert all(str(problem).isprintable() for problem in problems)


def recount(folder: Path) -> tuple[bytes, Read]:
    rows = [",".join((*KEY, *VALUES)), *(",".join([*"mtfspwd", *"1234567"]) for _ in "ab")]
    whole = "\n".join(rows).encode()

    remade = whole.decode()
    return whole, Read(
        lambda path: printable(list(disagreements(folder, lambda _: remade))), folder / "leaderboard.csv"
    )


NOTE = {"kind": "empirical", "objective": "mlm", "reduction": "mean", "samples": 3, "seed": 0, "corpus_hash": "c"}
NOTE |= {"model": "tiny", "weights": "a", "format": 1, "tensors": ["a", "b"]}
TENSORS = {"a": torch.ones(3), "b": torch.zeros(2, 2)}


def tensor_file(key: str, note: dict[str, Any]) -> bytes:
    return noted(key)(json.dumps(note).encode())


def noted(key: str) -> Callable[[bytes], bytes]:
    """Tensors with a note about them, which may be any text."""
    return lambda note: save(TENSORS, metadata={key: note.decode("utf-8", "replace")})


def read_scores(path: Path) -> object:
    return load_scores(path, weights="a")


def read_state(path: Path) -> object:
    return load_state(path, {"seed": 0}, "cpu")


STATE = {"recipe": {"seed": 0}, "done": 3, "loss": 0.5, "noted": {"2": {"a": 0.1}}, "tensors": ["a", "b"]}


def points(folder: Path) -> tuple[bytes, Read]:
    recipe = {"grid": 4, "model": "m"}
    whole = "\n".join([json.dumps(recipe), *(json.dumps([0, "all", row, 1, 0.5]) for row in range(3)), ""]).encode()

    def read(path: Path) -> None:
        assert all(isinstance(value, float) for value in Points(path, recipe).known.values())

    return whole, Read(read, folder / "points.jsonl")


def submission() -> bytes:
    """All files of a submission with two rows each: unpacked and read, whatever stands in them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for file in FILES:
            made.writestr(file.name, "index\tprediction\n0\t0\n1\t1\n")
    return buffer.getvalue()


def digits(kind: str) -> Callable[[Path], tuple[bytes, Read]]:
    """Images, labels or rows of USPS, damaged below the compression."""

    def make(folder: Path) -> tuple[bytes, Read]:
        images = bytes([0, 0, 8, 3]) + struct.pack(">3I", 20, 28, 28) + bytes(range(224)) * 70
        labels = bytes([0, 0, 8, 1]) + struct.pack(">I", 20) + bytes(range(10)) * 2
        rows = "\n".join(f"{row % 10}.0000 " + "0.5 -1.0 " * 128 for row in range(20)).encode()
        files = {"images": images, "labels": labels, "usps": rows}
        names = {kind: f"train-{kind}-idx{d}-ubyte.gz" for kind, d in (("images", 3), ("labels", 1))}
        names["usps"] = "zip.train.gz"
        for other in () if kind == "usps" else ("images", "labels"):
            (folder / names[other]).write_bytes(gzip.compress(files[other]))
        return files[kind], Read(lambda _: read_folder(folder), folder / names[kind], zipped)

    return make


def read_problems(path: Path) -> None:
    printable(read_records([path])[1])


STRATEGY = 'mixout(w_pre, 0.7, layers=all) + guided_dropout(0, 0.1, fisher="a b") + head:mixout(w_0, 0.7)'
LINES = b"".join(encode_record(RECORD | {"config": CONFIG | {"restart": r}})[1] for r in range(3))
TERM = dict.fromkeys(TEXTS, "x") | {"settings": {"p": "0.7"}}
PLAN = {("tiny", "a", canonical({"lr": 0.1}), "rte", 0.1, name): 5 for name in ("none", "mixout")}
SPLITS = json.dumps({"qnli": {"0.1/0": "a" * 64}, "sst2": {}}).encode()
TARGETS: dict[str, Target] = {
    "strategy": said(STRATEGY, lambda text: parse(str(parse(text)))),
    "assignment": said("fisher_samples=200", lambda text: override(load_suite("pocket"), {}, [text])),
    "slurm": said("trials=20", lambda text: read_options([text], 1)),
    "suite": stored("s.toml", load_suite("lee20-table2").to_toml().encode(), lambda path: load_suite(str(path))),
    "record": stored(f"{encode_record(RECORD)[0]}.json", encode_record(RECORD)[1], read_record),
    "archive": stored("records.jsonl.gz", LINES, read_problems, zipped),
    "packed_archive": stored("records.jsonl.gz", gzip.compress(LINES), read_problems),
    "methods": stored(
        "methods.json",
        json.dumps({"mixout(w_pre, 0.7)": [TERM], "none": []}).encode(),
        lambda path: printable(read_methods([path.parent])[1]),
    ),
    "plan": stored("plan.json", encode_plan(PLAN), lambda path: printable(read_plan([path.parent])[1])),
    "scores": stored("scores", tensor_file("fisher", NOTE), read_scores),
    "note_of_scores": stored("scores", json.dumps(NOTE).encode(), read_scores, noted("fisher")),
    "state": stored("state", tensor_file("unfinished", STATE), read_state),
    "note_of_state": stored("state", json.dumps(STATE).encode(), read_state, noted("unfinished")),
    "corpus": stored("corpus.txt", "one two\nfirst\tsecond\n\u00e4\u2028b\n".encode(), read_corpus),
    "target": stored("target.safetensors", save(TENSORS), lambda path: read_target(path, ["a", "b"])),
    "split_hashes": stored(
        "hashes.json", SPLITS, lambda path: remember_hashes(path, [DataHash(TASKS["qnli"], "0.1/0", "a" * 64)])
    ),
    "submission": stored("submission.zip", submission(), check),
    **{f.__name__: f for f in (task, glue, signed_record, recount, points)},
    "tsv": table(b"tsv", b"t\tu\tl\na\tb\t0\nc\td\t1\n"),
    "csv": table(b"csv", b't,u,l\na,"b ""c"" d",0\n"e\nf",g,1\n'),
    "jsonl": table(b"jsonl", b'{"t": "a", "u": "b", "l": "0"}\n{"l": 1, "t": "c", "u": "d"}\n'),
    **{kind: digits(kind) for kind in ("images", "labels", "usps")},
}


@pytest.mark.parametrize("count", [QUICK, pytest.param(MANY, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", TARGETS)
def test_what_is_damaged_is_read_or_refused_in_one_sentence(name: str, count: int, tmp_path: Path) -> None:
    whole, read = TARGETS[name](tmp_path)
    read(whole)
    for data in damaged(whole, count):
        try:
            read(data)
        except InputError as error:
            assert "\n" not in str(error), f"more than a line for {data[:500]!r}: {error}"
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error} for {data[:500]!r}") from error


# --- files that a user names


def model(name: str) -> Target:
    """A file of a model's folder."""

    def make(folder: Path) -> tuple[bytes, Read]:
        for path in MODEL_DIR.iterdir():
            shutil.copy(path, folder / path.name)

        def read(path: Path) -> object:
            source = find_model(str(folder), offline=True)
            return load_tokenizer(source), load_template(source, 2)

        return (MODEL_DIR / name).read_bytes(), Read(read, folder / name)

    return make


PLUGIN = b"from regularizers import Regularizer, register\n@register('own')\nclass Own(Regularizer):\n    pass\n"
NAMED = {name: TARGETS[name] for name in ("suite", "task", "csv", "glue", "corpus", "scores", "images")} | {
    "points": stored("points.jsonl", b'{"recipe": 1}', lambda path: Points(path, {"recipe": 2}).known),
    "plugin": stored("p.py", PLUGIN, lambda path: load_plugin(str(path))),
    "mixing target": stored("w.safetensors", b"", lambda path: file_hashes(parse(f"mixout({path})"))),
    "split hashes": stored("h.json", b'{"rte": {"1.0/0": "ab"}}', lambda path: compare_hashes(path, [])),
    **{name: model(name) for name in ("config.json", "tokenizer.json", "model.safetensors")},
}


def locked(path: Path, content: bytes) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    path.write_bytes(content)
    path.chmod(0)


DAMAGE: dict[str, Callable[[Path, bytes], object]] = {
    "missing": lambda path, content: None,
    "folder": lambda path, content: path.mkdir(),
    "pipe": lambda path, content: os.mkfifo(path),
    "locked": locked,
    "empty": lambda path, content: path.write_bytes(b""),
    "binary": lambda path, content: path.write_bytes(bytes(range(256)) * 8),
    "half": lambda path, content: path.write_bytes(content[: len(content) // 2]),
    "UTF-16": lambda path, content: path.write_bytes(content.decode("utf-8", "replace").encode("utf-16")),
}
SOUND = {
    ("split hashes", "missing"),  # new
    ("split hashes", "UTF-16"),  # as JSON may be
    ("corpus", "half"),  # a text
    ("points", "missing"),
}
FAULTS = sorted({(name, damage) for name in NAMED for damage in DAMAGE} - SOUND)


@pytest.mark.parametrize(("name", "damage"), FAULTS)
def test_a_file_that_is_not_what_it_should_be_is_one_sentence(
    tmp_path: Path, name: str, damage: str, refusal: Callable[..., str]
) -> None:
    whole, opened = NAMED[name](tmp_path)
    opened.path.unlink(missing_ok=True)
    DAMAGE[damage](opened.path, opened.pack(whole))
    refusal(opened.read, opened.path)


# --- values of every type

COUNTS = [60, pytest.param(20_000, marks=pytest.mark.long)]  # two targets: 40,000 inputs in the long form

NAMES = (
    "dropout",
    "mixout",
    "wdecay",
    "head",
    "none",
    "w_pre",
    "w_0",
    "0.1",
    "1e999",
    "nan",
    "-1",
    "true",
    "layers",
    "p",
)
PLAIN = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(max_size=12),
    st.dates(),
    st.sampled_from(NAMES),
)
ANY_VALUE = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=6), inner, max_size=3),
    max_leaves=6,
)
SUITE_KEYS = (
    "tasks",
    "strategies",
    "fractions",
    "restarts",
    "split_seeds",
    "protocol",
    "model",
    "set",
    "fisher",
    "variant",
)
SUITE = {"tasks": ["pocket-rte"], "strategies": ["none"], "fractions": [0.1], "restarts": 2, "protocol": "lee20"}
TASK_KEYS = ("name", "train", "dev", "test", "text", "label", "labels", "regression", "metric", "x")
OWN_TASK = {"name": "own", "train": "a.csv", "dev": "a.csv", "text": ["t"], "label": "l", "labels": ["0", "1"]}
TABLES: dict[Callable[[str], object], Any] = {load_suite: (SUITE, SUITE_KEYS), task_from_file: (OWN_TASK, TASK_KEYS)}


def changed(base: dict[str, Any], keys: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    """A good table with some of its values, and some further ones, replaced by others."""
    return st.dictionaries(st.sampled_from(keys), ANY_VALUE, max_size=4).map(lambda more: base | more)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("read", TABLES)
def test_any_file_is_a_suite_or_a_task_or_a_sentence(read: Callable[[str], object], count: int, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,l\nx,0\n")
    path = tmp_path / "x.toml"

    def check(data: bytes) -> None:
        path.write_bytes(data)
        with contextlib.suppress(InputError):
            read(str(path))

    tables = changed(*TABLES[read]).map(lambda table: tomli_w.dumps(table).encode())
    how = settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    how(given(st.binary(max_size=80) | tables)(check))()


@pytest.mark.parametrize("flag", ["--suite", "--task-file"])
@pytest.mark.parametrize(
    "content",
    [
        b"restarts = " + b"9" * 5000,
        b"x = " + b"[" * 100_000,
        b"x = 1 # " + b"x" * 1_000_000,
        b'"\\u001b[2J" = 1',
        b"x = 2024-13-45",
    ],
    ids=["a number of 5,000 digits", "100,000 brackets", "a megabyte", "a terminal escape", "no date"],
)
def test_hostile_files_are_one_printable_sentence(
    tmp_path: Path, refused: Callable[..., str], flag: str, content: bytes
) -> None:
    (tmp_path / "x.toml").write_bytes(content)
    refused(main, flag, tmp_path / "x.toml", "--output", tmp_path / "out", "--dry-run")
