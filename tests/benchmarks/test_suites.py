"""The suites that ship: their exact size, what they say of themselves, and that each runs to its end."""

import dataclasses
import itertools
import math
import re
from pathlib import Path

import pytest

from benchmarks.data.splits import POOLED_TRAIN
from benchmarks.request import Suite
from benchmarks.run import main
from benchmarks.suite import builtin_suites, load_suite
from benchmarks.trial.protocol import PROTOCOLS, make_protocol
from leaderboard.tables.published import load_reference, task_key
from regularizers.registry import methods

TRIALS = {
    "lee20-table1": 11 * 4 * 20,
    "lee20-figure3": 11 * 4 * 20,
    "lee20-table2": 2 * 20,
    "lee20-table3": 3 * 4 * 20,
    "lee20-table4": 2 * 4 * 20,
    "lee20-figure4": (1 + 9 + 9) * 20,
    "lee20-figure6": 6 * 4 * 20,
    "lee20-time": 2 * 3,
    "sharma24-figure4": 2 * 5 * 4 * 6 * 5,
    "sharma24-surgical": 2 * 4 * 2 * 5,
    "board": (6 * 12 + 4 * 5) * 4 + 2 * 12 * 2,
    "stability": 2 * 2 * 3 * 4 * 20,
    "paucity": 32 * 4 * 5 * 20,
    "smoke": 32,
}
PAPERS = [name for name in TRIALS if name not in ("smoke", "board")]
SIZES = {"rte": (2490, 277), "mrpc": (3668, 408), "cola": (8551, 1043), "stsb": (5749, 1500), "sst2": (67349, 872)}


def test_every_suite_that_ships_is_counted_here() -> None:
    assert builtin_suites().keys() == {*TRIALS, "pocket", "glue"}


@pytest.mark.parametrize("name", TRIALS)
def test_a_dry_run_plans_exactly_these_trials(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert load_suite(name).size() == TRIALS[name]
    assert main(["--suite", name, "--model", "pocket", "--dry-run", "--output", str(tmp_path / "out")]) == 0
    count = TRIALS[name]
    assert f"{count} trials: 0 done, {count} left" in capsys.readouterr().out


@pytest.mark.parametrize("name", PAPERS)
def test_a_paper_suite_says_what_it_reproduces_and_where_it_differs(name: str) -> None:
    suite = load_suite(name)
    assert all((suite.citation, suite.reproduces, suite.deviations, suite.assumptions, suite.model))
    count, steps = (int(text.replace(",", "")) for text in re.findall(r"([\d,]+) (?:trials|optimizer)", suite.cost))
    assert count == TRIALS[name]
    assert steps == pytest.approx(optimizer_steps(suite), rel=0.01)


def optimizer_steps(suite: Suite) -> int:
    """Steps of all trials, from the official sizes of the tasks."""
    total = 0
    for block in suite.blocks():
        protocol = make_protocol(block.protocol, block.settings)
        for task in block.tasks:
            train, dev = SIZES[task]
            examples = round(POOLED_TRAIN * (train + dev)) if protocol.data == "pooled" else train
            epochs = (math.ceil(round(fraction * examples) / protocol.batch_size) for fraction in block.fractions)
            total += protocol.epochs * sum(epochs) * len(block.strategies) * block.restarts
    return total


@pytest.mark.parametrize("name", ["paucity", "smoke"])
def test_everything_registered_is_in_it(name: str) -> None:
    text = " + ".join(load_suite(name).strategies)
    builtin = [method for method, cls in methods().items() if cls.__module__.startswith("regularizers.")]
    absent = [method for method in builtin if not re.search(rf"\b{method}\b", text)]
    assert not absent


def test_figure_3_is_drawn_from_the_runs_of_table_1() -> None:
    table, figure = load_suite("lee20-table1"), load_suite("lee20-figure3")
    axes = ("tasks", "strategies", "fractions", "restarts", "protocol", "model", "settings")
    assert [getattr(table, axis) for axis in axes] == [getattr(figure, axis) for axis in axes]


def test_the_control_of_equal_mean_rate_has_the_mean_of_the_schedule() -> None:
    from regularizers.methods.guided_dropout import schedule

    rates = schedule({str(site): float(site) for site in range(37)}, 0, 0.099).values()
    assert sum(rates) / 37 == pytest.approx(0.0495)
    assert "dropout(0.0495) + head:dropout(0.1)" in load_suite("sharma24-figure4").strategies


@pytest.mark.long
@pytest.mark.parametrize("name", TRIALS)
def test_every_suite_runs_to_its_end_on_the_embedded_model(name: str, tmp_path: Path) -> None:
    scale = ["--restarts", "1", "--split-seeds", "1", "--fractions", "0.02", "--set", "epochs=1", "fisher_samples=3"]
    request = ["--suite", name, "--model", "pocket", "--output", str(tmp_path), *scale]
    assert main(request) == 0
    records = list((tmp_path / "records").glob("*.json"))
    assert len(records) >= len(load_suite(name).every("strategies"))


def test_published_figures_name_strategies_and_tasks_as_the_suites_do() -> None:
    """A figure that no trial of its suite can meet would be compared with nothing."""
    for name in ("lee20-table1", "lee20-figure3", "lee20-table2", "lee20-table3", "lee20-table4", "sharma24-surgical"):
        suite, reference = load_suite(name), load_reference(name)
        figures = {(figure.strategy, task_key(figure.task), figure.fraction) for figure in reference.figures}
        assert figures == set(itertools.product(suite.strategies, suite.tasks, suite.fractions))
        assert {figure.model for figure in reference.figures} == {suite.model}
        assert {figure.restarts for figure in reference.figures} <= {suite.restarts, None}
        assert reference.protocol.items() <= dataclasses.asdict(PROTOCOLS[suite.protocol]).items()


def test_the_page_of_the_papers_says_what_the_suites_say() -> None:
    page = " ".join((Path(__file__).parents[2] / "docs" / "papers.md").read_text(encoding="utf-8").split())
    for name in sorted(TRIALS.keys() - {"board"}):  # no paper's table
        suite = load_suite(name)
        assert f"| `{name}` | {TRIALS[name]:,} | {suite.description} |" in page
        for text in (
            suite.reproduces,
            *suite.deviations,
            *suite.assumptions,
            *([suite.cost] if name in PAPERS else []),
        ):
            assert text in page, f"{name}: {text}"
