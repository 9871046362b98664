"""The configurations that a family is tuned over: draw 0 by the papers, the others from one sequence for all families.

Point j - 1 of a scrambled Sobol sequence of DIMENSION columns (one sequence per restart, the same for every family)
gives draw j: the first columns are the shared axes, the next the family's own. So draw j has the same learning rate and
number of steps in every family, and a larger budget adds draws and changes none.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from benchmarks.tuning.families import Family
from fisher.common.errors import require
from fisher.seeds import derive
from regularizers.search import Search, Value

DIMENSION = 16
MAX_BUDGET = 1024


@dataclass(frozen=True)
class Draw:
    """One configuration: the strategy, and the protocol fields that it sets."""

    strategy: str
    shared: Mapping[str, Value]


@functools.lru_cache(maxsize=4096)
def points(restart: int, count: int) -> NDArray[np.float64]:
    """The first `count` points (count, DIMENSION) in [0, 1) of a restart's sequence; fewer points are a prefix."""
    generator = np.random.Generator(np.random.PCG64(derive("tuning", restart)))
    engine = qmc.Sobol(DIMENSION, scramble=True, seed=generator)
    drawn: NDArray[np.float64] = engine.random_base2((max(count, 1) - 1).bit_length())[:count]
    return drawn


def make_draws(
    family: Family,
    budget: int,
    *,
    shared: Mapping[str, Search],
    default: Mapping[str, Value],
    restart: int,
    layers: int,
) -> list[Draw]:
    """Draws 0..budget-1 of a family in one restart.

    Args:
        shared: protocol field -> range of the axes that all families share.
        default: protocol field -> value of draw 0; what is shared and not named there keeps the protocol's.
        layers: how many layers the model has; no technique is asked for more.

    Draw 0 has the papers' hyperparameters at the default. A hyperparameter that `replaces` a shared axis (a learning
    rate of the technique's own) has that axis's value from draw 1 on. Raises InputError where nothing is searched.
    """
    axes = family.axes(layers)
    check_dimension(family, shared, len(axes))
    draws = [Draw(family.first_strategy(layers), default)]
    for point in points(restart, budget - 1):
        common = {key: space.at(float(u)) for (key, space), u in zip(shared.items(), point, strict=False)}
        own = {
            axis: common[axis.space.replaces] if axis.space.replaces in common else axis.space.at(float(u))
            for axis, u in zip(axes, point[len(shared) :], strict=False)
        }
        draws.append(Draw(family.strategy(own), common))
    return draws


def check_dimension(family: Family, shared: Mapping[str, Search], own: int) -> None:
    """Raise InputError unless there is something to search, and not more than the sequence has columns."""
    require(
        shared or own,
        "a family must have something to search",
        f"{family} without a free hyperparameter and no shared axis",
        "add an axis to tuning.shared, such as lr, or leave the family out",
    )
    require(
        len(shared) + own <= DIMENSION, f"a family must have at most {DIMENSION} axes, shared ones included", family
    )
