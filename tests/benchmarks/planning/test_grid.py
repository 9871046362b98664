"""The grid: every trial once, its identity complete, no order and no spelling in it."""

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

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
from fisher.common.errors import InputError

Make = Callable[..., list[TrialConfig]]


def test_the_grid_is_the_cross_product(make_configs: Make) -> None:
    configs = make_configs("none", "dropout(0.1)", restarts=3)
    assert len(configs) == 6
    assert len({config.id for config in configs}) == 6


def test_the_order_and_the_spelling_of_strategies_change_no_trial(make_configs: Make) -> None:
    one = make_configs("dropout(0.1)+wdecay(0,0.01)", "none", "none")
    other = make_configs("none", "wdecay(0, 1e-2) + dropout(.1)")
    assert set(one) == set(other)


def test_seeds_differ_by_purpose_and_restart_and_know_no_strategy() -> None:
    first, second = Seeds.of(0, 0), Seeds.of(1, 0)
    assert len({first.init, first.order, first.noise, second.init}) == 4
    assert first == Seeds.of(0, 0)


def test_every_setting_changes_the_identity(make_configs: Make) -> None:
    (base,) = make_configs("none")
    for settings in ({"epochs": 9}, {"lr": 1e-5}, {"bias_correction": False}, {"forward": "padded"}):
        assert make_configs("none", **settings)[0] != base, settings


def test_the_content_of_a_stored_target_is_part_of_the_identity(make_configs: Make, tmp_path: Path) -> None:
    target = tmp_path / "target.safetensors"
    found = []
    for content in (b"one", b"other", b"one"):
        target.write_bytes(content)
        (config,) = make_configs(f"mixout({target}, 0.5)")
        found.append(config)
    assert found[0] == found[2] != found[1]
    assert found[0].files == {str(target): hashlib.sha256(b"one").hexdigest()}
    assert "files" not in make_configs("mixout(w_pre, 0.5)")[0].to_json()
    target.unlink()
    with pytest.raises(InputError, match="which a strategy names, must be a file that can be read: no such file"):
        make_configs(f"mixout({target}, 0.5)")


def test_a_family_without_the_faster_passes_is_recorded_with_the_stock_one() -> None:
    suite = load_suite("pocket")
    grid = make_grid(
        suite,
        Origin(offline=True).load,
        model={"model": "m", "weights": "w"},
        family="deberta-v2",
        fisher=lambda strategy: None,
    )
    assert {config.protocol.forward for config in grid} == {"stock"}


def test_a_config_names_texts_tokenizer_and_the_models_configuration(source: Source, make_configs: Make) -> None:
    """The split's hash knows labels only: two trials on other texts are two trials."""
    (config,) = make_configs("none")
    data = Origin(offline=True).load("pocket-rte")
    kept = make_split(data, config.protocol, fraction=0.02, split_seed=0, restart=0)
    assert config.train_hash == examples_hash(kept.train) and config.dev_hash == examples_hash(data.dev)
    block = config.to_json()
    assert {key: block[key] for key in ("model", "weights", "tokenizer", "model_config")} == model_identity(source)
    assert "dropped" not in block and "extra_hashes" not in block
    ids = {dataclasses.replace(config, **{field: "other"}).id for field in ("train_hash", "tokenizer", "model_config")}
    assert len({config.id, *ids}) == 4
    old = {key: value for key, value in block.items() if key not in ("train_hash", "tokenizer", "model_config")}
    assert TrialConfig.from_json(old).to_json() == old, "records made before the fields keep their ids"


def test_rows_that_were_left_out_and_further_dev_sets_are_named() -> None:
    data = Origin(offline=True).load("pocket-rte")
    data = dataclasses.replace(data, extra={"more": data.dev[:3]}, dropped={"train": (4, 5)})
    suite = dataclasses.replace(load_suite("pocket"), tasks=("pocket-rte",), strategies=("none",), restarts=1)
    asked = {"model": {"model": "m", "weights": "w"}, "family": "bert", "fisher": lambda strategy: None}
    block = make_grid(suite, lambda name: data, **asked)[0].to_json()
    assert block["dropped"] == {"train": [4, 5]} and block["extra_hashes"] == {"more": examples_hash(data.dev[:3])}


@pytest.mark.parametrize("kind", ["official", "resampled", "pooled"])
def test_every_trial_has_the_hashes_of_its_own_split(kind: str) -> None:
    """Whatever is kept from one amount and restart to the next; amounts stand one after the other."""
    data = Origin(offline=True).load("pocket-rte")
    sizes = () if kind == "pooled" else (30,)
    suite = dataclasses.replace(load_suite("pocket"), tasks=("pocket-rte",), strategies=("none",), restarts=3)
    shape = {"fractions": (1.0, 0.1), "sizes": sizes, "split_seeds": 2, "settings": {"data": kind}, "variants": ()}
    suite = dataclasses.replace(suite, **shape)
    asked = {"model": {"model": "m", "weights": "w"}, "family": "bert", "fisher": lambda strategy: None}
    grid = make_grid(suite, lambda name: data, **asked)
    assert [(one.amount, one.restart) for one in grid] == [(a, r) for a in suite.amounts() for r in range(3)]
    for one in grid:
        place = {"split_seed": one.split_seed, "restart": one.restart}
        split = make_split(data, one.protocol, fraction=one.fraction, size=one.size, **place)
        found = split_hash(data.task, split.train), examples_hash(split.train), examples_hash(split.dev)
        assert found == (one.split_hash, one.train_hash, one.dev_hash)


def test_all_of_the_training_set_is_not_chosen_from() -> None:
    data = Origin(offline=True).load("pocket-rte")
    protocol = make_protocol("lee20", {})
    split = make_split(data, protocol, fraction=1.0, split_seed=3, restart=0)
    assert split.train is data.train
    ids = paucity_split(data.task, data.train, fraction=1.0, split_seed=3)
    assert ids == tuple(example.id for example in split.train)
