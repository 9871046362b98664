"""Figures: every restart is drawn where it belongs, failed runs are counted, equal records give equal bytes."""

import itertools
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

from leaderboard.build import build, main
from leaderboard.render.drawing import MOST, boxes, curves, strips
from leaderboard.render.figures import figures, in_order, leading, natural, prefixes
from leaderboard.render.look import DARK, LIGHT, Theme, themed
from tests.leaderboard.conftest import make

DEVLIN, MIXOUT = "dropout(0.1) + wdecay(0, 0.01)", "mixout(w_pre, 0.7)"
Store = Callable[..., Path]
OKABE_ITO = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"}


def records_of(strategies: tuple[str, ...] = (DEVLIN, MIXOUT)) -> list[dict[str, Any]]:
    """Records of one task at two shares; of each strategy the first of three restarts failed."""
    made = []
    for strategy, fraction in itertools.product(strategies, (1.0, 0.1)):
        gain = 0.6 + 0.01 * strategies.index(strategy)
        for restart, score in enumerate((0.5, gain + 0.05 * fraction, gain + 0.1 * fraction)):
            own = {"deviation": 2.0 + restart, "floor": 0.5}
            place = {"strategy": strategy, "fraction": fraction, "restart": restart}
            made.append(make(score, status="ok" if restart else "failed", result=own, **place))
    return made


def drawn(draw: Callable[..., Any], *what: Any, theme: Theme = LIGHT) -> Any:
    """The figure that a function draws in a theme, of these cells and strategies."""
    cells, names, *more = what
    with themed(theme):
        return draw("a title", cells, names, theme, *more)


@pytest.fixture
def whole(arrange: Any) -> Any:
    """The cell of all data, of both strategies."""
    return next(cell for cell in arrange(records_of())[0].cells if cell.fraction == 1.0)


def dots(figure: Any) -> list[list[float]]:
    """The x of every dot, per scatter of the first panel."""
    return [
        sorted(np.asarray(c.get_offsets())[:, 0].tolist()) for c in figure.axes[0].collections if c.get_offsets().any()
    ]


