"""The part of a split that chooses: stratified, nested, the same for everybody."""

import math
import re
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.data.sources import Example, TaskData
from benchmarks.data.splits import check_classes, holdout_ids, split_order, stratifier
from benchmarks.data.tasks import TASKS

RTE, STSB = TASKS["rte"], TASKS["stsb"]


def examples(labels: list[int] | list[float]) -> list[Example]:
    return [Example(number, ("text",), label) for number, label in enumerate(labels)]


TRAIN = examples([0] * 140 + [1] * 60)
DATA = TaskData(RTE, tuple(TRAIN), (), "folder")


def ordered(size: int, split_seed: int = 0) -> list[Example]:
    return [TRAIN[id] for id in split_order(DATA, split_seed)[:size]]


@given(st.integers(1, 200), st.integers(0, 5), st.sampled_from([0.1, 0.25, 0.5, 0.9]))
def test_every_class_gives_its_rounded_share(size: int, split_seed: int, share: float) -> None:
    order = ordered(size, split_seed)
    held = holdout_ids(order, stratifier(DATA), share)
    assert list(held) == sorted(set(held))
    wanted = {label: math.floor(n * share + 0.5) for label, n in Counter(e.label for e in order).items()}
    assert Counter(TRAIN[id].label for id in held) == {label: n for label, n in wanted.items() if n}


@pytest.mark.parametrize("split_seed", range(3))
def test_the_holdout_of_a_small_split_is_the_small_part_of_a_larger_ones(split_seed: int) -> None:
    """Whatever is held out at 250 examples and known at 100 is held out there, too, and nothing else is."""
    small, large = (set(holdout_ids(ordered(n, split_seed), stratifier(DATA), 0.25)) for n in (60, 150))
    assert small == large & {example.id for example in ordered(60, split_seed)}


def test_scores_are_held_out_by_bins() -> None:
    scores = examples([0.5] * 40 + [4.5] * 8)
    held = holdout_ids(scores, stratifier(TaskData(STSB, tuple(scores), (), "folder")), 0.25)
    assert Counter(scores[id].label for id in held) == {0.5: 10, 4.5: 2}


BOTH, ONE = examples([0, 1, 1]), examples([1, 1])


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        *(
            (
                lambda share=share: holdout_ids(TRAIN, stratifier(DATA), share),
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
