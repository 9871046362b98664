"""Figures: every restart is drawn where it belongs, failed runs are counted, equal records give equal bytes."""

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
from leaderboard.tables.sections import sections
from leaderboard.tables.trials import trials

DEVLIN, MIXOUT = "dropout(0.1) + wdecay(0, 0.01)", "mixout(w_pre, 0.7)"
Make, Store = Callable[..., dict[str, Any]], Callable[..., Path]
OKABE_ITO = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"}


def records_of(record: Make, strategies: tuple[str, ...] = (DEVLIN, MIXOUT), restarts: int = 3) -> list[dict[str, Any]]:
    """Records of one task at two shares; of each strategy the first restart failed."""
    made = []
    for number, strategy in enumerate(strategies):
        for fraction in (1.0, 0.1):
            for restart in range(restarts):
                score = 0.5 if restart == 0 else 0.6 + 0.01 * number + 0.05 * restart * fraction
                own = {"deviation": 2.0 + restart, "floor": 0.5}
                status = "failed" if restart == 0 else "ok"
                place = {"strategy": strategy, "fraction": fraction, "restart": restart}
                made.append(record(score, status=status, result=own, **place))
    return made


def dots(figure: Any) -> list[list[float]]:
    """The x of every dot, per scatter of the first panel."""
    return [
        sorted(np.asarray(c.get_offsets())[:, 0].tolist()) for c in figure.axes[0].collections if c.get_offsets().any()
    ]


