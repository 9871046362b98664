"""The suites that ship: their exact size, what they say of themselves, and that each runs to its end."""

import dataclasses
import itertools
import math
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli_w

from benchmarks.planning.names import builtin_suites
from benchmarks.planning.suite import Suite
from benchmarks.planning.suite_file import load_suite
from benchmarks.run import main
from benchmarks.trial.protocol import PROTOCOLS, make_protocol
from leaderboard.tables.matches import as_published
from leaderboard.tables.published import references, task_key
from regularizers.methods.guided_dropout import schedule
from regularizers.registry import methods

TRIALS = {
    "lee20-table1": 19 * 4 * 20 * 2,
    "lee20-figure3": 19 * 4 * 20 * 2,
    "lee20-table2": 4 * 20 * 2,
    "lee20-table3": 4 * 4 * 20 * 2,
    "lee20-table4": 3 * 4 * 20 * 2,
    "lee20-figure4": (1 + 9 + 9) * 20 * 2,
    "lee20-figure6": 6 * 4 * 20 * 2,
    "lee20-time": 3 * 3,
    "sharma24-figure4": 2 * 6 * 4 * 6 * 5,
    "sharma24-surgical": 3 * 4 * 2 * 5,
    "board": (6 * 12 + 4 * 5) * 4 + 2 * 12 * 2,
    "stability": 2 * 2 * 4 * 4 * 20,
    "paucity": 28 * 4 * 5 * 20,
    "pocket": (7 * 2 + 3) * 4 * 3,
    "glue": 11 * 4 * 3,
    "smoke": 2,
    "demo": 4 * (1 + 3) * 3,
    "tuned": (14 + 1 + 3) * (1 + 8) * 4 * 3 * 12,
    "tuned-small": (8 + 3) * (1 + 4) * 12,
    "tuned-pocket": (8 + 1 + 3) * (1 + 8) * 4 * 2 * 12,
}
PAPERS = [name for name in TRIALS if name.startswith(("lee20", "sharma24")) or name in ("stability", "paucity")]
SIZES = {"rte": (2490, 277), "mrpc": (3668, 408), "cola": (8551, 1043), "stsb": (5749, 1500), "sst2": (67349, 872)}


def test_every_suite_that_ships_is_counted_here() -> None:
    assert builtin_suites().keys() == TRIALS.keys()


@pytest.mark.parametrize("name", TRIALS)
def test_a_dry_run_plans_exactly_these_trials(name: str, tmp_path: Path, printed: Callable[..., str]) -> None:
    assert load_suite(name).size() == TRIALS[name]
    shown = printed(main, "--suite", name, "--model", "pocket", "--dry-run", "--output", tmp_path / "out")
    assert f"{TRIALS[name]} trials: 0 done, {TRIALS[name]} left" in shown


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
            examples = (train + dev) * 4 // 5 if protocol.data == "pooled" else train
            epochs = (math.ceil(round(fraction * examples) / protocol.batch_size) for fraction in block.fractions)
            total += protocol.epochs * sum(epochs) * len(block.strategies) * block.restarts
    return total


def test_every_suite_has_none_at_full_restarts() -> None:
    for name in builtin_suites().keys() - {"board"}:  # which stays as it was published
        suite = load_suite(name)
        for block in suite.blocks():
            names = block.tuning.families if block.tuning else block.strategies
            assert "none" in names or block.fractions != suite.fractions, f"{name} has {block.strategies}"


def test_a_decay_toward_w_pre_stands_in_both_forms() -> None:
    for name in builtin_suites().keys() - {"board"}:
        strategies = load_suite(name).every("strategies")
        decoupled = [text for text in strategies if re.search(r"wdecay\(w_pre, [\d.]+\)", text)]
        coupled = [text for text in strategies if "form=coupled" in text]
        assert bool(coupled) >= bool(decoupled), name
        if name.startswith("lee20"):
            assert [text.replace(", form=coupled", "") for text in coupled] == decoupled
            deviations = "\n".join(load_suite(name).deviations)
            assert ("takes less than 0.1 % of w - w_pre in a whole run" in deviations) == bool(decoupled)


def test_a_decoupled_decay_takes_as_little_as_the_suites_say() -> None:
    """The sum of a schedule that rises and falls linearly is half its peak times its steps."""
    taken = {}
    for name in ("lee20-table1", "lee20-table2"):
        suite = load_suite(name)
        decays = [re.search(r"wdecay\(w_pre, ([\d.]+)\)", text) for text in suite.strategies]
        for task, strength in itertools.product(suite.tasks, {float(found[1]) for found in decays if found}):
            protocol = PROTOCOLS[suite.protocol]
            steps = protocol.epochs * math.ceil(SIZES[task][0] / protocol.batch_size)
            taken[task, strength] = strength * protocol.lr * steps / 2
    assert max(taken.values()) == taken["cola", 0.1] == pytest.approx(8e-4, rel=0.01)
    assert min(taken.values()) == taken["rte", 0.01] == pytest.approx(2e-5, rel=0.2)


