"""Choosing between configurations, against every subset written out."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from leaderboard.stats.choosing import (
    agreement,
    best_first,
    budget_curve,
    choice_probabilities,
    chosen,
)
from leaderboard.stats.significance import sign_flips

FEW_SCORES = st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.3, math.nan]), st.floats(-1, 1)), min_size=1, max_size=7)


def by_brute_force(holdout: list[float], dev: list[float], budget: int) -> tuple[list[float], float]:
    """Every subset once: how often each draw is chosen, and the mean dev score of the choices."""
    counts, values = [0] * len(holdout), []
    for subset in itertools.combinations(range(1, len(holdout)), budget - 1):
        seen = [draw for draw in (0, *subset) if not math.isnan(holdout[draw])] or [0]
        best = max(holdout[draw] for draw in seen) if not math.isnan(holdout[seen[0]]) else math.nan
        winner = min((draw for draw in seen if holdout[draw] == best), default=0)
        counts[winner] += 1
        values.append(dev[winner])
    return [count / len(values) for count in counts], sum(values) / len(values)


@given(FEW_SCORES)
def test_equals_the_mean_over_all_subsets(pairs: list[tuple[float, float]]) -> None:
    """Ties, undefined holdout scores and a draw 0 in any place included."""
    holdout, dev = map(list, zip(*pairs, strict=True))
    for budget in range(1, len(pairs) + 1):
        shares, expected = by_brute_force(holdout, dev, budget)
        falling = best_first(np.array(holdout))
        known = choice_probabilities(len(falling), falling.index(0), budget)
        assert [shares[draw] for draw in falling] == pytest.approx([*known, *[0] * len(falling)][: len(falling)])
        assert budget_curve(holdout, dev)[budget - 1] == pytest.approx(expected, abs=1e-12)


def test_the_largest_budget_is_the_choice_itself() -> None:
    holdout, dev = [0.5, 0.7, 0.7, 0.2], [0.6, 0.55, 0.9, 0.99]
    assert chosen(holdout) == 1  # the tie goes to the lower draw
    assert budget_curve(holdout, dev)[-1] == 0.55
    assert budget_curve(holdout, dev)[0] == 0.6  # nothing but draw 0
    assert budget_curve(dev, dev)[3] == 0.99  # the oracle


def test_an_undefined_dev_score_counts_only_where_it_can_be_chosen() -> None:
    assert budget_curve([0.5, 0.1], [0.6, math.nan])[1] == 0.6
    assert math.isnan(budget_curve([0.5, 0.9], [0.6, math.nan])[1])


def test_agreement_is_spearman() -> None:
    generator = np.random.default_rng(1)
    holdout, dev = generator.integers(0, 5, size=(2, 20)) / 5
    assert agreement(holdout, dev) == pytest.approx(spearmanr(holdout, dev).statistic)
    assert agreement([*holdout, math.nan], [*dev, 0.5]) == agreement(holdout, dev)


@pytest.mark.parametrize("holdout", [[0.1, 0.2], [0.3, 0.3, 0.3], [math.nan, 0.1, 0.2]])
def test_agreement_is_undefined_for_too_few_or_constant_scores(holdout: list[float]) -> None:
    assert math.isnan(agreement(holdout, [0.1, 0.5, 0.2][: len(holdout)]))


def tuned_differences(
    generator: np.random.Generator, effect: float, *, restarts: int = 12, budget: int = 8
) -> np.ndarray:
    """What a family gains over another by restart when both are tuned: accuracies vary by split and configuration, and
    are seen on 25 holdout and 1,000 dev examples."""
    split, configuration = generator.normal(0, 0.02, (restarts, 1, 1)), generator.normal(0, 0.03, (restarts, 2, budget))
    accuracy = 0.75 + split + configuration + np.array([0.0, effect])[:, None]
    held, dev = (generator.binomial(count, accuracy) / count for count in (25, 1000))
    scores = [[dev[r, side, chosen(held[r, side])] for side in (0, 1)] for r in range(restarts)]
    return np.diff(scores, axis=1)[:, 0]


@pytest.mark.parametrize(("effect", "low", "high"), [(0.0, 0.02, 0.08), (0.04, 0.7, 0.9)])
def test_tuned_comparisons_keep_their_level_and_find_what_is_there(effect: float, low: float, high: float) -> None:
    """Sign flips over 12 restarts, each on a split of its own; docs/tuning.md has the figures of 1,000 experiments."""
    generator = np.random.default_rng(0)
    p = sign_flips([tuned_differences(generator, effect) for _ in range(400)])
    assert low < (np.array(p) < 0.05).mean() < high
