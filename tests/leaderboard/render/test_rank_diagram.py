"""The critical-difference diagram: names, ranks, bars and ruler stand where the ranking says."""

import itertools
import math

import pytest

from leaderboard.render.drawing import LIGHT, themed, to_files
from leaderboard.render.rank_diagram import rank_diagram, reading
from leaderboard.stats.ranking import Place, Ranking
from leaderboard.stats.significance import groups

NAMES = ("a", "b", "c", "d")


def ranking(ranks=(1.0, 2.5, 2.75, 3.75), **options):
    places = tuple(
        Place(at + 1, name, rank, 0, 0.0, 0, 12, 1.0) for at, (name, rank) in enumerate(zip(NAMES, ranks, strict=False))
    )
    known = {"tasks": 4, "restarts": 12, "critical_difference": 2.35, "groups_test": "sign flip"}
    return Ranking(places, (), **{**known, "groups": (("a", "c"), ("b", "c", "d")), **options})


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
    assert reading(ranking(groups=())).startswith("Every pair can be told apart")


@pytest.mark.parametrize("seed", range(20))
def test_groups_are_the_largest_in_which_no_pair_is_apart(seed):
    """Against all subsets of seven items; pairs are apart by a rule that is not transitive."""
    apart = {pair for pair in itertools.combinations(range(7), 2) if hash((seed, *pair)) % 3 == 0}
    whole = [
        set(some)
        for size in range(2, 8)
        for some in itertools.combinations(range(7), size)
        if not apart & set(itertools.combinations(some, 2))
    ]
    largest = [some for some in whole if not any(some < other for other in whole)]
    assert sorted(map(sorted, largest)) == list(map(list, groups(7, lambda i, j: (i, j) in apart)))


def test_groups_of_nothing_and_of_all():
    assert groups(0, lambda i, j: True) == groups(3, lambda i, j: True) == []
    assert groups(40, lambda i, j: False) == [tuple(range(40))]


def test_a_ranking_says_what_it_tells_apart(record, arrange):
    """With 12 restarts by paired tests, with 2 by mean ranks; the two may differ."""
    levels = {"dropout(0.1) + wdecay(0, 0.01)": 0.60, "none": 0.60, "mixout(w_pre, 0.7)": 0.66}
    entries = [
        record(round(level + 0.001 * (r * 5 % 12) * (1 + (name == "none")), 4), strategy=name, restart=r)
        for name, level in levels.items()
        for r in range(12)
    ]
    (section,) = arrange(entries)
    found = section.ranking
    apart = [pair for pair in itertools.combinations(levels, 2) if not any(set(pair) <= set(g) for g in found.groups)]
    assert found.groups_test == "sign flip" and found.groups == ()
    assert len(apart) == 3 and not math.isnan(found.critical_difference)


def test_with_few_restarts_ranks_decide(record, arrange):
    levels = {"dropout(0.1) + wdecay(0, 0.01)": 0.60, "none": 0.61, "mixout(w_pre, 0.7)": 0.66}
    entries = [
        record(level + r / 1000, strategy=name, restart=r, task=f"t{task}")
        for name, level in levels.items()
        for r in range(2)
        for task in range(6)
    ]
    (section,) = arrange(entries)
    found = section.ranking
    assert found.groups_test == "nemenyi" and 1 < found.critical_difference < 2
    assert [place.mean_rank for place in found.places] == [1, 2, 3]
    assert found.groups == (("mixout(w_pre, 0.7)", "none"), ("none", "dropout(0.1) + wdecay(0, 0.01)"))
