"""Our results and the papers': what matches what, by how much it differs, and what is said about the difference."""

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fisher.common.errors import InputError
from leaderboard.compare import main
from leaderboard.render.comparison import markdown
from leaderboard.stats.intervals import interval
from leaderboard.tables.published import load_reference, task_key
from leaderboard.tables.reading import trials
from leaderboard.tables.sections import sections
from tests.leaderboard.conftest import grid

DEVLIN, MIXOUT, DECAY = "dropout(0.1) + wdecay(0, 0.01)", "mixout(w_pre, 0.7)", "wdecay(w_pre, 0.01)"
LEE20 = {"batch_size": 32, "warmup": 0.1, "schedule": "linear", "beta1": 0.9, "beta2": 0.999, "head_init": "normal"}
Make, Store = Callable[..., dict[str, Any]], Callable[..., Path]


def rte(scores: dict[str, list[float]], **config: Any) -> list[dict[str, Any]]:
    """One record per score at the published protocol, model and data."""
    return grid(scores, **{"model": "bert-large-uncased", "fraction": 1.0, "protocol": LEE20} | config)


def compared(records: list[dict[str, Any]], name: str = "lee20-table1") -> str:
    """The Markdown of records that were never written."""
    lines, _ = trials({**item, "id": str(at), "checksum": str(at)} for at, item in enumerate(records))
    return markdown(load_reference(name), sections(lines))


def line(text: str, *starts: str) -> list[str]:
    """The cells of the first table line that begins with these cells."""
    lines = [[cell.strip() for cell in row.strip("|").split("|")] for row in text.splitlines() if row.startswith("|")]
    return next(cells for cells in lines if cells[: len(starts)] == list(starts))


TABLE1, FIGURE4 = load_reference("lee20-table1"), load_reference("lee20-figure4")
COUNTED = {(f.strategy, f.task): f.failed for f in (*TABLE1.figures, *FIGURE4.figures)}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([len(load_reference(f"lee20-table{n}").figures) for n in (1, 2, 3, 4)], [11 * 4, 2, 12, 8]),
        (operator.attrgetter("strategy", "task", "mean", "max")(TABLE1.figures[0]), (DEVLIN, "RTE", 0.565, 0.736)),
        (load_reference("lee20-figure3").figures, TABLE1.figures),
        ([COUNTED[name, "CoLA"] for name in (DEVLIN, DECAY, MIXOUT)], ["7", "6", "1"]),
        ([COUNTED[name, "STS-B"] for name in (DEVLIN, DECAY, MIXOUT, f"{MIXOUT} + {DECAY}")], ["2", "1", "0", "0"]),
        (COUNTED["dropout(0.1) + head:none", "RTE"], "at least 15"),
        (COUNTED[DEVLIN, "RTE"], ""),
        (load_reference("sharma24-surgical").fractions, (1.0, 0.5)),
        ({task_key(name) for name in ("STS-B", "stsb", "pocket-stsb")}, {"stsb"}),
    ],
)
def test_the_shipped_figures_are_those_of_the_papers(found: Any, expected: Any) -> None:
    assert found == expected


