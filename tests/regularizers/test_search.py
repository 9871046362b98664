"""Declared search spaces: what they draw, what they refuse, and that every technique's own is one."""

import math
from dataclasses import dataclass

import pytest

from fisher.common.errors import InputError
from regularizers.base import Regularizer
from regularizers.registry import register
from regularizers.search import Choice, Layers, Linear, Log, Whole

POINTS = [at / 1000 for at in range(1000)]


@pytest.mark.parametrize(
    ("space", "points", "values"),
    [
        (Linear(0.1, 0.9), (0, 0.25, 0.5), [0.1, 0.3, 0.5]),
        (Log(1e-3, 1.0), (0, 1 / 3, 0.5), [0.001, 0.01, 0.0316]),
        (Choice(("a", "b", "c")), (0, 0.5, 0.99), ["a", "b", "c"]),
        (Whole(2, 5), POINTS, [2] * 250 + [3] * 250 + [4] * 250 + [5] * 250),
    ],
)
def test_points_of_the_unit_interval_become_values(space, points, values):
    assert [space.at(u) for u in points] == values


@pytest.mark.parametrize("space", [Linear(0.1, 0.9), Log(1e-3, 1.0), Whole(1, 6), Layers(1, 6), Choice((1, 2, 4))])
def test_values_lie_between_the_ends(space):
    values = [space.at(u) for u in POINTS]
    assert all(space.contains(value) for value in values)
    assert values == sorted(values) and values[0] == space.ends()[0]
    assert math.isclose(values[-1], space.ends()[1], rel_tol=0.01)


def test_layers_end_at_those_of_the_model():
    assert Layers(1, 6).within(4) == Layers(1, 4) and Layers(1, 6).within(24) == Layers(1, 6)
    assert Layers(1, 6).within(0).at(0.9) == 1 and Linear(0, 1).within(4) == Linear(0, 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear(0.9, 0.1), "a range must rise from a finite low to a finite high, got 0.9 to 0.1"),
        (lambda: Linear(0.0, math.inf), "a range must rise from a finite low to a finite high, got 0.0 to inf"),
        (lambda: Whole(4, 3), "a range must rise from a finite low to a finite high, got 4 to 3"),
        (lambda: Log(0.0, 1.0), "a logarithmic range must begin above 0, got 0; take Linear"),
        (lambda: Choice((1,)), "a choice must have at least two values, got (1,)"),
    ],
)
def test_a_range_that_is_none_is_refused(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"q": Linear(0, 1)}, "search of searched must name its hyperparameters (p), got 'q'"),
        ({"p": (0, 1)}, "search of searched must give Linear, Log, Whole, Layers or Choice for p, got (0, 1)"),
        (
            {"p": Linear(0, 1, paper=2)},
            "the paper's value of p of searched must lie in its range (0 to 1, linear), got 2",
        ),
    ],
)
def test_a_declaration_that_is_wrong_is_refused_on_registration(search, message):
    @dataclass
    class Searched(Regularizer):
        p: float = 0.5

    Searched.search = search
    with pytest.raises(InputError) as error:
        register("searched")(Searched)
    assert str(error.value) == message
