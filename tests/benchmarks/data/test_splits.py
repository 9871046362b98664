"""Paucity splits: stratified, nested, the same everywhere; and the hashes that prove it."""

import dataclasses
import json
import math
import re
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.data import official
from benchmarks.data.official import (
    EXPECTED_HASHES,
    FRACTIONS,
    SPLIT_SEEDS,
    DataHash,
    is_official,
    key_of,
    new_texts,
    remember_hashes,
)
from benchmarks.data.sources import Example, TaskData, examples_hash, load_task_data
from benchmarks.data.splits import (
    check_classes,
    holdout_ids,
    make_split,
    paucity_split,
    per_class_split,
    pooled_order,
    pooled_split,
    size_split,
    split_hash,
    split_order,
    stratifier,
)
from benchmarks.data.tasks import TASKS, Task
from benchmarks.trial.protocol import Protocol
from fisher.seeds import derive

RTE, STSB = TASKS["rte"], TASKS["stsb"]
OWN_REGRESSION = Task("prices", ("text",), None, "pearson")


def rows(labels: list[int] | list[float]) -> list[Example]:
    return [Example(number, (f"text {number}",), label) for number, label in enumerate(labels)]


def of(task: Task, train: list[Example]) -> TaskData:
    """A task's data without dev."""
    return TaskData(task, tuple(train), (), "file")


CLASSES = rows([0] * 71 + [1] * 29)
SCORES = rows([round(number * 0.013 % 5.0, 3) for number in range(997)] + [5.0, 4.0, 3.999])


def test_derive_is_the_first_eight_bytes_of_sha256_without_the_top_bit() -> None:
    assert derive("a") == 0x4A978112CA1BBDCA  # printf a | sha256sum: ca978112ca1bbdca...
    assert derive("split", "rte", 0) == derive("split/rte/0") != derive("split", "rte", 1)


@pytest.mark.parametrize(("task", "train"), [(RTE, CLASSES), (STSB, SCORES), (OWN_REGRESSION, SCORES)])
@pytest.mark.parametrize("split_seed", range(3))
def test_fractions_are_nested(task: Task, train: list[Example], split_seed: int) -> None:
    """A learning curve must add examples, never swap them."""
    kept = [set(paucity_split(of(task, train), f, split_seed=split_seed)) for f in sorted(FRACTIONS)]
    assert all(small < large for small, large in pairwise(kept))
    assert kept[-1] == {example.id for example in train}


@settings(max_examples=50, deadline=None)
@given(
    counts=st.lists(st.integers(1, 40), min_size=2, max_size=2),
    fraction=st.floats(0.001, 1.0),
    split_seed=st.integers(0, 9),
)
def test_every_class_keeps_its_rounded_share_and_at_least_one(
    counts: list[int], fraction: float, split_seed: int
) -> None:
    train = rows([0] * counts[0] + [1] * counts[1])
    ids = paucity_split(of(RTE, train), fraction, split_seed=split_seed)
    assert len(ids) == len(set(ids))
    kept = Counter(train[number].label for number in ids)
    assert kept == {label: max(1, math.floor(fraction * n + 0.5)) for label, n in enumerate(counts)}


def test_stsb_is_stratified_by_five_bins_of_width_one() -> None:
    """5.0 belongs to the last bin, 4.0 too, 3.999 to the one before."""
    whole = Counter(min(int(example.label or 0), 4) for example in SCORES)
    kept = Counter(min(int(SCORES[number].label or 0), 4) for number in paucity_split(of(STSB, SCORES), 0.1))
    assert kept == {score: math.floor(0.1 * n + 0.5) for score, n in whole.items()}


