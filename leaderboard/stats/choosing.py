"""Choosing between the configurations of a family, as a pure function of their scores.

Of B configurations (draw 0 by the papers, the others drawn at random) a budget of k shows draw 0 and a random
(k-1)-subset of the others. The configuration with the best holdout score among these (ties: the lower draw) is chosen,
and its dev score counts. The expectation over subsets is exact: a hypergeometric sum over the draws in the order of
their holdout scores.
"""

import functools
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

RULES = ("default", "holdout", "ensemble", "oracle")
FEWEST = 3  # configurations that a correlation is computed of


@functools.lru_cache(maxsize=2048)
def choice_probabilities(count: int, better: int, budget: int) -> tuple[float, ...]:
    """Return the probability of each draw to be chosen at a budget, from the best to draw 0, which `better` are above.

    Of the n = count - 1 others, the one with i better ones is chosen with C(n - 1 - i, k - 2) / C(n, k - 1) at budget
    k, draw 0 with C(n - better, k - 1) / C(n, k - 1), and what is worse than draw 0 never.
    """
    others, subsets = count - 1, math.comb(count - 1, budget - 1)
    above = [math.comb(others - 1 - i, budget - 2) / subsets if budget > 1 else 0.0 for i in range(better)]
    return *above, math.comb(others - better, budget - 1) / subsets


def best_first(scores: NDArray[np.float64]) -> list[int]:
    """Return the draws by falling score, ties by number, undefined ones last."""
    order: list[int] = np.argsort(-np.where(np.isnan(scores), -math.inf, scores), kind="stable").tolist()
    return order


def chosen(criterion: ArrayLike) -> int:
    """Return the draw that is chosen where all are seen."""
    return best_first(np.asarray(criterion, dtype=np.float64))[0]


def budget_curve(criterion: ArrayLike, scores: ArrayLike) -> list[float]:
    """Return the expected score of what `criterion` chooses at budgets 1..B; NaN where an undefined one can be chosen.

    Choosing by the scores themselves (`criterion = scores`) is the oracle, which nobody can do.
    """
    order, values = best_first(np.asarray(criterion, dtype=np.float64)), np.asarray(scores, dtype=np.float64)
    best = values[order[: order.index(0) + 1]].tolist()  # what can be chosen at all: draw 0 is the last
    return [
        math.fsum(
            share * score
            for share, score in zip(choice_probabilities(len(order), len(best) - 1, budget), best, strict=True)
            if share > 0
        )
        for budget in range(1, len(order) + 1)
    ]


def agreement(criterion: ArrayLike, scores: ArrayLike) -> float:
    """Return Spearman's rank correlation of two orders, such as of configurations by holdout and by dev score.

    NaN where fewer than FEWEST entries have both numbers, or one of the two is constant. Computed here because a board
    asks for one per family, cell and restart, and SciPy's takes 30 times as long.
    """
    pairs = np.array([criterion, scores], dtype=np.float64)
    x, y = map(_centred_ranks, pairs[:, ~np.isnan(pairs).any(axis=0)])
    spread = int(x @ x) * int(y @ y)
    return int(x @ y) / math.sqrt(spread) if len(x) >= FEWEST and spread else math.nan


def _centred_ranks(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return twice the ranks, ties sharing their mean, less their mean: whole numbers, whose sums are exact."""
    ranks: NDArray[np.int64] = np.sign(values[:, None] - values).astype(np.int64).sum(axis=1)
    return ranks
