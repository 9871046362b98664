"""Digit folders: what is read is what is stored, upright and in [0, 1]; every defect is one sentence and exit 2."""

import gzip
import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.theory.__main__ import main
from benchmarks.theory.digits import embedded, read_folder

MNIST = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")
EMNIST = tuple(f"emnist-digits-{name}" for name in MNIST)
IMAGES = np.random.default_rng(0).integers(0, 256, (25, 28, 28), dtype=np.uint8)
LABELS = (np.arange(25) % 10).astype(np.uint8)
USPS_ROWS = np.random.default_rng(1).uniform(-1, 1, (25, 256)).round(3)


def idx(array: np.ndarray) -> bytes:
    """The IDX format from its definition: two zero bytes, type 8, number of dimensions, sizes, data."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(folder: Path, names: tuple[str, ...], images: np.ndarray = IMAGES, labels: np.ndarray = LABELS) -> Path:
    folder.mkdir(exist_ok=True)
    for name, array in zip(names, (images, labels), strict=True):
        (folder / name).write_bytes(gzip.compress(idx(array)))
    return folder


def write_usps(folder: Path, rows: list[str] | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    stored = [f"{i % 10}.0000 " + " ".join(map(str, row)) for i, row in enumerate(USPS_ROWS)]
    (folder / "zip.train.gz").write_bytes(gzip.compress("\n".join(stored if rows is None else rows).encode()))
    return folder


def test_idx_images_are_read_as_stored(tmp_path: Path) -> None:
    domain = read_folder(write_idx(tmp_path / "mnist", MNIST))
    assert domain.images.dtype == torch.float32 and domain.labels.dtype == torch.int64
    np.testing.assert_allclose(domain.images.numpy(), IMAGES.reshape(25, 784) / 255, rtol=1e-6)
    np.testing.assert_array_equal(domain.labels.numpy(), LABELS)
    assert (domain.name, domain.note) == ("mnist", "IDX, as stored")


def test_emnist_is_transposed_back_and_says_so(tmp_path: Path) -> None:
    upright = read_folder(write_idx(tmp_path / "mnist", MNIST))
    stored = write_idx(tmp_path / "emnist", EMNIST, images=IMAGES.transpose(0, 2, 1))
    write_idx(stored, tuple(f"emnist-letters-{name}" for name in MNIST))  # the other sets of the archive lie next to it
    domain = read_folder(stored)
    assert torch.equal(domain.images, upright.images) and domain.fingerprint == upright.fingerprint
    assert "transposed back" in domain.note


def test_usps_rows_become_padded_images_in_zero_to_one(tmp_path: Path) -> None:
    domain = read_folder(write_usps(tmp_path / "usps"))
    images = domain.images.reshape(25, 28, 28).numpy()
    np.testing.assert_allclose(images[:, 6:22, 6:22].reshape(25, 256), (USPS_ROWS + 1) / 2, atol=1e-6)
    images[:, 6:22, 6:22] = 0
    assert not images.any()  # the border is background
    assert domain.labels.tolist() == [i % 10 for i in range(25)]


def test_the_embedded_pair_is_the_documented_one() -> None:
    from sklearn.datasets import load_digits

    source, target = embedded()
    assert len(source.labels) + len(target.labels) == 1797
    blocks = torch.cat([source.images.reshape(-1, 28, 28), target.images.reshape(-1, 28, 28).mT])
    small = blocks[:, 2:26:3, 2:26:3].numpy() * 16  # undoing padding, blocks and transposition gives the scans
    wanted = sorted(map(bytes, load_digits().images.astype(np.uint8)))
    assert sorted(map(bytes, small.round().astype(np.uint8))) == wanted
    assert float(blocks.max()) == 1 and float(blocks.min()) == 0
    assert embedded()[0].fingerprint == source.fingerprint


def test_a_split_has_every_image_once_and_never_changes(tmp_path: Path) -> None:
    domain = read_folder(write_idx(tmp_path / "mnist", MNIST))
    train, validation = domain.split(0.2)
    assert (len(train.labels), len(validation.labels)) == (20, 5)
    assert sorted(map(tuple, torch.cat([train.images, validation.images]).tolist())) == sorted(
        map(tuple, domain.images.tolist())
    )
    assert torch.equal(domain.split(0.2)[1].images, validation.images)


def change(name: str, content: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    """An MNIST folder in which one file's bytes are changed."""

    def make(folder: Path) -> Path:
        path = write_idx(folder, MNIST) / name
        path.write_bytes(content(path.read_bytes()))
        return folder

    return make