def test_own_scores_are_stratified_over_the_range_that_the_training_file_shows() -> None:
    train = rows([100.0 + number for number in range(100)])
    kept = paucity_split(of(OWN_REGRESSION, train), 0.1)
    assert Counter(number // 20 for number in kept) == dict.fromkeys(range(5), 2)
    assert len(paucity_split(of(OWN_REGRESSION, rows([3.5] * 20)), 0.1)) == 2  # a single value is one stratum


def test_the_split_depends_on_task_and_seed_and_not_on_the_order_of_the_rows() -> None:
    split = paucity_split(of(RTE, CLASSES), 0.25)
    assert paucity_split(of(RTE, CLASSES[::-1]), 0.25) == split
    assert paucity_split(of(RTE, CLASSES), 0.25, split_seed=1) != split
    assert paucity_split(of(TASKS["mrpc"], CLASSES), 0.25) != split


def test_a_class_is_permuted_whatever_the_other_classes_hold() -> None:
    """Class 0 has the same examples before and after class 1 grows."""
    grown = rows([0] * 71 + [1] * 290)
    first = [number for number in paucity_split(of(RTE, CLASSES), 0.25) if number < 71]
    assert first == [number for number in paucity_split(of(RTE, grown), 0.25) if number < 71]


def test_pooled_joins_train_and_dev_and_cuts_only_the_training_part() -> None:
    whole = dataclasses.replace(of(TASKS["mrpc"], rows([0] * 3668)), dev=tuple(rows([0] * 408)))
    order = pooled_order(whole, 5)
    train, dev = pooled_split(order, 1.0)
    assert len(train) == 3260, "MRPC, of which scikit-learn holds out ceil(0.2 n)"
    assert len(pooled_split(range(2490 + 277), 1.0)[0]) == 2213, "RTE"
    assert sorted(train + dev) == list(range(4076))
    small, same_dev = pooled_split(order, 0.1)
    assert same_dev == dev
    assert set(small) < set(train)
    assert len(small) == math.floor(0.1 * len(train) + 0.5)
    assert pooled_split(pooled_order(whole, 6), 1.0) != (train, dev)


def test_the_hash_covers_ids_and_labels_in_id_order_and_no_text() -> None:
    some = rows([0, 1, 1])
    assert split_hash(RTE, some) == split_hash(RTE, some[::-1])
    assert split_hash(RTE, some) == split_hash(RTE, [Example(row.id, ("other",), row.label) for row in some])
    assert split_hash(RTE, some) != split_hash(RTE, some[:2])
    assert split_hash(RTE, some) != split_hash(RTE, rows([0, 1, 0]))
    # printf '0\t0\n1\t1\n' | sha256sum
    assert split_hash(RTE, rows([0, 1])).startswith("949a856b6412")


def test_stsb_scores_are_hashed_with_three_decimals_and_own_scores_in_full() -> None:
    assert split_hash(STSB, rows([3.8])) == split_hash(STSB, rows([3.7999999523]))  # float32 on the hub
    assert split_hash(OWN_REGRESSION, rows([1e-6])) != split_hash(OWN_REGRESSION, rows([2e-6]))


@pytest.mark.parametrize("name", ["cola", "rte", "mrpc", "stsb", "sst2"])
def test_official_files_give_the_hashes_kept_in_the_project(shared_data: Path, name: str) -> None:
    found = official.expected_hashes(load_task_data(TASKS[name], data_dir=shared_data / "glue"))
    kept = json.loads(EXPECTED_HASHES.read_text())
    assert found == kept[name]
    assert len(found) == len(FRACTIONS) * len(SPLIT_SEEDS) + len(("train", "dev"))


@pytest.mark.parametrize("name", ["pocket-cola", "pocket-rte", "pocket-mrpc", "pocket-stsb"])
def test_pocket_gives_the_hashes_kept_in_the_project(name: str, tmp_path: Path) -> None:
    found = official.expected_hashes(load_task_data(TASKS[name], data_dir=tmp_path))  # not read: the task is shipped
    assert found == json.loads(EXPECTED_HASHES.read_text())[name]


def test_a_training_file_that_is_not_the_official_one_is_refused(refusal: Callable[..., str]) -> None:
    good = json.loads(EXPECTED_HASHES.read_text())["rte"]["0.1/0"]
    assert is_official(DataHash(RTE, key_of(0.1, 0), good))
    assert refusal(is_official, DataHash(RTE, key_of(0.1, 0), "f" * 64)) == (
        f"rte: the split of fraction 0.1 and split seed 0 must have the hash {good[:12]}, got ffffffffffff: "
        "use the official training file, all its rows in their order"
    )
    said = refusal(is_official, DataHash(TASKS["pocket-rte"], key_of(0.1, 0), "f" * 64))
    assert said.endswith("install this package anew, its pocket tasks were changed")
    assert key_of(1, 0) == key_of(1.0, 0) == "1.0/0"  # 1 and 1.0 are one
    assert not is_official(DataHash(RTE, key_of(0.33, 0), "f" * 64))  # no standard fraction: nothing is known
    assert not is_official(DataHash(TASKS["qnli"], key_of(0.1, 0), "f" * 64))


@pytest.mark.parametrize("part", ["train", "dev"])
def test_texts_that_are_not_the_official_ones_are_refused(part: str, refusal: Callable[..., str]) -> None:
    data = load_task_data(TASKS["pocket-rte"])
    assert new_texts(data) == []
    first, *others = getattr(data, part)
    edited = dataclasses.replace(first, texts=("another", "text"))
    said = refusal(new_texts, dataclasses.replace(data, **{part: (edited, *others)}))
    assert said.startswith(f"pocket-rte: the {part} texts must have ") and "install this package" in said


def test_texts_whose_hash_is_not_kept_are_returned_to_be_remembered(
    tmp_path: Path, refusal: Callable[..., str]
) -> None:
    """Those of a hub, which may write a text in another way, and of every other task."""
    some, qnli = tuple(rows([0, 1])), TASKS["qnli"]
    data = TaskData(qnli, some, some[:1], "folder")
    hashes = [DataHash(qnli, "train", examples_hash(some)), DataHash(qnli, "dev", examples_hash(some[:1]))]
    assert new_texts(data) == hashes
    assert [item.task.name for item in new_texts(dataclasses.replace(data, task=RTE, source="hub"))] == ["rte", "rte"]
    path = tmp_path / "split_hashes.json"
    remember_hashes(path, hashes)
    remember_hashes(path, hashes)
    for part, kind in (("train", "training"), ("dev", "dev")):
        said = refusal(remember_hashes, path, [DataHash(qnli, part, "c" * 64)])
        assert said.startswith(f"qnli: the {part} texts had ") and f" the {kind} data changed; use another" in said


def test_the_first_use_of_another_task_records_its_hash(tmp_path: Path, refusal: Callable[..., str]) -> None:
    path, task = tmp_path / "split_hashes.json", TASKS["qnli"]
    kept = {"0.1/0": "a" * 64, "0.1/1": "b" * 64}
    for count in (1, 2):
        remember_hashes(path, [DataHash(task, key, digest) for key, digest in kept.items()][:count])
    assert [file.name for file in path.parent.iterdir()] == ["split_hashes.json"]  # no temporary file stays
    said = refusal(remember_hashes, path, [DataHash(task, "0.25/0", "d" * 64), DataHash(task, "0.1/0", "c" * 64)])
    assert said == (
        "qnli: the split of fraction 0.1 and split seed 0 had the hash aaaaaaaaaaaa at first use here, "
        "got cccccccccccc: the training data changed; use another output folder (--output)"
    )
    assert json.loads(path.read_text()) == {"qnli": kept}, "nothing is written"


@pytest.mark.parametrize("content", ["{", "[]", '{"qnli": 3}', '{"qnli": []}'])
def test_a_spoiled_file_of_hashes_is_named(tmp_path: Path, content: str, refusal: Callable[..., str]) -> None:
    path = tmp_path / "split_hashes.json"
    path.write_text(content)
    said = refusal(remember_hashes, path, [DataHash(TASKS["qnli"], "0.1/0", "a" * 64)])
    assert "split_hashes.json: must be the JSON file of split hashes; delete it to start" in said


def test_the_command_refuses_a_folder_without_the_tasks(tmp_path: Path, refused: Callable[..., str]) -> None:
    said = refused(official.main, "--data-dir", tmp_path, "--output", tmp_path / "hashes.json")
    assert said.startswith(f"error: {tmp_path}/CoLA: no such folder")
    assert not (tmp_path / "hashes.json").exists()


@settings(max_examples=50, deadline=None)
@given(counts=st.lists(st.integers(1, 60), min_size=2, max_size=2), split_seed=st.integers(0, 9), data=st.data())
def test_sizes_are_nested_and_stratified(counts: list[int], split_seed: int, data: st.DataObject) -> None:
    train = rows([0] * counts[0] + [1] * counts[1])
    small, large = sorted(data.draw(st.lists(st.integers(1, len(train)), min_size=2, max_size=2)))
    kept = [set(size_split(of(RTE, train), size, split_seed=split_seed)) for size in (small, large)]
    assert kept[0] <= kept[1]
    assert [len(ids) for ids in kept] == [small, large]
    for label, n in enumerate(counts):
        share = n / len(train)
        found = sum(train[id].label == label for id in kept[0])
        assert abs(found - small * share) <= 0.5 + share  # half a stratum's rounding, and that of both strata together


@pytest.mark.parametrize("split_seed", range(3))
def test_sizes_order_examples_by_their_rank_within_the_class(split_seed: int) -> None:
    """Written out with fractions: (rank + 1/2) / n of the class, ties by id."""
    ranks = {}
    for label, n in ((0, 71), (1, 29)):
        members = [example.id for example in CLASSES if example.label == label]
        draws = np.random.PCG64(derive("split", "rte", split_seed, label)).random_raw(n).tolist()
        order = sorted(range(n), key=draws.__getitem__)
        ranks |= {members[place]: Fraction(2 * rank + 1, 2 * n) for rank, place in enumerate(order)}
    order = sorted(ranks, key=lambda id: (ranks[id], id))
    assert size_split(of(RTE, CLASSES), 40, split_seed=split_seed) == order[:40]


def test_sizes_and_fractions_take_the_same_examples_of_a_class_first() -> None:
    """71 and 29 examples: 36 and 15 of them are half, and 51 examples by size are these."""
    assert set(size_split(of(RTE, CLASSES), 51)) == set(paucity_split(of(RTE, CLASSES), 0.5))


@pytest.mark.parametrize("split_seed", range(3))
def test_per_class_is_nested_and_even(split_seed: int) -> None:
    small, large = (set(per_class_split(of(RTE, CLASSES), k, split_seed=split_seed)) for k in (16, 29))
    assert small < large
    assert Counter(CLASSES[id].label for id in small) == {0: 16, 1: 16}


OWN = Task("own", ("text",), ("a", "b"), "accuracy")


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (lambda: size_split(of(RTE, CLASSES), 0), "rte: size must be in 1..100, the training set's examples, got 0"),
        (
            lambda: size_split(of(RTE, CLASSES), 101),
            "rte: size must be in 1..100, the training set's examples, got 101",
        ),
        (
            lambda: per_class_split(of(RTE, CLASSES), 30),
            "rte: per_class must be in 1..29, its smallest class, got 30",
        ),
        (
            lambda: per_class_split(of(STSB, SCORES), 3),
            "stsb: per_class must be used with classes, but its labels are scores",
        ),
        (
            lambda: make_split(of(OWN, CLASSES), Protocol(), fraction=1, split_seed=0, restart=0),
            "own: a task without a dev file must go with --set data=resampled",
        ),
        *(
            (lambda split=split, share=share: split(share), f"fraction must be in (0, 1], got {share}.")
            for share in (0, -0.1, 1.0001, 10, float("nan"))
            for split in (
                lambda share: paucity_split(of(RTE, CLASSES), share),
                lambda share: pooled_split(range(100), share),
            )
        ),
    ],
)
def test_what_cannot_be_split_is_refused(
    split: Callable[[], object], message: str, refusal: Callable[..., str]
) -> None:
    assert message in refusal(split)


