"""A disk that is really full: one sentence, code 2, and what was there stays whole."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from fisher.common.errors import InputError
from fisher.estimate import main as estimate
from fisher.landscape import main as landscape
from fisher.surfaces.landscape import Points

PAGE = 4096


@pytest.fixture
def disk(tmp_path):
    """A file system of 48 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={12 * PAGE}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs to mount a small tmpfs, which takes root on Linux")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def request_of(model_folder, tmp_path, random_texts):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(random_texts(6)))
    return lambda output: [
        "--model", model_folder("bert"), "--corpus", str(corpus), "--samples", "2", "--output", str(output),
    ]  # fmt: skip


def fill(folder: Path) -> Path:
    """A file that takes all the room there is but one page."""
    path = folder / "ballast"
    room = os.statvfs(folder)
    path.write_bytes(bytes((room.f_bavail - 1) * room.f_bsize))
    return path


def test_a_landscape_resumes_when_there_is_room(disk, request_of, tmp_path, capsys):
    assert estimate(request_of(tmp_path / "scores")) == 0
    flags = [*request_of(disk / "land"), "--scores", str(tmp_path / "scores"), "--grid", "4", "--variants", "all"]
    (disk / "land").mkdir()
    ballast = fill(disk)
    capsys.readouterr()
    assert landscape(flags) == 2
    assert "cannot be written (No space left on device)" in capsys.readouterr().err.splitlines()[-1]
    ballast.unlink()
    assert landscape(flags) == 0
    assert {file.name for file in (disk / "land").iterdir()} == {"points.jsonl", "landscape.json", "landscape.md"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device without room")
def test_a_point_that_finds_no_room_is_said(tmp_path):
    sentence = r"cannot be written \(No space left on device\): free some room and run the same command again"
    with pytest.raises(InputError, match=sentence), Points(tmp_path / "points.jsonl", {"grid": 2}) as points:
        points.file.close()
        points.file = Path("/dev/full").open("a", encoding="utf-8")  # noqa: SIM115 (closed by Points)
        points.add((0, "all", 0, 0), 1.0)
