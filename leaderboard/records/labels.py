"""Labels of dev sets: `labels.json`, which a run of tuned families, or of restarts that share a split, writes.

    {hash of the dev set (config.dev_hash): [label, ...]}, class ids or scores in the order of the predictions

A record holds predictions and their score; what several trials predict together is scored with these (see
`leaderboard.tables.ensembles`). Nothing else depends on them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboard.records.files import read_companion
from leaderboard.records.schema import RecordError

LABELS = "labels.json"

Labels = dict[str, NDArray[Any]]


def read_labels(results: Iterable[Path | str]) -> tuple[Labels, list[RecordError]]:
    """Return the labels of every dev set that the folders given know, and the files that hold none.

    A record or a `records` folder stands for the folder that the run wrote.
    """
    wanted = "an object of lists of labels, one for each dev set"
    found, faults = read_companion(results, LABELS, _labels_in, wanted)
    return {name: labels for known in reversed(found) for name, labels in known.items()}, faults


def encode_labels(labels: Mapping[str, Sequence[Any] | NDArray[Any]]) -> bytes:
    """Return the file's bytes: sorted keys, a line for each dev set."""
    lines = [f"{json.dumps(name)}: {json.dumps(np.asarray(labels[name]).tolist())}" for name in sorted(labels)]
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode("utf-8")


def _labels_in(content: Any) -> Labels:
    return {name: _array(labels) for name, labels in content.items()}


def _array(labels: Any) -> NDArray[Any]:
    array = np.array(labels)
    if array.ndim != 1 or array.dtype.kind not in "if" or not np.isfinite(array).all():
        raise ValueError
    return array
