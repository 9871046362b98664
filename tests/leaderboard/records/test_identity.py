"""Equal configs have one id, different ones never, and it is safe as a file name."""

import functools
import json
import math
import re

import numpy as np
import pytest

from leaderboard.records import identity
from leaderboard.records.identity import canonical, config_hash, record_id

CHANGES = [
    {"fraction": 0.25},
    {"restart": 1},
    {"strategy": "wdecay(0, 0.01)"},
    {"weights": "00" * 32},
    {"split_hash": "00" * 32},
    {"methods": {"mixout": 2}},
    {"fisher": {"seed": 1}},
    {"protocol": {"bias_correction": False}},
]


def test_canonical_is_the_same_for_equal_values():
    assert canonical({"b": 1, "a": [0.1, None, True, "é"]}) == '{"a":[0.1,null,true,"é"],"b":1}'
    assert canonical({"a": 1, "b": 2}) == canonical({"b": 2, "a": 1})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, "numbers in a record must be finite, got nan; write null for an undefined one"),
        ([math.inf], "numbers in a record must be finite, got inf"),
        ({1: 2}, "the keys of an object in a record must be texts"),
        (np.int64(3), "a record holds plain JSON values only, got int64; convert it first"),
        (functools.reduce(lambda inner, _: [inner], range(5000), []), "must not nest deeper than 32 levels"),
    ],
)
def test_canonical_refuses_what_json_cannot_hold(value, message, refusal):
    assert message in refusal(canonical, value)


@pytest.mark.parametrize("change", CHANGES)
def test_the_id_depends_on_everything_that_determines_the_result(record, change):
    assert record_id(record(**dict(change))["config"])[-12:] != record_id(record()["config"])[-12:]


def test_ids_made_together_are_those_made_alone(record, refusal):
    """Configs share objects, equal values of unlike types stand in one place, and keys need sorting."""
    base = record()["config"]
    odd = [{"fisher": {"x": one}} for one in (1, 1.0, True, "1", [1], None)]
    configs = [base | {"restart": at, "zz": at, "a!": 0, "a": 1} | fisher for at, fisher in enumerate(odd * 2)]
    together = identity.record_ids(configs)
    assert [name[-12:] for name in together] == [config_hash(config)[:12] for config in configs]
    assert together == [record_id(json.loads(json.dumps(config))) for config in configs] and len(set(together)) == 12
    assert "fraction must be" in refusal(identity.record_ids, [base, base | {"fraction": 2.0}])
    assert "keys of an object" in refusal(identity.record_ids, [base | {1: "x"}])


def test_the_id_is_readable_and_stable(record):
    name = record_id(record(strategy="mixout(w_pre, 0.7) + head:mixout(w_0, 0.7)", restart=2)["config"])
    assert name.startswith("rte-small-bert-mixout-w_pre-0.7-head-mixout-w_0-0.7-f0.1-r2-")
    assert re.fullmatch(r"[a-z0-9._-]+", name)
    digest = config_hash(record(strategy="mixout(w_pre, 0.7) + head:mixout(w_0, 0.7)", restart=2)["config"])
    assert name.endswith("-" + digest[:12])


@pytest.mark.parametrize("text", ["../../etc/passwd", "a/b\\c", "x" * 500, "数据", "\x1b[0m", ". .", "con\nfig"])
def test_the_id_is_a_safe_file_name_whatever_the_names_are(record, text):
    name = record_id(record(task=text, model=text, strategy=text)["config"])
    assert re.fullmatch(r"[a-z0-9][a-z0-9._-]{12,150}", name)