def test_every_restart_is_a_dot_and_failed_runs_are_marked_and_counted(whole: Any) -> None:
    figure = drawn(strips, [whole], [DEVLIN, MIXOUT])
    found = sorted(x for some in dots(figure) for x in some)
    assert found == pytest.approx(sorted(100 * trial.score for row in whole.rows for trial in row.trials))
    assert [text.get_text() for text in figure.axes[0].texts] == ["1/3", "1/3"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [DEVLIN, MIXOUT]


def test_the_bar_is_mean_and_standard_deviation(whole: Any) -> None:
    (container,) = drawn(strips, [whole], [DEVLIN]).axes[0].containers
    (middle,), (segment,) = container.lines[0].get_xdata(), container.lines[2][0].get_segments()
    row = whole.row(DEVLIN)
    assert middle == pytest.approx(100 * row.mean)
    assert [x for x, _ in segment] == pytest.approx([100 * (row.mean - row.std), 100 * (row.mean + row.std)])


def test_distances_from_w_pre_have_their_own_figure(arrange: Any, whole: Any) -> None:
    names = [name for name, _ in figures(arrange(records_of())[0], LIGHT)]
    assert names == ["ranks", "restarts-100", "deviation-100", "restarts-10", "deviation-10", "fractions", "curves"]
    assert sorted(x for some in dots(drawn(strips, [whole], [DEVLIN], "deviation")) for x in some) == [2.0, 3.0, 4.0]
    without = [dict(item, result=item["result"] | {"deviation": None}) for item in records_of()]
    assert not any(name.startswith("deviation") for name, _ in figures(arrange(without)[0], LIGHT))


def test_boxes_and_curves_show_the_scores_over_falling_shares(arrange: Any) -> None:
    cells = sorted(arrange(records_of())[0].cells, key=lambda cell: -cell.fraction)
    box, curve = (drawn(draw, [cells], [DEVLIN, MIXOUT], theme=DARK) for draw in (boxes, curves))
    assert [tick.get_text() for tick in box.axes[0].get_xticklabels()] == ["100 %", "10 %"]
    assert [text.get_text() for text in box.axes[0].texts] == ["1"] * 4, "failed runs under every box"
    means, rates = (panel.lines[0].get_ydata() for panel in curve.axes)
    assert means == pytest.approx([100 * cell.row(DEVLIN).mean for cell in cells])
    assert rates == pytest.approx([100 / 3, 100 / 3])
    left, right = curve.axes[1].get_xlim()
    assert left > right, "the shares fall from left to right"


def test_two_dev_sets_of_one_task_have_curves_of_their_own(arrange: Any) -> None:
    other = [dict(item, config=item["config"] | {"dev_hash": "ab" * 32}) for item in records_of()]
    curved = dict(figures(arrange(records_of() + other)[0], LIGHT))["curves"].axes
    assert len(curved) == 4, "mean and failure rate of each dev set"
    assert all(len(axes.lines[0].get_xdata()) == 2 for axes in curved), "one point a share"


def test_too_many_strategies_are_cut_to_the_best_and_the_title_says_so(arrange: Any) -> None:
    section = arrange(records_of((DEVLIN, *(f"mixout(w_pre, 0.{p})" for p in range(1, 10)))))[0]
    few = leading(section, in_order(section))
    assert (len(few), few[0]) == (MOST, DEVLIN), "the baseline stays"
    assert "mixout(w_pre, 0.1)" not in few, "the two worst go"
    with themed(LIGHT):
        found = dict(figures(section, LIGHT))
    assert "8 of 10 strategies" in found["curves"].get_suptitle()
    assert len(found["restarts-100"].axes[0].get_yticklabels()) == 10, "rows need no colours: all are drawn"


def test_names_sort_by_their_numbers() -> None:
    names = ["dropout(0.5)", "none", "dropout(0.25)", "dropout(0.1) + head:none"]
    assert sorted(names, key=natural) == ["dropout(0.1) + head:none", "dropout(0.25)", "dropout(0.5)", "none"]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_the_colours_are_okabe_and_itos(theme: Theme) -> None:
    assert set(theme.colours) >= OKABE_ITO
    assert len(set(theme.colours)) == MOST
    assert theme.page not in theme.colours


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_equal_records_give_equal_figures_in_any_order_and_whatever_the_user_has_set(
    store: Store, tmp_path: Path
) -> None:
    records = [item for item in records_of() if item["config"]["fraction"] == 1.0]
    build([store(records, "one")], tmp_path / "a", with_figures=True)
    random.Random(1).shuffle(records)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        build([store(records, "two")], tmp_path / "b", with_figures=True)
    first = files(tmp_path / "a" / "figures")
    assert first == files(tmp_path / "b" / "figures")
    names = [
        f"small-bert-lee20-{name}{dark}"
        for name in ("ranks", "restarts-100", "deviation-100")
        for dark in ("", "-dark")
    ]
    assert sorted(first) == sorted(f"{name}.{kind}" for name in names for kind in ("svg", "png"))
    for name, content in first.items():
        assert content.startswith(b"\x89PNG") if name.endswith("png") else b"<svg" in content
        assert b"dc:date" not in content and b"Software" not in content
    assert first["small-bert-lee20-restarts-100.svg"] != first["small-bert-lee20-restarts-100-dark.svg"]


def test_the_command_draws_unless_it_is_told_not_to(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], refused: Callable[..., str]
) -> None:
    folder = str(store([make(0.6, strategy=DEVLIN)]))
    assert main([folder, "--output", str(tmp_path / "out"), "--without-figures"]) == 0
    assert "figures/" not in capsys.readouterr().out
    assert not (tmp_path / "out" / "figures").exists()
    assert main([folder, "--output", str(tmp_path / "out")]) == 0
    assert "index.html, figures/\n" in capsys.readouterr().out
    assert len(files(tmp_path / "out" / "figures")) == 4, "one strategy has no ranks, and no distance was recorded"
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "figures").write_text("")
    assert "restarts-10.svg cannot be written (" in refused(main, folder, "--output", tmp_path / "two")


def test_no_figure_of_other_tables_stays_and_a_users_own_files_do(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str]
) -> None:
    out, figures = tmp_path / "out", tmp_path / "out" / "figures"
    own = {"my-ranks.png", "my-ranks.svg", "notes.txt", "restarts-10.svg"}
    one, two = store([make(0.6, strategy=DEVLIN)], "one"), store([make(0.7, strategy=DEVLIN)], "two")
    build([one], out, with_figures=True)
    first = set(files(figures))
    for name in own:
        (figures / name).write_text("")
    build([one], out)
    assert set(files(figures)) == first | own, "the tables are the same"
    build([two], out)
    assert set(files(figures)) == own
    build([one], out, with_figures=True)
    build([store(records_of(), "three")], out, with_figures=True)
    build([store([make(0.6, model="other")], "four")], out, with_figures=True)
    assert {name.partition("-lee20")[0] for name in set(files(figures)) - own} == {"other"}

    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    assert re.search(
        r"restarts-10-dark\.png of an earlier build cannot be removed from .*figures: P", refusal(build, [two], out)
    )


def test_names_of_records_are_drawn_as_text(store: Store, tmp_path: Path) -> None:
    names = {"task": "$x^", "metric": "$\\frac", "model": "$\\nothing$ " * 40}
    records = [make(0.6, strategy=name, **names) for name in ("$\\alpha^$ \\$", "\u8a9e\u0634 " * 60)]
    build([store(records)], tmp_path, with_figures=True)
    drawn = next(path for path in (tmp_path / "figures").iterdir() if path.name.endswith("restarts-10.svg"))
    assert b"<svg" in drawn.read_bytes()


def test_sections_with_the_same_beginning_have_files_of_their_own(arrange: Any) -> None:
    found = arrange([make(0.6, model="m" * 100, protocol={"lr": rate}) for rate in (1e-5, 2e-5)])
    assert prefixes(found) == ["m" * 80 + "-1", "m" * 80 + "-2"]
