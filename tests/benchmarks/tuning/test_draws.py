"""Configurations of families: one sequence for all, draw 0 by the papers, what is written stays."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from benchmarks.tuning.draws import DIMENSION, Draw, check_dimension, make_draws, points
from benchmarks.tuning.families import read_family
from regularizers.base import Regularizer
from regularizers.registry import register
from regularizers.search import Choice, Linear, Log
from regularizers.strategy import parse

SHARED = {"lr": Log(1e-5, 1e-3), "steps": Choice((100, 300))}
PINNED = [[0.956218, 0.450287, 0.813072], [0.46077, 0.563946, 0.039843]]
DEFAULT = {"lr": 1e-4, "steps": 200}
FAMILIES = ["none", "mixout(w_pre)", "mixout(w_pre) + head:mixout(w_0)", "rdrop + dropout(0.1)", "guided_dropout"]


def draws(text: str, budget: int = 8, restart: int = 0, layers: int = 4) -> list[Draw]:
    family = read_family(text)
    return make_draws(family, budget, shared=SHARED, default=DEFAULT, restart=restart, layers=layers)


@pytest.mark.parametrize(
    ("text", "canonical", "free"),
    [
        ("none", "none", []),
        ("mixout( w_pre )", "mixout(w_pre)", ["mixout.p"]),
        ("head:mixout(w_0)+mixout(w_pre)", "mixout(w_pre) + head:mixout(w_0)", ["mixout.p", "head:mixout.p"]),
        ("rdrop + dropout(0.1)", "dropout(0.1) + rdrop", ["rdrop.strength"]),
        ("rdrop(strength=2) + dropout", "dropout + rdrop(2)", ["dropout.p"]),
        ("wdecay(w_pre, form=coupled)", "wdecay(w_pre, form=coupled)", ["wdecay.strength"]),
        ("guided_dropout(p_upper=0.2)", "guided_dropout(p_upper=0.2)", []),
        ("guided_dropout(order=shuffled)", "guided_dropout(order=shuffled)", ["guided_dropout.p_upper"]),
        ("mixout(w_pre, 0.7)", "mixout(w_pre, 0.7)", []),
    ],
)
def test_what_is_not_written_is_free(text: str, canonical: str, free: list[str]) -> None:
    family = read_family(text)
    assert str(family) == canonical == str(read_family(canonical))
    assert [axis.label for axis in family.axes(layers=4)] == free


@pytest.mark.parametrize(
    ("text", "layers", "expected"),
    [
        ("mixout(w_pre)", 4, "mixout(w_pre, 0.7)"),
        ("mixout(w_pre) + head:mixout(w_0)", 4, "mixout(w_pre, 0.7) + head:mixout(w_0, 0.7)"),
        ("guided_dropout", 4, "guided_dropout(0, 0.1)"),
        ("bitfit", 4, "bitfit(0.001)"),
        ("surgical", 2, "surgical(2)"),  # a small model has no middle of 12 layers
    ],
)
def test_draw_0_has_the_papers_values_at_the_default(text: str, layers: int, expected: str) -> None:
    assert draws(text, 1, layers=layers) == [Draw(expected, DEFAULT)]


@pytest.mark.parametrize("text", FAMILIES)
def test_a_draw_has_the_same_shared_values_in_every_family(text: str) -> None:
    for restart in range(3):
        ours, plain = draws(text, restart=restart), draws("none", restart=restart)
        assert [draw.shared for draw in ours] == [draw.shared for draw in plain]
        assert len(ours) == 8


def test_restarts_have_draws_of_their_own() -> None:
    assert draws("none")[1].shared != draws("none", restart=1)[1].shared


@pytest.mark.parametrize("text", FAMILIES)
def test_a_larger_budget_adds_draws_and_changes_none(text: str) -> None:
    assert draws(text, 30)[:8] == draws(text, 8)


@pytest.mark.parametrize("text", FAMILIES[1:])
def test_values_lie_in_the_range_of_three_digits_and_are_spelled_as_strategies_are(text: str) -> None:
    for draw in draws(text, 33)[1:]:
        assert str(parse(draw.strategy)) == draw.strategy
        assert 1e-5 <= draw.shared["lr"] <= 1e-3 and draw.shared["steps"] in (100, 300)
        assert draw.shared["lr"] == float(f"{draw.shared['lr']:.3g}")


def test_values_are_those_of_the_points() -> None:
    """The first columns are the shared axes, the next the family's own, in the order of its terms."""
    point = points(0, 3)[2]
    draw = draws("mixout(w_pre) + head:mixout(w_0)", 4)[3]
    assert draw.shared == {"lr": float(f"{1e-5 * 100 ** point[0]:.3g}"), "steps": 100 if point[1] < 0.5 else 300}
    body, head = (float(f"{0.1 + 0.8 * u:.3g}") for u in point[2:4])
    assert draw.strategy == f"mixout(w_pre, {body:g}) + head:mixout(w_0, {head:g})"


