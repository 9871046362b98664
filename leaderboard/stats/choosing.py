"""Choosing between the configurations of a family, as a pure function of their scores.

Of B configurations (draw 0 by the papers, the others drawn at random) a budget of k shows draw 0 and a random
(k-1)-subset of the others. The configuration with the best holdout score among these (ties: the lower draw) is chosen,
and its dev score counts. The expectation over subsets is exact: a hypergeometric sum over the draws in the order of
their holdout scores.
"""

import math
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from fisher.common.errors import InputError
from leaderboard.stats.aggregates import UNDEFINED

RULES = ("default", "holdout", "ensemble", "oracle")
FEWEST = 3  # configurations that a correlation is computed of


def choice_probabilities(criterion: ArrayLike, budget: int) -> NDArray[np.float64]:
    """Return the probability of each draw to be chosen at a budget; `criterion` has one score per draw, 0 first.

    Draw j, with i_j of the n = B - 1 others better, is chosen with C(n - 1 - i_j, k - 2) / C(n, k - 1), draw 0 with
    C(n - i_0, k - 1) / C(n, k - 1), and what is worse than draw 0 never. An undefined score (NaN) is below every other.
    Raises InputError unless 1 <= budget <= the number of draws.
    """
    scores = np.asarray(criterion, dtype=np.float64)
    if not 1 <= budget <= len(scores):
        raise InputError(f"budget must be in 1..{len(scores)}, the number of configurations, got {budget}")
    others = len(scores) - 1
    subsets = math.comb(others, budget - 1)
    shares = np.zeros(len(scores))
    for better, draw in enumerate(best_first(scores)):
        if draw == 0:
            shares[0] = Fraction(math.comb(others - better, budget - 1), subsets)
            break
        if budget > 1:
            shares[draw] = Fraction(math.comb(others - 1 - better, budget - 2), subsets)
    return shares


def best_first(scores: NDArray[np.float64]) -> list[int]:
    """Return the draws by falling score, ties by number, undefined ones last."""
    filled = np.where(np.isnan(scores), -math.inf, scores)
    return sorted(range(len(scores)), key=lambda draw: (-filled[draw], draw))


def chosen(criterion: ArrayLike) -> int:
    """Return the draw that is chosen where all are seen."""
    return best_first(np.asarray(criterion, dtype=np.float64))[0]


def expected_score(criterion: ArrayLike, scores: ArrayLike, budget: int) -> float:
    """Return the expected score of what `criterion` chooses at a budget; NaN where an undefined score can be chosen.

    Choosing by the scores themselves (`criterion = scores`) is the oracle, which nobody can do.
    """
    shares, values = choice_probabilities(criterion, budget), np.asarray(scores, dtype=np.float64)
    return math.fsum(share * value for share, value in zip(shares, values, strict=True) if share > 0)


def budget_curve(criterion: ArrayLike, scores: ArrayLike) -> list[float]:
    """Return the expected score at every budget 1..B."""
    return [expected_score(criterion, scores, budget) for budget in range(1, len(np.asarray(scores)) + 1)]


def agreement(criterion: ArrayLike, scores: ArrayLike) -> float:
    """Return Spearman's rank correlation of holdout and dev scores over configurations.

    NaN where fewer than FEWEST configurations have both, or one of the two is constant.
    """
    pairs = np.array([criterion, scores], dtype=np.float64)
    ranks = [rankdata(side) for side in pairs[:, ~np.isnan(pairs).any(axis=0)]]
    if len(ranks[0]) < FEWEST or any(len(np.unique(side)) == 1 for side in ranks):
        return UNDEFINED
    return float(np.corrcoef(ranks)[0, 1])