RESAMPLED = Protocol(data="resampled")


@pytest.mark.parametrize("task", [OWN, OWN_REGRESSION])
def test_without_a_dev_set_every_split_seed_cuts_a_stratified_fifth(task: Task) -> None:
    train = CLASSES if task.labels else SCORES
    data = of(task, train)
    tests = []
    for seed in range(3):
        split = make_split(data, RESAMPLED, fraction=1.0, split_seed=seed, restart=7)
        assert sorted(e.id for e in (*split.train, *split.dev)) == list(range(len(train))), "every row is used"
        assert abs(len(split.dev) - len(train) / 5) <= 2.5
        tests.append({example.id for example in split.dev})
    assert tests[0] != tests[1] != tests[2]
    if task.labels:
        assert Counter(train[at].label for at in tests[0]) == {0: 14, 1: 6}


def test_less_of_a_resampled_task_trains_on_less_and_is_scored_on_the_same() -> None:
    data = of(OWN, CLASSES)
    whole, half = (make_split(data, RESAMPLED, fraction=fraction, split_seed=1, restart=0) for fraction in (1.0, 0.5))
    assert set(half.train) < set(whole.train) and half.dev == whole.dev
    assert len(half.train) == 29 + 12, "of 57 and 23"


# --- the part of a split that chooses: stratified, nested, the same for everybody


