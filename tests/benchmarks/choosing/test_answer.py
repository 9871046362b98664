"""The answer: which family, what it gains and how surely, in sentences."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score

from benchmarks.choosing import answer
from benchmarks.choosing.answer import Gain, choose, dev_variance, gain, next_to_floor, round_up, sentences, table
from benchmarks.choosing.rounds import Standing
from benchmarks.tuning.trials import FLOOR
from tests.benchmarks.choosing.test_rules import row


def standing(family: str, held_out: float, test: Sequence[float], failed: int = 0, seconds: float = 1.0) -> Standing:
    """A family with one configuration."""
    config = {"strategy": f"{family}(0.5)" if family != "none" else "none", "lr": 5e-5, "epochs": 5}
    trials = [
        row(family, 0, at, held_out, score=score, failed=at < failed, config=config, seconds=seconds)
        for at, score in enumerate(test)
    ]
    return Standing(family, (tuple(trials),))


def compare(one: Standing, other: Standing) -> Gain:
    return gain([a.score - b.score for a, b in zip(one.chosen, other.chosen, strict=True)], shared=1 / 3)


NONE = standing("none", 0.80, [0.80, 0.81, 0.79, 0.80], failed=1)


def told(*others: Standing, plain: Standing = NONE, dropped: dict[str, str] | None = None) -> str:
    found = {each.family: each for each in (plain, *others)}
    return "\n".join(sentences(choose(found, compare), found, dropped or {}, rows=500))


def test_a_clear_gain_is_told_with_interval_failures_and_cost() -> None:
    text = told(standing("mixout", 0.9, [0.90, 0.91, 0.90, 0.90], seconds=1.5), dropped={"sam": "far behind"})
    assert "Use `mixout(0.5)` with lr 5e-5, epochs 5." in text
    assert "It gains +10.2 points over plain" not in text, "the interval stands next to every difference"
    assert "It gains +10.2 points [95 % interval +" in text
    assert "`none` failed in 1 of 4 restarts." in text and "`mixout(0.5)` failed in 0 of 4 restarts." in text
    assert "A training run takes 1.5 times plain fine-tuning's time." in text
    assert "No longer ranked: sam (far behind)." in text


def test_no_difference_says_what_to_use_and_how_many_rows_would_show_one() -> None:
    text = told(standing("mixout", 0.81, [0.80, 0.83, 0.77, 0.82]))
    assert (
        "No regularizer is distinguishable from plain fine-tuning on this data; use `none` with lr 5e-5, epochs 5"
        in text
    )
    assert (
        "examples to see a difference of 1 point (the best regularizer by holdout, `mixout(0.5)`, differs by +0" in text
    )
    assert "]; here about 6.1 points would be seen)." in text


def test_the_test_part_does_not_choose() -> None:
    """Better on test and worse on holdout: what was picked for its test score would be picked for being lucky."""
    text = told(standing("mixout", 0.7, [0.90, 0.91, 0.90, 0.90]))
    assert "Plain fine-tuning has the best holdout score; use `none`" in text
    worse = told(standing("mixout", 0.9, [0.60, 0.61, 0.60, 0.60]))
    assert "Plain fine-tuning is better than every regularizer tried; use `none`" in worse
    alone = told(dropped={"mixout": "an error"})
    assert alone.startswith("No regularizer was left to compare; use `none` with lr 5e-5, epochs 5.")


def test_where_plain_fine_tuning_fails_nothing_is_judged() -> None:
    sentence = (
        "Nothing can be judged here: most runs of plain fine-tuning failed. Allow more epochs (--epochs) or other"
    )
    plain = standing("none", 0.5, [0.5] * 4, failed=3)
    assert told(plain=plain).startswith(sentence)
    assert told(standing("mixout", 0.51, [0.5] * 4, failed=3), plain=plain).startswith(sentence)
    assert "Nothing can be judged" not in told()
    rescued = told(standing("mixout", 0.9, [0.90, 0.91, 0.90, 0.90]), plain=plain)
    assert rescued.startswith("Use `mixout(0.5)`") and "Nothing can be judged" not in rescued, "one that trains"


@pytest.mark.parametrize(
    ("fits", "expected"),
    [
        ((0.5, 0.6, 0.97, 0.7), True),
        ((0.5, 0.96, 0.97, 0.7), False),
        pytest.param((math.nan,) * 4, False, id="records of old do not know"),
    ],
)
def test_families_that_are_compared_by_how_fast_they_train_are_said_to_be(
    fits: tuple[float, ...], expected: bool
) -> None:
    trials = tuple(dataclasses.replace(trial, fit=fit) for trial, fit in zip(NONE.chosen, fits, strict=True))
    sentence = (
        "Undertrained (1 of 4 runs of none fit the examples they are trained on): this compares how fast strategies "
        "train; allow more epochs (--epochs) or higher rates (--lr)."
    )
    text = told(plain=Standing("none", (trials,)))
    assert (sentence in text) == ("Undertrained" in text) == expected


def test_the_interval_is_the_corrected_resampled_t() -> None:
    values = [0.01, 0.03, -0.01, 0.02, 0.05]
    found = gain(values, shared=0.25)
    half = stats.t.ppf(0.975, 4) * np.std(values, ddof=1) * math.sqrt(1 / 5 + 0.25)
    assert (found.low, found.high) == pytest.approx((0.02 - half, 0.02 + half))
    assert gain(values, shared=0).high < found.high
    assert not math.isfinite(gain([0.1], shared=0.25).low)
    assert answer.points(gain([0.1], shared=0.25)) == "+10.0 points in every restart, which gives no interval"
    assert not math.isfinite(gain([0.1] * 4, shared=0.25).low), "equal differences say nothing of their spread"


def test_the_corrected_interval_covers_the_truth_where_restarts_share_rows() -> None:
    """Two fixed classifiers on random fifths of one sample: the naive interval misses the population's difference."""
    generator, naive, corrected = np.random.default_rng(0), 0, 0
    for _ in range(300):
        right = generator.random((2, 400)) < np.array([[0.8], [0.75]])
        differences = []
        for _ in range(12):
            test = generator.permutation(400)[:80]
            differences.append(float(right[0, test].mean() - right[1, test].mean()))
        plain, wide = gain(differences, shared=0), gain(differences, shared=0.25)
        naive += plain.low <= 0.05 <= plain.high
        corrected += wide.low <= 0.05 <= wide.high
    assert naive / 300 < 0.85 and corrected / 300 >= 0.92


