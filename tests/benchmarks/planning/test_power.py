"""What a request can find at all: said before it runs, by the number of comparisons and of independent restarts."""

import dataclasses
from collections.abc import Callable

import pytest

from benchmarks.planning.power import limits
from benchmarks.trial.config import TrialConfig, Tuned
from regularizers.strategy import parse

MANY = [f"dropout({p / 1000})" for p in range(1, 104)]
Make = Callable[..., list[TrialConfig]]


@pytest.mark.parametrize(
    ("strategies", "restarts", "splits", "said"),
    [
        (["none"], 1, 1, []),
        (["dropout(0.1)", "dropout(0.2)"], 2, 2, []),  # nothing to compare with
        (
            ["none", "dropout(0.1)"],
            3,
            3,
            [
                "Nothing can be significant: 1 comparison with the baseline at 3 restarts; at least 12 restarts, each "
                "on a split of its own, are needed."
            ],
        ),
        (
            ["none", "dropout(0.1)", "dropout(0.2)"],
            12,
            4,
            [
                "Nothing can be significant: 2 comparisons with the baseline at 4 splits of 12 restarts; at least 12 "
                "restarts, each on a split of its own, are needed."
            ],
        ),
        (
            ["none", *MANY],
            12,
            12,
            [
                "Nothing can be significant: 103 comparisons with the baseline at 12 restarts; at least 13 restarts, "
                "each on a split of its own, are needed."
            ],
        ),
        (
            ["none", *MANY[:16]],
            12,
            12,
            [
                "No tiers among the best can be found: 136 pairs at 12 restarts; at least 13 restarts, each on a split "
                "of its own, are needed."
            ],
        ),
        (["none", "dropout(0.1)"], 12, 12, []),
    ],
)
def test_a_request_that_is_too_large_for_its_restarts_says_how_many_it_takes(
    make_configs: Make, strategies: list[str], restarts: int, splits: int, said: list[str]
) -> None:
    (one,) = make_configs("none")
    grid = [
        dataclasses.replace(some, restart=restart, split_hash=f"{restart % splits:064x}")
        for some in (dataclasses.replace(one, strategy=parsed) for parsed in map(parse, strategies))
        for restart in range(restarts)
    ]
    assert limits(grid) == said


def test_restarts_that_train_on_the_whole_pool_count_one_by_one(make_configs: Make) -> None:
    (one,) = make_configs("none", fraction=1.0)
    rows = [dataclasses.replace(one, strategy=parse(text)) for text in ("none", "dropout(0.2)")]
    assert limits([dataclasses.replace(row, restart=restart) for row in rows for restart in range(12)]) == []


def test_configurations_of_a_family_are_one_row(make_configs: Make) -> None:
    (one,) = make_configs("none")
    grid = [
        dataclasses.replace(
            one,
            restart=restart,
            split_hash=f"{restart:064x}",
            strategy=parse(text),
            tuning=Tuned(family=family, draw=draw, axes={}, holdout=0.25, holdout_hash="0" * 64),
        )
        for family, text in (("none", "none"), ("dropout", "dropout(0.3)"))
        for draw in range(40)
        for restart in range(3)
    ]
    (sentence,) = limits(grid)
    assert sentence.startswith("Nothing can be significant: 1 comparison with the baseline at 3 restarts; ")