HEAD, WEAK = "mixout(w_pre, 0.7) + head:mixout(w_0, 0.7)", "wdecay(w_pre, 0.07)"
COUPLED, FED = "wdecay(w_pre, 0.01, form=coupled)", "mixout(w_pre, 0.7, layers=fed, gradient=authors)"
LINEAR, MIXED = "dropout(0.1) + head:none", "mixout(w_pre, 0.8) + head:none"
GUIDED = "guided_dropout(0, 0.099)"
STEPS = [0.50, 0.52, 0.51, 0.55, 0.50, 0.53] * 2
BETTER, WORSE = [score + 0.02 for score in STEPS], [score - 0.02 for score in STEPS]
OWN = {"model": "pocket", "fraction": 0.25, "task": "pocket-rte"}
OTHER = LEE20 | {"epochs": 1, "max_length": 40, "clip": 1.0, "eps": 1e-6}
SHARMA = {"model": "bert-base-uncased", "metric": "combined"}
FAILED = {"failed": True, "failed_by": "rule", "failed_plain": True}
NO_DIRECTION = "No direction: that strategy"
RTE, COLA = ("RTE", "100 %"), ("CoLA", "100 %")
COMPARED = {
    "a cell next to its figure": (
        rte({DEVLIN: [0.5, 0.5], MIXOUT: [0.55, 0.65]}),
        "lee20-table1",
        {(*RTE, MIXOUT): {3: "2", 4: "60.0", 5: "61.6", 7: "65.0", 8: "74.0", 9: "-9.0", 10: "0/2", 11: "-"}},
        ["Not run here: 42 of the 44 published cells.", "- restarts: 2, published: 20"],
    ),
    "directions are paired and compared by sign": (
        rte({DEVLIN: STEPS, MIXOUT: BETTER, WEAK: WORSE}),
        "lee20-table1",
        {
            (*RTE, MIXOUT, "mean"): {4: "+5.1", 5: "+2.0 [+2.0, +2.0]", 6: "same", 7: "yes"},
            (*RTE, WEAK, "mean"): {4: "+0.5", 5: "-2.0 [-2.0, -2.0]", 6: "opposite", 7: "yes"},
            (MIXOUT,): {1: "1", 2: "0", 3: "0"},
            (WEAK,): {1: "0", 2: "1", 3: "0"},
        },
        ["Of 2 published differences: 1 have the same sign here (1 significant), 1 have the opposite sign here (1"],
    ),
    "failed runs next to those printed": (
        rte({MIXOUT: [0.5, 0.0]}, task="cola"),
        "lee20-table1",
        {(*COLA, MIXOUT): {10: "0/2", 11: "1 of 20"}},
        [NO_DIRECTION],  # without the first strategy of the table there is no direction
    ),
    "failed runs read off a figure": (
        rte({LINEAR: [0.5], MIXED: [0.5]}),
        "lee20-figure4",
        {(*RTE, LINEAR): {-1: "at least 15 of 20"}, (*RTE, MIXED): {-1: "4 of 20"}},
        [NO_DIRECTION],  # no score is printed
    ),
    "every reading of a strategy": (
        rte({DECAY: [0.6], COUPLED: [0.6], FED: [0.6]}),
        "lee20-table1",
        {(*RTE, DECAY): {5: "56.3"}, (*RTE, COUPLED): {5: "56.3"}, (*RTE, FED): {5: "61.6"}},
        ["Not run here: 42 of the 44"],
    ),
    "no difference is no direction": (
        rte({DEVLIN: [0.5, 0.6], MIXOUT: [0.6, 0.5]}),
        "lee20-table1",
        {(*RTE, MIXOUT, "mean"): {6: "no difference here", 7: "too few"}},
        [],
    ),
    "nor is one between failed runs": (
        rte({DEVLIN: [0.5, 0.5], MIXOUT: [0.5, 0.51]}, status="failed", result=FAILED),
        "lee20-table1",
        {(*RTE, MIXOUT, "mean"): {6: "all runs failed"}, (MIXOUT,): {1: "0", 2: "0", 3: "1"}},
        ["Of 1 published differences: 1: all runs failed."],
    ),
    "an incomplete strategy has no direction": (
        rte({DEVLIN: [0.5, 0.6], MIXOUT: [0.7]}),
        "lee20-table1",
        {(*RTE, MIXOUT): {3: "1/2"}},
        [NO_DIRECTION],
    ),
    "everything that differs": (
        rte({DEVLIN: [0.5]}, **OWN, protocol=OTHER),
        "lee20-table1",
        {},
        [
            "- model: pocket, published: bert-large-uncased",
            "- data: synthetic embedded tasks instead of GLUE",
            "- training data: 25 %, published: 100 %",
            "- epochs: 1, published: 3",
            "- not stated in the paper, ours: max_length 40, clip 1.0, eps 1e-06, bias_correction true",
            "- restarts: 1, published: 20",
        ],
    ),
    "maxima, and dev is not test": (
        rte({DEVLIN: [0.5, 0.7], HEAD: [0.6, 0.6]}),
        "lee20-table4",
        {
            (*RTE, HEAD, "max"): {4: "+2.0", 5: "-10.0", 6: "opposite", 7: "-"},
            (*RTE, HEAD): {5: "-", 6: "-"},  # no mean is printed
        },
        ["- scored on: dev, published: test (GLUE server)"],
    ),
    "shares meet only each other": (
        rte({GUIDED: [0.6]}, **SHARMA) + rte({GUIDED: [0.6]}, fraction=0.5, **SHARMA),
        "sharma24-surgical",
        {(*RTE, GUIDED): {5: "68.8"}, ("RTE", "50 %", GUIDED): {5: "62.1"}},
        ["- metric of rte: combined, published: accuracy"],
    ),
}


