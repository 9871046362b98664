"""Digit domains: IDX folders (MNIST, EMNIST), USPS text rows, and an embedded pair that needs no download.

Every domain ends as images (n, 784) in [0, 1] with 0 for the background: the training file of its folder.

 - IDX (`*train-images-idx3-ubyte.gz` with its labels): grey values / 255. EMNIST's images are stored transposed against
   MNIST's; files whose name begins with `emnist` are transposed back, and the domain's note says so.
 - USPS (`zip.train.gz`; rows of a label and 256 values in [-1, 1], 16x16): (value + 1) / 2, padded by 6 to 28x28.
 - embedded: scikit-learn's 1,797 scans of 8x8 (values 0..16), divided by 16, each pixel a 3x3 block, padded by 2. A
   fixed permutation cuts them in halves: the first is the source as it is, the second, transposed, the target.
   Transposing is the shift that raw EMNIST has against MNIST.
"""

import gzip
import hashlib
import math
import os
import re
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from fisher.common.errors import InputError, require
from fisher.common.files import read_regular
from fisher.seeds import derive

SIDE = 28
IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049  # unsigned bytes in 3 dimensions and in 1
IDX_IMAGES = re.compile(r"(.*)train-images[-.]idx3-ubyte\.gz")
EMNIST_DIGITS = "emnist-digits-"  # EMNIST's archive holds six data sets in one folder
USPS = "zip.train.gz"
USPS_SIDE = 16
FEWEST = 20  # images; with less there is nothing to train on and to validate


@dataclass(frozen=True)
class Domain:
    """A set of digits: images (n, 784) float32, labels (n,) int64.

    `note` says what was done to the stored images, `fingerprint` is 12 hex digits of SHA-256 of the whole set.
    """

    name: str
    note: str
    fingerprint: str
    images: Tensor
    labels: Tensor

    def split(self, share: float) -> tuple["Domain", "Domain"]:
        """Training and validation part; the latter is `share` of the images, by a permutation that never changes."""
        order = torch.randperm(len(self.labels), generator=torch.Generator().manual_seed(derive("theory", "split")))
        cut = len(order) - round(share * len(order))
        return self._part(order[:cut]), self._part(order[cut:])

    def _part(self, rows: Tensor) -> "Domain":
        return replace(self, images=self.images[rows], labels=self.labels[rows])


def read_folder(folder: Path) -> Domain:
    """The domain of a folder, its kind known by the file names.

    Raises InputError for a folder that does not exist or holds neither kind or several sets, and for files that are
    not complete, not of their format, or no 28x28 (USPS 16x16) digits.
    """
    require(os.path.isdir(folder), "a digit folder must be an existing folder", folder)
    names = sorted(path.name for path in folder.iterdir())
    prefixes = [match[1] for name in names if (match := IDX_IMAGES.fullmatch(name))]
    prefixes = [EMNIST_DIGITS] if EMNIST_DIGITS in prefixes else prefixes
    require(
        len(prefixes) + (USPS in names) == 1,
        f"a digit folder must hold one training set, *train-images-idx3-ubyte.gz (MNIST, EMNIST) or {USPS} (USPS)",
        f"{len(prefixes) + (USPS in names)} among the {len(names)} files of {folder}",
    )
    domain = _read_idx_pair(folder, prefixes[0]) if prefixes else _read_usps(folder / USPS)
    require(
        len(domain.labels) >= FEWEST, f"{folder}: a training set must hold at least {FEWEST} images", len(domain.labels)
    )
    return domain