TRAIN = rows([0] * 140 + [1] * 60)


def ordered(size: int, split_seed: int = 0) -> list[Example]:
    return [TRAIN[id] for id in split_order(of(RTE, TRAIN), split_seed)[:size]]


@given(st.integers(1, 200), st.integers(0, 5), st.sampled_from([0.1, 0.25, 0.5, 0.9]))
def test_every_class_gives_its_rounded_share(size: int, split_seed: int, share: float) -> None:
    order = ordered(size, split_seed)
    held = holdout_ids(order, stratifier(of(RTE, TRAIN)), share)
    assert list(held) == sorted(set(held))
    wanted = {label: math.floor(n * share + 0.5) for label, n in Counter(e.label for e in order).items()}
    assert Counter(TRAIN[id].label for id in held) == {label: n for label, n in wanted.items() if n}


@pytest.mark.parametrize("split_seed", range(3))
def test_the_holdout_of_a_small_split_is_the_small_part_of_a_larger_ones(split_seed: int) -> None:
    """Whatever is held out at 250 examples and known at 100 is held out there, too, and nothing else is."""
    small, large = (set(holdout_ids(ordered(n, split_seed), stratifier(of(RTE, TRAIN)), 0.25)) for n in (60, 150))
    assert small == large & {example.id for example in ordered(60, split_seed)}


