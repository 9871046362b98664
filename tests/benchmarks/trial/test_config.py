"""A trial's config: one object from the grid to the record, and its block is the record's, byte for byte."""

import json
import pickle
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.data.splits import Size
from benchmarks.trial import config as module
from benchmarks.trial.config import TrialConfig, Tuned
from leaderboard.records.identity import dump, record_id
from leaderboard.records.store import stream_records
from regularizers.strategy import Strategy

Make = Callable[..., list[TrialConfig]]
PUBLISHED = Path(__file__).parents[3] / "leaderboard" / "published" / "records.jsonl.gz"


def test_a_config_is_its_block_and_back(make_configs: Make) -> None:
    for config in make_configs("none", "mixout(w_pre, 0.7) + head:mixout(w_0, 0.7)", restarts=2, protocol="sharma24"):
        block = json.loads(json.dumps(config.to_json()))
        again = TrialConfig.from_json(block)
        assert isinstance(again.strategy, Strategy) and again == config and hash(again) == hash(config)
        assert dump(again.to_json()) == dump(block) and config.id == record_id(block)
        assert pickle.loads(pickle.dumps(config)) == config
    assert make_configs("none")[0].label == "pocket-rte 0.02 none restart 0"


def test_published_records_read_as_configs_byte_for_byte() -> None:
    records = list(stream_records([PUBLISHED]))
    assert len(records) > 100
    for record in records:
        assert isinstance(record, dict)
        config = TrialConfig.from_json(record["config"])
        assert dump(config.to_json()) == dump(record["config"]) and config.id == record["id"]


def test_an_optional_field_is_left_out_where_nothing_is_known(make_configs: Make) -> None:
    (config,) = make_configs("none")
    assert not {"files", "size", "tuning", "floor"} & config.to_json().keys()
    tuning = Tuned(family="none", draw=0, axes={}, holdout=None, holdout_hash=None)
    other = replace(
        config, files={"target": "00"}, size=Size("per_class", 16), tuning=tuning, floor={"name": "tfidf", "c": 2.0}
    )
    assert other.to_json()["files"] == {"target": "00"} and other != config
    assert other.to_json()["size"] == {"per_class": 16} and other.label == "pocket-rte 16 per class tfidf(2) restart 0"
    assert set(module.REQUIRED) | set(module.OPTIONAL) == {field.name for field in fields(TrialConfig)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wheather": "x"}, "its config differs from this code's in wheather: another version ran it"),
        ({"weights": None}, "its config differs from this code's in weights: another version ran it"),
        ({"protocol": {"lr": 1.0}}, "its protocol differs from this code's in batch_size, beta1, "),
        ({"strategy": "mixuot(w_pre, 0.7)"}, "unknown regularizer 'mixuot'"),
    ],
)
def test_a_block_of_another_version_is_refused(
    make_configs: Make, change: dict[str, Any], message: str, refusal: Callable[..., str]
) -> None:
    block = {**make_configs("none")[0].to_json(), **change}
    kept = {key: value for key, value in block.items() if value is not None or key == "fisher"}
    assert message in refusal(TrialConfig.from_json, kept)