def test_the_suites_of_the_first_paper_have_bias_correction_on_and_off() -> None:
    for name in (name for name in PAPERS if name.startswith("lee20") and name != "lee20-time"):
        blocks = load_suite(name).blocks()
        assert [make_protocol(b.protocol, b.settings).bias_correction for b in blocks] == [True, False]


@pytest.mark.parametrize("name", ["lee20-figure4", "lee20-figure6", "lee20-time"])
def test_the_sweeps_over_p_regularize_no_head(name: str) -> None:
    assert all(text == "none" or text.endswith(" + head:none") for text in load_suite(name).strategies)


def test_paucity_has_every_technique_but_those_it_names_as_left_out() -> None:
    suite = load_suite("paucity")
    text = " + ".join((*suite.strategies, *(text for text in suite.deviations if text.startswith("left out"))))
    builtin = [method for method, cls in methods().items() if cls.__module__.startswith("regularizers.")]
    assert not [method for method in builtin if not re.search(rf"\b{method}\b", text)]


def test_figure_3_is_drawn_from_the_runs_of_table_1() -> None:
    table, figure = load_suite("lee20-table1"), load_suite("lee20-figure3")
    axes = ("tasks", "strategies", "fractions", "restarts", "protocol", "model", "settings")
    assert [getattr(table, axis) for axis in axes] == [getattr(figure, axis) for axis in axes]


def test_the_control_of_equal_mean_rate_has_the_mean_of_the_schedule() -> None:
    rates = schedule({str(site): float(site) for site in range(37)}, 0, 0.099).values()
    assert sum(rates) / 37 == pytest.approx(0.0495)
    assert "dropout(0.0495) + head:dropout(0.1)" in load_suite("sharma24-figure4").strategies


def scaled_down(name: str, folder: Path) -> str:
    """A suite's name; of a tuned one the file of a copy with two draws of two steps, on its first and last task."""
    table = tomllib.loads(builtin_suites()[name].read_text(encoding="utf-8"))
    if "tuning" not in table:
        return name
    table["tasks"] = table["tasks"][::3]
    table["tuning"] |= {"budget": 2, "default": table["tuning"]["default"] | {"steps": 2}}
    table["tuning"]["shared"]["steps"] = [1, 2]
    (folder / "suite.toml").write_text(tomli_w.dumps(table))
    return str(folder / "suite.toml")


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(TRIALS.keys() - {"lee20-figure3"}))  # whose trials are those of Table 1
def test_every_suite_runs_to_its_end_on_the_embedded_model(name: str, tmp_path: Path) -> None:
    scale = ["--restarts", "1", "--split-seeds", "1", "--fractions", "0.02", "--set", "epochs=1", "fisher_samples=3"]
    suite = scaled_down(name, tmp_path)
    request = ["--suite", suite, "--model", "pocket", "--output", str(tmp_path / "out"), *scale]
    assert main(request) == 0
    records = list((tmp_path / "out" / "records").glob("*.json"))
    assert len(records) >= len(load_suite(name).every("strategies"))


def test_published_figures_name_strategies_and_tasks_as_the_suites_do() -> None:
    """A figure that no trial of its suite can meet would be compared with nothing."""
    for reference in references():
        name, suite = reference.name, load_suite(reference.name.removesuffix("-devlin"))
        figures = {(figure.strategy, task_key(figure.task), figure.fraction) for figure in reference.figures}
        cells = set(itertools.product({*map(as_published, suite.strategies)} - {"none"}, suite.tasks, suite.fractions))
        assert figures <= cells
        assert figures == cells or name in ("lee20-figure4", "lee20-table4-devlin")
        assert {figure.model for figure in reference.figures} == {suite.model}
        assert {figure.restarts for figure in reference.figures} <= {suite.restarts, None}
        assert reference.protocol.items() <= dataclasses.asdict(PROTOCOLS[suite.protocol]).items()


def test_the_page_of_the_papers_lists_the_suites() -> None:
    page = " ".join((Path(__file__).parents[3] / "docs" / "papers.md").read_text(encoding="utf-8").split())
    for name in PAPERS:
        assert f"| `{name}` | {TRIALS[name]:,} | {load_suite(name).description} |" in page