def embedded() -> tuple[Domain, Domain]:
    """Source and target of the embedded default: 898 upright digits and 899 other ones, transposed."""
    from sklearn.datasets import load_digits  # a slow import that only the default needs

    stored = load_digits()
    grey = torch.from_numpy(stored.images).float() / 16  # (1797, 8, 8)
    images = pad(grey.repeat_interleave(3, 1).repeat_interleave(3, 2), (2, 2, 2, 2))  # (1797, 28, 28)
    labels = torch.from_numpy(stored.target).long()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(derive("theory", "embedded")))
    first, second = order[: len(order) // 2], order[len(order) // 2 :]
    return (
        _domain("digits", "8x8 scans, pixels as 3x3 blocks, padded", images[first], labels[first]),
        _domain("digits-transposed", "other 8x8 scans, transposed", images[second].mT, labels[second]),
    )


def _domain(name: str, note: str, images: Tensor, labels: Tensor) -> Domain:
    flat = images.reshape(len(labels), SIDE * SIDE).contiguous()
    digest = hashlib.sha256(flat.numpy().tobytes() + labels.numpy().tobytes()).hexdigest()
    return Domain(name, note, digest[:12], flat, labels)


def _read_idx_pair(folder: Path, prefix: str) -> Domain:
    """Images and labels of one training set, upright."""
    images_path = next(p for p in folder.iterdir() if (m := IDX_IMAGES.fullmatch(p.name)) and m[1] == prefix)
    labels_path = images_path.with_name(images_path.name.replace("images", "labels").replace("idx3", "idx1"))
    stored = read_idx(images_path, IMAGES_MAGIC)  # (n, 28, 28)
    labels = read_idx(labels_path, LABELS_MAGIC)  # (n,)
    require(
        stored.shape[1:] == (SIDE, SIDE),
        f"{images_path}: images must be {SIDE}x{SIDE}",
        f"{stored.shape[1]}x{stored.shape[2]}",
    )
    require(
        len(stored) == len(labels),
        f"{labels_path}: must hold one label per image",
        f"{len(labels)} for {len(stored)} images",
    )
    largest = labels.max(initial=0)
    require(largest <= 9, f"{labels_path}: labels must be digits from 0 to 9", largest)
    transposed = prefix.lower().startswith("emnist")
    upright = stored.transpose(0, 2, 1) if transposed else stored
    note = "IDX, stored transposed, transposed back" if transposed else "IDX, as stored"
    grey = torch.from_numpy(np.ascontiguousarray(upright, dtype=np.float32)) / 255
    return _domain(folder.resolve().name, note, grey, torch.from_numpy(labels.astype(np.int64)))


def read_idx(path: Path, magic: int) -> np.ndarray:
    """The array of a gzipped IDX file of unsigned bytes: big-endian magic number, one size per dimension, the bytes.

    Raises InputError for a file that is missing, no complete gzip, of another magic number, or too short or too long.
    """
    data = _unzip(path)
    found = int.from_bytes(data[:4], "big")
    require(len(data) >= 4 and found == magic, f"{path}: the magic number of this IDX file must be {magic}", found)
    dimensions = magic % 256
    start = 4 + 4 * dimensions
    shape = struct.unpack(f">{dimensions}I", data[4:start]) if len(data) >= start else (0,) * dimensions
    wanted = start + math.prod(shape)
    require(len(data) == wanted, f"{path}: its header announces {wanted} bytes", len(data), "download it again")
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape)


def _unzip(path: Path) -> bytes:
    try:
        return gzip.decompress(read_regular(path))
    except EOFError as error:
        raise InputError(f"{path}: must be a complete gzip file, got a truncated one; download it again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: must be a gzip file, got something else ({error})") from error
    except OSError as error:
        raise InputError(f"{path}: must be a readable file, got {error.strerror or error}") from error


def _read_usps(path: Path) -> Domain:
    """USPS rows as images in [0, 1], padded to 28x28."""
    lines = _unzip(path).decode("ascii", errors="replace").splitlines()
    rows = np.array([_usps_row(path, at, line) for at, line in enumerate(lines, 1)], dtype=np.float32)
    rows = rows.reshape(-1, 1 + USPS_SIDE**2)
    grey = (torch.from_numpy(rows[:, 1:]).reshape(-1, USPS_SIDE, USPS_SIDE) + 1) / 2
    images = pad(grey, ((SIDE - USPS_SIDE) // 2,) * 4)
    note = "text rows of 16x16 in [-1, 1], mapped to [0, 1], padded by 6"
    return _domain(path.parent.resolve().name, note, images, torch.from_numpy(rows[:, 0].astype(np.int64)))


def _usps_row(path: Path, number: int, line: str) -> np.ndarray:
    """Label and 256 values of one line."""
    try:
        row = np.array(line.split(), dtype=np.float32)
    except ValueError:
        row = np.empty(0, dtype=np.float32)
    fits = row.size == 1 + USPS_SIDE**2 and row[0] in range(10) and bool((np.abs(row[1:]) <= 1).all())
    require(fits, f"{path}: line {number} must be a digit and 256 grey values in [-1, 1]", f"{line[:40]!r}")
    return row