@pytest.mark.parametrize(("records", "name", "lines", "said"), COMPARED.values(), ids=COMPARED)
def test_what_stands_next_to_the_published_figures(records: Any, name: str, lines: Any, said: list[str]) -> None:
    text = compared(records, name)
    for starts, wanted in lines.items():
        found = line(text, *starts)
        assert {at: found[at] for at in wanted} == wanted, starts
    for sentence in said:
        assert sentence in text


@pytest.mark.parametrize(
    ("records", "absent"),
    [
        (rte({DEVLIN: [0.5, 0.5]}), "Model, data and protocol are the published ones"),  # 2 restarts, not 20
        (rte({DEVLIN: [0.5]}, **OWN, protocol=OTHER), "lr:"),  # what agrees is not listed
        (rte({DEVLIN: [0.5]}), "training data"),
        (rte({DEVLIN: [0.5]}, model="<b>[x](y)"), "<b>"),  # a name cannot become markup
    ],
)
def test_what_is_not_said(records: Any, absent: str) -> None:
    assert absent not in compared(records)


def test_the_interval_is_that_of_our_mean_moved_by_the_published_one() -> None:
    scores = [0.50, 0.60, 0.70, 0.65]
    low, high = interval(scores)
    text = compared(rte({MIXOUT: scores}))
    gap = f"[{100 * (low - 0.616):+.1f}, {100 * (high - 0.616):+.1f}]"
    assert line(text, "RTE", "100 %", MIXOUT)[6].endswith(gap)


def test_the_command_prints_or_writes(
    store: Store, capsys: pytest.CaptureFixture[str], printed: Callable[..., str]
) -> None:
    folder = store(rte({DEVLIN: [0.5, 0.6]}))
    shown = printed(main, folder, "--published", "lee20-table1")
    assert shown.startswith("# lee20-table1: our results and the published figures")
    assert main([str(folder), "--published", "lee20-table1", "--output", str(folder / "compare.md")]) == 0
    assert (folder / "compare.md").read_text() == shown
    (folder / "records" / "broken.json").write_text("{")
    assert main([str(folder), "--published", "lee20-table1"]) == 1
    assert "left out: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lee20-tabel1", "unknown published table 'lee20-tabel1'; did you mean lee20-table1? available: lee20-fi"),
        (
            "lee20-table2",
            "no trial matches a published figure of lee20-table2, which are of: dropout(0.1) + wdecay(",
        ),
    ],
)
def test_what_cannot_be_compared_is_one_sentence_and_status_2(
    name: str, message: str, store: Store, refused: Callable[..., str]
) -> None:
    folder = store(rte({DEVLIN: [0.5]}))
    assert f"error: {message}" in refused(main, folder, "--published", name)
    with pytest.raises(InputError):
        load_reference("smoke")