def test_scores_are_held_out_by_bins() -> None:
    scores = rows([0.5] * 40 + [4.5] * 8)
    held = holdout_ids(scores, stratifier(of(STSB, scores)), 0.25)
    assert Counter(scores[id].label for id in held) == {0.5: 10, 4.5: 2}


BOTH, ONE = rows([0, 1, 1]), rows([1, 1])


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        *(
            (
                lambda share=share: holdout_ids(TRAIN, stratifier(of(RTE, TRAIN)), share),
                rf"holdout must be in \(0, 1\), a share of the labelled .* got {share:g}",
            )
            for share in (0.0, 1.0, -0.1, 2.0, math.nan)
        ),
        (lambda: check_classes(RTE, BOTH, ONE), r"rte: the holdout .* got 2 of 5 .* none of entailment; .* raise hold"),
        (lambda: check_classes(RTE, ONE, BOTH), r"the part that is fitted on .* none of entailment; .* lower holdout"),
        (lambda: check_classes(STSB, ONE, []), r"stsb: the holdout .* got 0 of 2 examples and none of any score"),
    ],
)
def test_a_share_out_of_bounds_and_a_class_that_vanishes_are_refused(
    ask: Callable[[], object], message: str, refusal: Callable[..., str]
) -> None:
    assert re.search(message, refusal(ask))
