"""Drawings: in the critical-difference diagram names, ranks, intervals and bars stand where the ranking says."""

from leaderboard.render.drawing import ranks as rank_diagram
from leaderboard.render.look import LIGHT, themed, to_files
from leaderboard.render.wording import reading
from leaderboard.tables.ranking import RankedStrategy, Ranking

NAMES = ("a", "b", "c", "d")


def ranking(ranks=(1.0, 2.5, 2.75, 3.75), **options):
    pairs = enumerate(zip(NAMES, ranks, strict=False), start=1)
    entries = tuple(RankedStrategy(at, name, rank, 0, 0, 12, 1.0, rank - 0.5, rank + 1) for at, (name, rank) in pairs)
    known = {"tasks": 4, "units": 12, "critical_difference": 2.35, "groups_test": "sign flip"}
    return Ranking(entries, (), **{**known, "groups": (("a", "c"), ("b", "c", "d")), **options})


def drawn(found):
    with themed(LIGHT):
        figure = rank_diagram("a title", found, LIGHT)
        assert b"<svg" in to_files(figure)["svg"]
    axes = figure.axes[0]
    bars = [list(line.get_xdata()) for line in axes.lines if line.get_linewidth() == 3.2]
    return axes, bars, [text.get_text() for text in axes.get_yticklabels()]


def test_bars_join_the_members_of_a_group_at_their_ranks():
    axes, bars, names = drawn(ranking())
    assert bars == [[1.0, 2.75], [2.5, 2.75, 3.75]], "b lies under the first bar and has no mark on it"
    assert names == ["a  1.00", "b  2.50", "c  2.75", "d  3.75", "group 1", "group 2"]
    intervals = [[float(x) for x, _ in path.vertices] for path in axes.collections[0].get_paths()]
    assert intervals == [[0.5, 2.0], [2.0, 3.5], [2.25, 3.75], [3.25, 4.75]]


def test_the_critical_difference_is_told_where_mean_ranks_can_lie_that_far_apart():
    assert reading(ranking()).endswith("Mean ranks alone, over 4 tasks, would have to differ by 2.35 (Nemenyi).")
    few = ranking((1.0, 2.0), groups=(), critical_difference=1.96, tasks=1)
    assert "alone" not in reading(few) and drawn(few)[1] == []


def test_the_test_behind_the_bars_is_named():
    assert "paired sign flips over all cells" in reading(ranking())
    assert "Nemenyi's test of mean ranks" in reading(ranking(groups_test="nemenyi"))
    assert reading(ranking(groups=())).startswith("Every pair differs significantly")
