"""Files that a user names: missing, a folder, a pipe, empty, binary, cut short, in UTF-16: each is one sentence."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.data.official import compare_hashes
from benchmarks.data.own_task import task_from_file
from benchmarks.data.sources import load_task_data
from benchmarks.data.tasks import TASKS
from benchmarks.planning.grid import file_hashes
from benchmarks.planning.suite_file import load_suite
from benchmarks.pocket import MODEL_DIR
from benchmarks.theory.digits import read_idx
from benchmarks.trial.models import find_model, load_template
from benchmarks.trial.tokenizer import load_tokenizer
from fisher.common.errors import InputError
from fisher.pretraining.corpus import read_corpus
from fisher.scores import load_scores
from fisher.surfaces.landscape import Points
from regularizers.registry import load_plugin
from regularizers.strategy import parse

ROWS = "text,label\none rabbit,yes\ntwo rabbits,no\n"
TASK = 'name = "mine"\ntrain = "train.csv"\ndev = "train.csv"\ntext = "text"\nlabel = "label"\nmetric = "accuracy"\n'
TASK += 'labels = ["no", "yes"]\n'
GLUE = "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tentailment\n"
SUITE = 'tasks = ["pocket-rte"]\nstrategies = ["none"]\nrestarts = 1\nfractions = [1.0]\n'
PLUGIN = "from regularizers import Regularizer, register\n@register('own')\nclass Own(Regularizer):\n    pass\n"


def open_own(folder: Path) -> object:
    (folder / "mine.toml").write_text(TASK)
    return load_task_data(task_from_file(folder / "mine.toml"))


def open_glue(folder: Path) -> object:
    (folder / "RTE" / "train.tsv").write_text(GLUE)
    return load_task_data(TASKS["rte"], data_dir=folder)


def open_model(folder: Path) -> object:
    source = find_model(str(folder), offline=True)
    load_tokenizer(source)
    return load_template(source, 2)


def read_points(folder: Path) -> object:
    return Points(folder / "points.jsonl", {"recipe": 2}).known


Opened = tuple[str, Callable[[Path], object], bytes | Path]
OPENED: dict[str, Opened] = {
    "suite": ("s.toml", lambda folder: load_suite(str(folder / "s.toml")), SUITE.encode()),
    "task": ("t.toml", lambda folder: task_from_file(folder / "t.toml"), TASK.encode()),
    "own data": ("train.csv", open_own, ROWS.encode()),
    "GLUE": ("RTE/dev.tsv", open_glue, GLUE.encode()),
    "plugin": ("p.py", lambda folder: load_plugin(str(folder / "p.py")), PLUGIN.encode()),
    "corpus": ("c.txt", lambda folder: read_corpus(folder / "c.txt"), "one rabbit\nzwei Häsin".encode()),
    "scores": ("f.safetensors", lambda folder: load_scores(folder / "f.safetensors"), b""),
    "model's config": ("config.json", open_model, MODEL_DIR / "config.json"),
    "model's tokenizer": ("tokenizer.json", open_model, MODEL_DIR / "tokenizer.json"),
    "model's weights": ("model.safetensors", open_model, MODEL_DIR / "model.safetensors"),
    "points": ("points.jsonl", read_points, b'{"recipe": 1}'),
    "mixing target": ("w.safetensors", lambda folder: file_hashes(parse(f"mixout({folder}/w.safetensors)")), b""),
    "digits": ("t10k-images-idx3-ubyte.gz", lambda folder: read_idx(folder / "t10k-images-idx3-ubyte.gz", 2051), b""),
    "split hashes": ("h.json", lambda folder: compare_hashes(folder / "h.json", []), b'{"rte": {"1.0/0": "ab"}}'),
}


def pipe(path: Path, content: bytes) -> None:
    os.mkfifo(path)


def locked(path: Path, content: bytes) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    path.write_bytes(content)
    path.chmod(0)


DAMAGE: dict[str, Callable[[Path, bytes], object]] = {
    "missing": lambda path, content: None,
    "folder": lambda path, content: path.mkdir(),
    "pipe": pipe,
    "locked": locked,
    "empty": lambda path, content: path.write_bytes(b""),
    "binary": lambda path, content: path.write_bytes(bytes(range(256)) * 8),
    "half": lambda path, content: path.write_bytes(content[: len(content) // 2]),
    "UTF-16": lambda path, content: path.write_bytes(content.decode("utf-8", "replace").encode("utf-16")),
}
SOUND = {
    ("split hashes", "missing"),
    ("split hashes", "UTF-16"),
    ("corpus", "half"),
    ("points", "missing"),
}  # new; as JSON may be; a text
FAULTS = sorted({(opened, damage) for opened in OPENED for damage in DAMAGE} - SOUND)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "RTE").mkdir()
    (tmp_path / "train.csv").write_text(ROWS)
    for name in os.listdir(MODEL_DIR):
        shutil.copy(MODEL_DIR / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(("opened", "damage"), FAULTS)
def test_a_file_that_is_not_what_it_should_be_is_one_sentence(place: Path, opened: str, damage: str) -> None:
    name, read, content = OPENED[opened]
    (place / name).unlink(missing_ok=True)
    DAMAGE[damage](place / name, content if isinstance(content, bytes) else content.read_bytes())
    with pytest.raises(InputError) as refused:
        read(place)
    assert str(refused.value).strip() and "\n" not in str(refused.value)
