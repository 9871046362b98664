"""The critical-difference diagram: names, ranks, bars and ruler stand where the ranking says."""

import pytest

from leaderboard.render.look import LIGHT, themed, to_files
from leaderboard.render.rank_diagram import rank_diagram
from leaderboard.render.wording import reading
from leaderboard.tables.ranking import RankedStrategy, Ranking

NAMES = ("a", "b", "c", "d")


def ranking(ranks=(1.0, 2.5, 2.75, 3.75), **options):
    pairs = enumerate(zip(NAMES, ranks, strict=False), start=1)
    entries = tuple(RankedStrategy(at, name, rank, 0, 0, 12, 1.0) for at, (name, rank) in pairs)
    known = {"tasks": 4, "units": 12, "critical_difference": 2.35, "groups_test": "sign flip"}
    return Ranking(entries, (), **{**known, "groups": (("a", "c"), ("b", "c", "d")), **options})


def drawn(found):
    with themed(LIGHT):
        figure = rank_diagram("a title", found, LIGHT)
        assert b"<svg" in to_files(figure)["svg"]
    axes = figure.axes[0]
    bars = [list(line.get_xdata()) for line in axes.lines if line.get_linewidth() == 3.2]
    return figure, bars, [text.get_text() for text in axes.texts]


def test_bars_join_the_members_of_a_group_at_their_ranks():
    _, bars, texts = drawn(ranking())
    assert bars == [[1.0, 2.75], [2.5, 2.75, 3.75]], "b lies under the first bar and has no mark on it"
    assert {"a  1.00", "b  2.50", "2.75  c", "3.75  d"} < set(texts)


def test_the_ruler_is_as_long_as_the_critical_difference_or_says_that_it_is_longer():
    figure, _, texts = drawn(ranking())
    assert [1.0, 3.35] in [pytest.approx(list(line.get_xdata())) for line in figure.axes[0].lines]
    assert "critical difference of ranks alone (Nemenyi, 4 tasks): 2.35" in texts
    _, _, texts = drawn(ranking((1.0, 2.0), groups=(), critical_difference=1.96, tasks=1))
    assert "critical difference of ranks alone (Nemenyi, 1 task): 1.96, longer than the axis" in texts


def test_the_test_behind_the_bars_is_named():
    assert "paired sign flips over all cells" in reading(ranking())
    assert "Nemenyi's test of mean ranks" in reading(ranking(groups_test="nemenyi"))
    assert reading(ranking(groups=())).startswith("Every pair differs significantly")