def repack(name: str, content: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    """The same below the compression."""
    return change(name, lambda data: gzip.compress(content(gzip.decompress(data))))


def empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def no_labels(folder: Path) -> Path:
    (write_idx(folder, MNIST) / MNIST[1]).unlink()
    return folder


USPS_GOOD = "6.0 " + " ".join(["-1.0"] * 256)
BAD_FOLDERS: list[tuple[Callable[[Path], Path], str]] = [
    (lambda f: f / "nowhere", "a digit folder must be an existing folder, got"),
    (empty, "must hold one training set, .* got 0 among the 0 files"),
    (lambda f: write_usps(write_idx(f, MNIST)), "must hold one training set, .* got 2 among the 3 files"),
    (no_labels, "train-labels-idx1-ubyte.gz: must be a readable file, got No such file"),
    (repack(MNIST[0], lambda d: b"\0\0\10\1" + d[4:]), "the magic number of this IDX file must be 2051, got 2049"),
    (repack(MNIST[1], lambda d: b""), "the magic number of this IDX file must be 2049, got 0"),
    (repack(MNIST[0], lambda d: d[:9]), "its header announces 16 bytes, got 9"),
    (repack(MNIST[0], lambda d: d[:-1]), "its header announces 19616 bytes, got 19615"),
    (repack(MNIST[0], lambda d: d + b"x"), "its header announces 19616 bytes, got 19617"),
    (change(MNIST[0], lambda d: d[: len(d) // 2]), "must be a complete gzip file, got a truncated one"),
    (change(MNIST[0], lambda d: d[:100] + b"~" * 50 + d[150:]), "must be a gzip file, got something else"),
    (change(MNIST[1], lambda d: b"plain text"), "must be a gzip file, got something else"),
    (lambda f: write_idx(f, MNIST, images=IMAGES[:, :27]), "images must be 28x28, got 27x28"),
    (lambda f: write_idx(f, MNIST, labels=LABELS[:24]), "must hold one label per image, got 24 for 25 images"),
    (lambda f: write_idx(f, MNIST, labels=LABELS + np.uint8(3)), "labels must be digits from 0 to 9, got 12"),
    (lambda f: write_idx(f, MNIST, IMAGES[:5], LABELS[:5]), "must hold at least 20 images, got 5"),
    (lambda f: write_idx(f, MNIST, IMAGES[:0], LABELS[:0]), "must hold at least 20 images, got 0"),
    (lambda f: write_usps(f, []), "must hold at least 20 images, got 0"),
    (lambda f: write_usps(f, [USPS_GOOD] * 3), "must hold at least 20 images, got 3"),
    (lambda f: write_usps(f, [USPS_GOOD, "6.0 1.0"]), "line 2 must be a digit and 256 grey values .* got '6.0 1.0'"),
    (lambda f: write_usps(f, [USPS_GOOD, "", USPS_GOOD]), "line 2 must be a digit and 256 grey values"),
    (lambda f: write_usps(f, [USPS_GOOD.replace("6.0", "10.0")]), "line 1 must be a digit"),
    (lambda f: write_usps(f, [USPS_GOOD.replace("6.0", "6.5")]), "line 1 must be a digit"),
    (lambda f: write_usps(f, [USPS_GOOD + "x"]), "line 1 must be a digit"),
    (lambda f: write_usps(f, [USPS_GOOD[:-4] + "nan"]), "line 1 must be a digit"),
    (lambda f: write_usps(f, [USPS_GOOD[:-4] + "1.5"]), "line 1 must be a digit"),
]


@pytest.mark.parametrize(("make", "message"), BAD_FOLDERS)
def test_a_bad_folder_is_one_sentence_and_exit_2(
    make: Callable[[Path], Path], message: str, tmp_path: Path, refused: Callable[..., str]
) -> None:
    folder, good = make(tmp_path / "digits"), write_usps(tmp_path / "usps")
    for source, target in ((folder, good), (good, folder)):
        assert re.search(message, refused(main, "--output", tmp_path / "out", "--source", source, "--target", target))
    assert not (tmp_path / "out").exists()  # refused before anything is made


def test_the_real_folders_have_their_published_counts(shared_data: Path) -> None:
    mnist, usps = read_folder(shared_data / "mnist"), read_folder(shared_data / "usps")
    assert (len(mnist.labels), len(usps.labels)) == (60000, 7291)
    assert mnist.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert usps.labels.bincount().tolist() == [1194, 1005, 731, 658, 652, 556, 664, 645, 542, 644]
    for domain in (mnist, usps):
        assert domain.images.shape[1] == 784 and float(domain.images.min()) == 0 and float(domain.images.max()) == 1