def test_every_restart_is_a_dot_and_failed_runs_are_marked_and_counted(record: Make, arrange: Any) -> None:
    section = arrange(records_of(record))[0]
    cell = next(cell for cell in section.cells if cell.fraction == 1.0)
    with themed(LIGHT):
        figure = strips("a title", [cell], [DEVLIN, MIXOUT], LIGHT)
    drawn = sorted(x for some in dots(figure) for x in some)
    assert drawn == pytest.approx(sorted(100 * trial.score for row in cell.rows for trial in row.trials))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["1/3", "1/3"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [DEVLIN, MIXOUT]


def test_the_bar_is_mean_and_standard_deviation(record: Make, arrange: Any) -> None:
    section = arrange(records_of(record, (DEVLIN,)))[0]
    cell = next(cell for cell in section.cells if cell.fraction == 1.0)
    with themed(LIGHT):
        figure = strips("a title", [cell], [DEVLIN], LIGHT)
    (container,) = figure.axes[0].containers
    (middle,), (segment,) = container.lines[0].get_xdata(), container.lines[2][0].get_segments()
    row = cell.rows[0]
    assert middle == pytest.approx(100 * row.mean)
    assert [x for x, _ in segment] == pytest.approx([100 * (row.mean - row.std), 100 * (row.mean + row.std)])


def test_distances_from_w_pre_have_their_own_figure(record: Make, arrange: Any) -> None:
    section = arrange(records_of(record))[0]
    names = [name for name, _ in figures(section, LIGHT)]
    assert names == ["ranks", "restarts-100", "deviation-100", "restarts-10", "deviation-10", "fractions", "curves"]
    with themed(LIGHT):
        figure = strips("a title", [section.cells[0]], [DEVLIN], LIGHT, "deviation")
    assert sorted(x for some in dots(figure) for x in some) == [2.0, 3.0, 4.0]
    without = [dict(item, result=item["result"] | {"deviation": None}) for item in records_of(record)]
    assert not any(name.startswith("deviation") for name, _ in figures(arrange(without)[0], LIGHT))


def test_boxes_and_curves_show_the_scores_over_falling_shares(record: Make, arrange: Any) -> None:
    section = arrange(records_of(record))[0]
    cells = sorted(section.cells, key=lambda cell: -cell.fraction)
    with themed(DARK):
        box, curve = (draw("a title", [cells], [DEVLIN, MIXOUT], DARK) for draw in (boxes, curves))
    assert [tick.get_text() for tick in box.axes[0].get_xticklabels()] == ["100 %", "10 %"]
    assert [text.get_text() for text in box.axes[0].texts] == ["1"] * 4, "failed runs under every box"
    means, rates = (panel.lines[0].get_ydata() for panel in curve.axes)
    assert means == pytest.approx([100 * cell.row(DEVLIN).mean for cell in cells])  # type: ignore[union-attr]
    assert rates == pytest.approx([100 / 3, 100 / 3])
    left, right = curve.axes[1].get_xlim()
    assert left > right, "the shares fall from left to right"


def test_two_dev_sets_of_one_task_have_curves_of_their_own(record: Make, arrange: Any) -> None:
    records = records_of(record)
    other = [dict(item, config=item["config"] | {"dev_hash": "ab" * 32}) for item in records]
    drawn = dict(figures(arrange(records + other)[0], LIGHT))
    curved = drawn["curves"].axes
    assert len(curved) == 4, "mean and failure rate of each dev set"
    assert all(len(axes.lines[0].get_xdata()) == 2 for axes in curved), "one point a share"


def test_too_many_strategies_are_cut_to_the_best_and_the_title_says_so(record: Make, arrange: Any) -> None:
    many = (DEVLIN, *(f"mixout(w_pre, 0.{p})" for p in range(1, 10)))
    section = arrange(records_of(record, many))[0]
    few = leading(section, in_order(section))
    assert len(few) == MOST
    assert few[0] == DEVLIN, "the baseline stays"
    assert "mixout(w_pre, 0.1)" not in few, "the two worst go"
    with themed(LIGHT):
        drawn = dict(figures(section, LIGHT))
    assert "8 of 10 strategies" in drawn["curves"].get_suptitle()
    assert len(drawn["restarts-100"].axes[0].get_yticklabels()) == 10, "rows need no colours: all are drawn"


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
    store: Store, record: Make, tmp_path: Path
) -> None:
    records = [item for item in records_of(record) if item["config"]["fraction"] == 1.0]
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
    store: Store, record: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str], refused: Callable[..., str]
) -> None:
    folder = str(store([record(0.6, strategy=DEVLIN)]))
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
    store: Store, record: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str]
) -> None:
    out, figures = tmp_path / "out", tmp_path / "out" / "figures"
    own = {"my-ranks.png", "my-ranks.svg", "notes.txt", "restarts-10.svg"}
    one, two = store([record(0.6, strategy=DEVLIN)], "one"), store([record(0.7, strategy=DEVLIN)], "two")
    build([one], out, with_figures=True)
    first = set(files(figures))
    for name in own:
        (figures / name).write_text("")
    build([one], out)
    assert set(files(figures)) == first | own, "the tables are the same"
    build([two], out)
    assert set(files(figures)) == own
    build([one], out, with_figures=True)
    build([store(records_of(record), "three")], out, with_figures=True)
    build([store([record(0.6, model="other")], "four")], out, with_figures=True)
    assert {name.partition("-lee20")[0] for name in set(files(figures)) - own} == {"other"}

    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    assert re.search(
        r"restarts-10-dark\.png of an earlier build cannot be removed from .*figures: P", refusal(build, [two], out)
    )


def test_names_of_records_are_drawn_as_text(store: Store, record: Make, tmp_path: Path) -> None:
    names = {"task": "$x^", "metric": "$\\frac", "model": "$\\nothing$ " * 40}
    records = [record(0.6, strategy=name, **names) for name in ("$\\alpha^$ \\$", "\u8a9e\u0634 " * 60)]
    build([store(records)], tmp_path, with_figures=True)
    drawn = next(path for path in (tmp_path / "figures").iterdir() if path.name.endswith("restarts-10.svg"))
    assert b"<svg" in drawn.read_bytes()


def test_sections_with_the_same_beginning_have_files_of_their_own(record: Make) -> None:
    records = [record(0.6, model="m" * 100, protocol={"lr": rate}) for rate in (1e-5, 2e-5)]
    frame, _ = trials({**item, "id": str(at), "checksum": str(at)} for at, item in enumerate(records))
    assert prefixes(sections(frame)) == ["m" * 80 + "-1", "m" * 80 + "-2"]
