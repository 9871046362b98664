"""Scores against slow or independent formulas, the floor of constant predictions, and the failed-run rule."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import matthews_corrcoef

from benchmarks.data.tasks import TASKS, Task
from benchmarks.trial import failed_run
from benchmarks.trial.failed_run import chance_threshold, floor, judge
from benchmarks.trial.metrics import metric_name, scores
from leaderboard.stats import metrics

COLA, RTE, MRPC, STSB, MNLI = (TASKS[name] for name in ("cola", "rte", "mrpc", "stsb", "mnli"))


def draws(n: int, seed: int = 0) -> tuple[list[int], list[float]]:
    generator = np.random.default_rng(seed)
    return generator.integers(0, 2, n).tolist(), generator.normal(size=n).tolist()


def test_correlations_know_perfect_reversed_and_monotone() -> None:
    labels = [0.0, 1.0, 2.0, 5.0]
    assert metrics.pearson(labels, labels) == pytest.approx(1)
    assert metrics.pearson([-value for value in labels], labels) == pytest.approx(-1)
    assert metrics.spearman([value**3 for value in labels], labels) == pytest.approx(1)
    assert metrics.pearson([value**3 for value in labels], labels) < 1


CONSTANT = (([1, 1, 1], [0, 1, 1]), ([0, 1, 1], [1, 1, 1]), ([1], [1]))
NOT_FINITE = (([math.nan, 1, 2], [1, 2, 3]), ([math.inf, 1, 2], [1, 2, 3]))


@pytest.mark.parametrize(
    ("function", "pairs"),
    [(metrics.matthews, CONSTANT), *((f, CONSTANT + NOT_FINITE) for f in (metrics.pearson, metrics.spearman))],
)
def test_an_undefined_correlation_is_zero(function: Callable[..., float], pairs: Any) -> None:
    assert {function(*pair) for pair in pairs} == {0.0}


def test_scores_hold_the_task_s_own_and_their_mean() -> None:
    labels, values = [1, 1, 0, 0], [1, 1, 1, 0]
    assert scores(MRPC, values, labels) == pytest.approx({"f1": 0.8, "accuracy": 0.75, "combined": 0.775})
    assert list(scores(MRPC, values, labels)) == ["f1", "accuracy", "combined"]
    assert scores(RTE, values, labels) == {"accuracy": 0.75, "combined": 0.75}
    assert set(scores(STSB, [1.0, 2.0], [0.5, 4.0])) == {"spearman", "pearson", "combined"}


def test_a_metric_is_primary_combined_or_one_of_the_task_s() -> None:
    assert metric_name(MRPC, "primary") == "f1"
    assert metric_name(MRPC, "accuracy") == "accuracy"
    assert metric_name(RTE, "combined") == "combined"


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda: scores(RTE, [1], [1, 0]),
            "rte: predictions and labels must be equally many and not none, got 1 and 2.",
        ),
        (lambda: scores(RTE, [], []), "rte: predictions and labels must be equally many and not none, got 0 and 0."),
        (
            lambda: metric_name(MRPC, "spearman"),
            "mrpc: metric must be primary, combined or one of f1, accuracy, got 'spearman'.",
        ),
    ],
)
def test_what_cannot_be_scored_is_refused(ask: Callable[[], object], message: str, refusal: Any) -> None:
    assert refusal(ask) == message


@settings(max_examples=60, deadline=None)
@given(labels=st.lists(st.integers(0, 2), min_size=1, max_size=30), name=st.sampled_from(["primary", "combined"]))
def test_the_floor_is_the_best_of_all_constants(labels: list[int], name: str) -> None:
    task = MNLI if 2 in labels else MRPC
    constants = [[label] * len(labels) for label in range(len(task.labels or ()))]
    best = max(scores(task, constant, labels)[metric_name(task, name)] for constant in constants)
    assert floor(task, name, labels) == best


def test_macro_f1_counts_every_class_alike() -> None:
    """Class 0: P 2/3, R 1, F1 0.8; class 1: 0; class 2: 1."""
    assert metrics.macro_f1([0, 0, 0, 2], [0, 0, 1, 2]) == pytest.approx((0.8 + 0 + 1) / 3)
    assert metrics.macro_f1([0, 0, 1, 2], [0, 0, 1, 2]) == 1


@pytest.mark.parametrize("task", [COLA, RTE, MRPC, STSB], ids=lambda task: task.name)
def test_a_constant_predictor_reaches_the_floor_and_no_more(task: Task) -> None:
    labels = [0, 1, 1, 1, 0] * 20
    verdicts = [judge(task, "primary", [value] * 100, labels, diverged=False, seed=0) for value in (0, 1)]
    assert {(verdict.failed_by, verdict.failed_plain, verdict.collapsed) for verdict in verdicts} == {
        ("rule", True, True)
    }
    assert max(verdict.score for verdict in verdicts) == floor(task, "primary", labels)


def slow_threshold(task: Task, metric: str, predictions: list[float], labels: list[float], seed: int) -> float:
    """The definition, one permutation at a time, with SciPy's and scikit-learn's own functions."""
    generator = np.random.Generator(np.random.PCG64(seed))
    values = []
    for _ in range(failed_run.PERMUTATIONS):
        order = generator.permuted(np.arange(len(predictions)))
        permuted = np.asarray(predictions)[order]
        values.append(scores(task, permuted, labels)[metric])
    return float(np.quantile(values, 0.95))


@pytest.mark.parametrize(
    ("task", "metric"),
    [
        (COLA, "matthews"),
        (COLA, "combined"),
        (RTE, "accuracy"),
        (MRPC, "f1"),
        (MRPC, "combined"),
        (MNLI, "accuracy"),
        (STSB, "spearman"),
        (STSB, "pearson"),
        (STSB, "combined"),
        (Task("own", ("text",), ("a", "b", "c"), "matthews"), "matthews"),
        (Task("own", ("text",), ("a", "b", "c"), "macro_f1"), "macro_f1"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_the_fast_chance_threshold_is_that_of_the_slow_loop(
    task: Task, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failed_run, "PERMUTATIONS", 100)
    generator = np.random.default_rng(3)
    if task.labels:
        predictions, labels = generator.integers(0, len(task.labels), (2, 60)).tolist()
    else:
        predictions, labels = generator.integers(0, 12, (2, 60)).astype(float).tolist()  # with ties
    fast = chance_threshold(task, metric, predictions, labels, seed=11)
    assert fast == pytest.approx(slow_threshold(task, metric, predictions, labels, 11), abs=1e-12)


def test_the_chance_threshold_of_many_predictions_is_drawn_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    predictions, _ = draws(50)
    labels, _ = draws(50, seed=1)
    whole = chance_threshold(COLA, "matthews", predictions, labels, seed=0)
    monkeypatch.setattr(failed_run, "_CHUNK", 50 * 7)
    assert chance_threshold(COLA, "matthews", predictions, labels, seed=0) == whole


@pytest.mark.parametrize(("task", "score"), [(RTE, 0.5), (MRPC, 2 / 3), (COLA, 0.0), (STSB, 0.0)])
def test_no_permutation_changes_constant_predictions(task: Task, score: float) -> None:
    assert chance_threshold(task, "primary", [1] * 10, [0, 1] * 5, seed=0) == pytest.approx(score)


def test_a_run_above_floor_and_chance_did_not_fail() -> None:
    labels = [0, 1] * 50
    predictions = [1 - label if number < 10 else label for number, label in enumerate(labels)]
    verdict = judge(COLA, "primary", predictions, labels, diverged=False, seed=0)
    assert verdict.score == pytest.approx(matthews_corrcoef(labels, predictions)) == pytest.approx(0.8)
    assert (verdict.failed, verdict.failed_by, verdict.failed_plain) == (False, None, False)
    assert 0 < verdict.threshold < 0.3
    assert not verdict.collapsed
    assert not verdict.imputed


HALF = [0, 1] * 50


@pytest.mark.parametrize(
    ("task", "predictions", "labels", "score", "failed_by", "failed_plain"),
    [
        pytest.param(COLA, [0, 1] * 26 + [1, 0] * 24, HALF, 0.04, "chance", False, id="a lucky coin"),
        pytest.param(COLA, HALF[::-1], HALF, -1, "rule", True, id="below the floor"),
        pytest.param(RTE, [0, 0, 1, 0], [0, 0, 0, 1], 0.5, "rule", True, id="below the majority"),
        pytest.param(RTE, [0, 0, 1, 1], [0, 1, 1, 1], 0.75, "rule", True, id="the floor itself"),
        pytest.param(STSB, [math.nan, 1, 2], [1, 2, 3], 0.0, "diverged", True, id="an undefined prediction"),
    ],
)
def test_what_fails_by_which_rule(
    task: Task, predictions: list[float], labels: list[float], score: float, failed_by: str, failed_plain: bool
) -> None:
    """Noise exceeds a Matthews of 0 about half of the time; the plain rule would call that a success."""
    verdict = judge(task, "primary", predictions, labels, diverged=False, seed=0)
    assert verdict.score == pytest.approx(score) and verdict.failed and verdict.imputed == (failed_by == "diverged")
    assert (verdict.failed_by, verdict.failed_plain) == (failed_by, failed_plain)


@pytest.mark.parametrize("predictions", [[1, 1, 0, 0], None])
def test_a_diverged_run_is_imputed_with_the_floor_even_if_it_predicted_well(predictions: list[int] | None) -> None:
    verdict = judge(MRPC, "primary", predictions, [1, 1, 0, 0], diverged=True, seed=0)
    assert verdict.score == verdict.floor == verdict.threshold == pytest.approx(2 / 3)
    assert (verdict.failed, verdict.failed_by, verdict.failed_plain, verdict.imputed) == (True, "diverged", True, True)


@pytest.mark.parametrize("predictions", [None, [], [float("nan")] * 3, [1.0, 1.0, 1.0]])
def test_a_diverged_run_has_not_collapsed_to_one_answer(predictions: list[float] | None) -> None:
    assert not judge(STSB, "primary", predictions, [1.0, 2.0, 3.0], diverged=True, seed=0).collapsed


def test_combined_is_judged_by_the_mean() -> None:
    _, noise = draws(200)
    labels = np.linspace(0, 5, 200).tolist()
    predictions = [a + b for a, b in zip(noise, labels, strict=True)]
    verdict = judge(STSB, "combined", predictions, labels, diverged=False, seed=0)
    assert verdict.score == scores(STSB, predictions, labels)["combined"]
    assert not verdict.failed
    assert 0.05 < verdict.threshold < 0.2


def test_huge_predictions_do_not_overflow_the_chance_test() -> None:
    predictions = [value * 1e300 for value in (1.0, -2.0, 3.0, 0.5, 9.0, -4.0)]
    threshold = chance_threshold(STSB, "pearson", predictions, [1.0, 2.0, 3.0, 4.0, 5.0, 0.0], seed=0)
    assert 0 < threshold <= 1
