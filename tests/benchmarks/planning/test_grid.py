"""The grid: every trial once, its identity complete, no order and no spelling in it."""

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.data.origin import Origin
from benchmarks.data.sources import examples_hash
from benchmarks.data.splits import make_split, paucity_split, split_hash
from benchmarks.planning.grid import make_grid
from benchmarks.planning.suite_file import load_suite
from benchmarks.trial.config import Seeds, TrialConfig
from benchmarks.trial.identity import model_identity
from benchmarks.trial.models import Source
from benchmarks.trial.protocol import make_protocol

Make = Callable[..., list[TrialConfig]]
DATA = Origin(offline=True).load("pocket-rte")


def test_the_order_and_the_spelling_of_strategies_change_no_trial(make_configs: Make) -> None:
    one = make_configs("dropout(0.1)+wdecay(0,0.01)", "none", "none")
    other = make_configs("none", "wdecay(0, 1e-2) + dropout(.1)")
    assert set(one) == set(other)


def test_seeds_differ_by_purpose_and_restart_and_know_no_strategy() -> None:
    first, second = Seeds.of(0, 0), Seeds.of(1, 0)
    assert len({first.init, first.order, first.noise, second.init}) == 4
    assert first == Seeds.of(0, 0)


def test_the_content_of_a_stored_target_is_part_of_the_identity(
    make_configs: Make, tmp_path: Path, refusal: Callable[..., str]
) -> None:
    target = tmp_path / "target.safetensors"
    found = []
    for content in (b"one", b"other", b"one"):
        target.write_bytes(content)
        found += make_configs(f"mixout({target}, 0.5)")
    assert found[0] == found[2] != found[1]
    assert found[0].files == {str(target): hashlib.sha256(b"one").hexdigest()}
    assert "files" not in make_configs("mixout(w_pre, 0.5)")[0].to_json()
    target.unlink()
    said = refusal(make_configs, f"mixout({target}, 0.5)")
    assert "which a strategy names, must be a file that can be read: no such file" in said


@pytest.fixture
def grid_of() -> Callable[..., list[TrialConfig]]:
    """The grid of `none` on an embedded task; keyword arguments are fields of the suite, or what data changes."""

    def make(family: str = "bert", changes: dict[str, Any] | None = None, **fields: Any) -> list[TrialConfig]:
        data = dataclasses.replace(DATA, **changes or {})
        plain = {"tasks": ("pocket-rte",), "strategies": ("none",), "variants": ()}
        suite = dataclasses.replace(load_suite("pocket"), **plain | fields)
        model = {"model": "m", "weights": "w"}
        return make_grid(suite, lambda name: data, model=model, family=family, fisher=lambda strategy: None)

    return make


def test_a_family_without_the_faster_passes_is_recorded_with_the_stock_one(grid_of: Make) -> None:
    assert {config.protocol.forward for config in grid_of("deberta-v2")} == {"stock"}


def test_a_config_names_tokenizer_and_the_models_configuration(source: Source, make_configs: Make) -> None:
    """The split's hash knows labels only: two trials on other texts are two trials."""
    (config,) = make_configs("none")
    block = config.to_json()
    assert {key: block[key] for key in ("model", "weights", "tokenizer", "model_config")} == model_identity(source)
    assert "dropped" not in block and "extra_hashes" not in block
    ids = {dataclasses.replace(config, **{field: "other"}).id for field in ("train_hash", "tokenizer", "model_config")}
    assert len({config.id, *ids}) == 4
    old = {key: value for key, value in block.items() if key not in ("train_hash", "tokenizer", "model_config")}
    assert TrialConfig.from_json(old).to_json() == old, "records made before the fields keep their ids"


def test_rows_that_were_left_out_and_further_dev_sets_are_named(grid_of: Make) -> None:
    block = grid_of(changes={"extra": {"more": DATA.dev[:3]}, "dropped": {"train": (4, 5)}})[0].to_json()
    assert block["dropped"] == {"train": [4, 5]} and block["extra_hashes"] == {"more": examples_hash(DATA.dev[:3])}


@pytest.mark.parametrize("kind", ["official", "resampled", "pooled"])
def test_every_trial_has_the_hashes_of_its_own_split(kind: str, grid_of: Make) -> None:
    """Whatever is kept from one amount and restart to the next; amounts stand one after the other."""
    sizes = () if kind == "pooled" else (30,)
    shape = {"fractions": (1.0, 0.1), "sizes": sizes, "restarts": 3, "split_seeds": 2, "settings": {"data": kind}}
    grid = grid_of(**shape)
    amounts = list(dict.fromkeys(one.amount for one in grid))
    assert [(one.amount, one.restart) for one in grid] == [(a, r) for a in amounts for r in range(3)]
    assert len(amounts) == 2 + len(sizes)
    for one in grid:
        place = {"split_seed": one.split_seed, "restart": one.restart}
        split = make_split(DATA, one.protocol, fraction=one.fraction, size=one.size, **place)
        found = split_hash(DATA.task, split.train), examples_hash(split.train), examples_hash(split.dev)
        assert found == (one.split_hash, one.train_hash, one.dev_hash)


def test_all_of_the_training_set_is_not_chosen_from() -> None:
    split = make_split(DATA, make_protocol("lee20", {}), fraction=1.0, split_seed=3, restart=0)
    assert split.train is DATA.train
    ids = paucity_split(DATA, 1.0, 3)
    assert sorted(ids) == [example.id for example in split.train]
