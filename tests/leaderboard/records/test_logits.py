"""Logits through a record and back."""

import json
import math
import re

import numpy as np
import pytest

from leaderboard.records.logits import LARGEST, decode_logits, encode_logits

LOGITS = np.random.default_rng(0).normal(scale=2, size=(300, 3))


def test_logits_come_back_as_half_precision() -> None:
    stored = json.loads(json.dumps(encode_logits([[0.1, -3.0], [1e9, -1e9]])))
    assert decode_logits(stored).tolist() == [[float(np.float16(0.1)), -3.0], [LARGEST, -LARGEST]]
    assert len(encode_logits(LOGITS)["float16"]) == math.ceil(300 * 3 * 2 / 3) * 4


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        *(
            (stored, "logits must be a shape and as many float16 values in base64")
            for stored in (
                None,
                {"shape": [1, 2]},
                {"shape": [1, 2], "float16": "AAAA"},
                {"shape": [1, 2, 1], "float16": "AAAAAA=="},
                {"shape": [1, 2], "float16": "not base64"},
                {"shape": [1], "float16": "AAA="},
            )
        ),
        ({"shape": [1, 1], "float16": "AHw="}, "logits must be finite"),  # infinity
    ],
)
def test_logits_that_are_none_are_refused(stored, message, refusal):
    assert re.search(message, refusal(decode_logits, stored))
