"""Logits on dev as records keep them."""

import base64
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fisher.common.errors import InputError, require

LARGEST = float(np.finfo(np.float16).max)

Array = NDArray[np.float64]


def encode_logits(logits: ArrayLike) -> dict[str, Any]:
    """Return logits (examples, classes) for a record: little-endian float16 in base64, cut to +-65504."""
    values = np.clip(np.asarray(logits, dtype=np.float64), -LARGEST, LARGEST).astype("<f2")
    return {"shape": list(values.shape), "float16": base64.b64encode(values.tobytes()).decode("ascii")}


def decode_logits(stored: Any) -> Array:
    """Return the logits (examples, classes) that `encode_logits` stored. Raises InputError for anything else."""
    try:
        rows, classes = stored["shape"]
        values = np.frombuffer(base64.b64decode(stored["float16"], validate=True), dtype="<f2")
        logits = values.reshape(rows, classes).astype(np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"logits must be a shape and as many float16 values in base64: {error}") from None
    require(np.isfinite(logits).all(), "logits must be finite", "one that is not")
    return logits