def test_points_cover_every_column_evenly() -> None:
    """Of 16 points of a Sobol sequence one lies in every sixteenth of every column."""
    drawn = points(7, 16)
    assert drawn.shape == (16, DIMENSION)
    assert (np.sort(np.floor(drawn * 16), axis=0) == np.arange(16)[:, None]).all()
    assert (points(7, 5) == drawn[:5]).all() and not np.allclose(points(8, 5), drawn[:5])


def test_points_stay_what_they_are() -> None:
    """A change here changes every tuned trial: no release of a library may make one unnoticed."""
    assert points(0, 2)[:, :3].round(6).tolist() == PINNED


def test_a_rate_of_a_techniques_own_gives_way_to_the_shared_one() -> None:
    first, *others = draws("bitfit")
    assert first.strategy == "bitfit(0.001)"
    assert [draw.strategy for draw in others] == [f"bitfit({draw.shared['lr']!r})" for draw in others]
    family = read_family("bitfit")
    alone = make_draws(family, 4, shared={"steps": SHARED["steps"]}, default={}, restart=0, layers=4)
    assert alone[1].strategy != others[0].strategy  # without a shared rate it has a range of its own


def test_layers_are_at_most_the_models() -> None:
    assert all(1 <= int(draw.strategy.removeprefix("reinit(")[:-1]) <= 2 for draw in draws("reinit", 20, layers=2))


def test_a_plugin_declares_its_range_in_one_line() -> None:
    @register("wide")
    @dataclass
    class Wide(Regularizer):
        strength: float
        search: ClassVar = {"strength": Linear(0, 2)}

    assert draws("wide", 2)[0].strategy == "wide(1)"  # neither paper nor default: the middle
    assert draws("wide", 2)[1].strategy == f"wide({float(f'{2 * points(0, 1)[0, 2]:.3g}'):g})"


def test_a_plugin_without_ranges_is_searched_over_the_shared_axes() -> None:
    @register("silent")
    @dataclass
    class Silent(Regularizer):
        strength: float = 3.0

    assert {draw.strategy for draw in draws("silent")} == {"silent(3)"}


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: read_family("mixuot(w_pre)"), "unknown regularizer 'mixuot'; did you mean mixout"),
        (lambda: read_family("mixout"), "mixout must be given target"),
        (lambda: read_family("mixout(w_pre, 1.2)"), "must be in"),
        (lambda: read_family("none + dropout"), "none must stand alone"),
        (lambda: read_family("dropout + guided_dropout"), "one sum must set"),
        (
            lambda: make_draws(read_family("none"), 8, shared={}, default={}, restart=0, layers=4),
            r"must have something to search, got none without a free .* add an axis",
        ),
        (
            lambda: check_dimension(read_family("none"), SHARED, own=15),
            f"at most {DIMENSION} axes, shared ones included, got none",
        ),
    ],
)
def test_a_family_that_cannot_be_searched_is_refused(
    ask: Callable[[], object], message: str, refusal: Callable[..., str]
) -> None:
    assert re.search(message, refusal(ask))