def test_the_jackknife_of_dev_rows_is_the_variance_of_a_mean() -> None:
    generator = np.random.default_rng(1)
    labels = np.zeros(2000, dtype=int)
    one, other = ((generator.random(2000) < share).astype(int) for share in (0.2, 0.3))
    found = dev_variance([one], [other], labels, lambda p, y: float(accuracy_score(y, p)))
    expected = np.var((one == 0).astype(float) - (other == 0)) / 2000
    assert found == pytest.approx(expected, rel=0.6)
    assert dev_variance([one[:2]], [other[:2]], labels[:2], lambda p, y: 0.0) == 0


@pytest.mark.parametrize(("value", "expected"), [(1234.0, 1300), (7.2, 8), (-3.0, 0), (101.0, 110)])
def test_numbers_of_rows_are_rounded_up_to_two_digits(value: float, expected: int) -> None:
    assert round_up(value) == expected


def test_the_rows_needed_fall_with_what_can_be_found_already() -> None:
    found = Gain(0.0, -0.02, 0.02, 0.03)
    assert found.rows_needed(100) == 800 and Gain(0.0, 0, 0, 0.005).rows_needed(100) == 0


def floor(name: str, held_out: float, test: Sequence[float]) -> Standing:
    more = {"config": {"strategy": f"{name}(0.1)", "lr": 5e-5}, "is_floor": True}
    trials = tuple(row(FLOOR + name, 0, at, held_out, score=score, **more) for at, score in enumerate(test))
    return Standing(FLOOR + name, (trials,))


FLOORS = {each.family: each for each in (floor("tfidf", 0.6, [0.61] * 4), floor("probe", 0.79, [0.82] * 4))}


def test_the_table_has_every_family_best_holdout_first_and_the_floors_below() -> None:
    other = standing("mixout", 0.9, [0.9] * 4)
    lines = table({"none": NONE, "mixout": other}, compare, FLOORS)
    names = [line.split("|")[1].strip() for line in lines[2:]]
    assert names == ["`mixout`", "`none`", "`floor: probe`", "`floor: tfidf`"]
    assert "`mixout(0.5)` lr=5e-5 epochs=5" in lines[2] and "1 of 4" in lines[3]
    assert "| `tfidf(0.1)` | 60.0 | 61.0 | -19.0 points" in lines[5], "no learning rate: nothing is trained"


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.61, 0.60, 0.60, 0.60], "The best without fine-tuning is `probe(0.1)`, a linear model of the pretrained"),
        ([0.80, 0.82, 0.78, 0.81], "Fine-tuning is not distinguishable from `probe(0.1)`, a linear model of the"),
        (
            [0.90, 0.91, 0.90, 0.90],
            "Fine-tuning is behind `probe(0.1)`, a linear model of the pretrained model's states",
        ),
    ],
)
def test_the_best_floor_by_holdout_is_told_and_whether_fine_tuning_is_ahead_of_it(
    scores: list[float], expected: str
) -> None:
    floors = {each.family: each for each in (floor("probe", 0.79, scores), floor("tfidf", 0.6, [0.99] * 4))}
    found = {"none": NONE, "mixout": standing("mixout", 0.81, [0.80, 0.83, 0.77, 0.82])}
    answer = choose(found, compare)
    [sentence] = next_to_floor(answer.standing, floors, compare)
    assert sentence.startswith(expected) and "points [95 % interval" in sentence
    assert sentence in sentences(answer, found, {}, rows=500, floor=[sentence])
    assert next_to_floor(answer.standing, {}, compare) == []


def test_families_of_one_configuration_are_said_to_be_untuned() -> None:
    assert "Every family had one configuration only, its default; with more --time they are tuned." in told()
    assert "one configuration" not in told(plain=Standing("none", (NONE.chosen, NONE.chosen)))
