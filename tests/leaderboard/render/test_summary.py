"""The sentences on top of the tables: each says what the numbers say."""

import re

import numpy as np
import pytest

from leaderboard.render import glossary, summary, terminal, wording
from leaderboard.render.verdict import verdict

DRAW = np.random.Generator(np.random.PCG64(41))
BASE = DRAW.normal(0.6, 0.02, 12)
BETTER = BASE + DRAW.normal(0.03, 0.005, 12)
ALIKE = BASE + np.tile([0.02, -0.02], 6)


@pytest.fixture
def section_of(record, arrange):
    """Return a function from scores to the only section: strategies with these scores in every task, or by task."""

    def made(scores, tasks=("rte",), **config):
        entries = [
            record(
                float(score), strategy=name, task=task, restart=r, status="failed" if score < 0.55 else "ok", **config
            )
            for task in tasks
            for name, values in scores.items()
            for r, score in enumerate(values[task] if isinstance(values, dict) else values)
        ]
        (section,) = arrange(entries)
        return section

    return made


@pytest.fixture
def said(section_of):
    """Return a function from scores to the sentences about them."""
    return lambda *args, cost=True, **config: verdict(section_of(*args, **config), "plain", not cost)


@pytest.fixture
def noted(section_of):
    """Return a function from scores to what is told besides the verdict."""
    return lambda *args, **config: list(summary.notes(section_of(*args, **config), "plain"))


def test_a_clear_leader(said, noted):
    scores = {"none": BASE, "a": BETTER}
    leader, certainty, price = said(scores, ("cola", "rte"))
    assert leader == "Over 2 cells (CoLA, RTE at 10 %), a has the best mean rank, 1.00 [1.00, 1.00]."
    assert certainty == (
        "It beats none (plain fine-tuning) on 100 % [100, 100] of the restarts (significantly different, p <0.001); "
        "all others differ significantly from it."
    )
    assert price == (
        "Failed runs: 0/24 (plain fine-tuning 0/24); a trial takes 1.00 times the seconds of plain fine-tuning."
    )
    (findings,) = noted(scores, ("cola", "rte"))
    assert "2 of 2 comparisons tested: a at " in findings
    assert f"a at CoLA 10 % (+{100 * (BETTER - BASE).mean():.1f})" in findings


def test_gains_stand_before_losses(noted):
    """The list of findings is cut, and whoever reads it looks for a gain first, whatever the p of the losses."""
    gain = BASE + 0.01 * np.array([*[-0.3] * 3, *[1] * 9])
    losses = {f"worse{at}": BASE - 0.02 - 0.01 * at for at in range(summary.SHOWN)}
    (findings,) = noted({"none": BASE, "gain": gain, **losses})
    assert f"{summary.SHOWN + 1} of {summary.SHOWN + 1} comparisons tested: gain at RTE 10 % (+0.7); " in findings


def test_of_one_cell_its_mean_is_told_and_not_a_rank(said):
    gain = f"+{100 * (BETTER - BASE).mean():.1f} ["
    leader = said({"none": BASE, "a": BETTER})[0]
    assert leader.startswith(f"At 10 % of RTE, a has the best mean, {100 * BETTER.mean():.1f} [")
    assert f"], {gain}" in leader and leader.endswith(
        "] points against plain fine-tuning (significantly different, p <0.001)."
    )


@pytest.mark.parametrize(
    ("size", "said_as"), [({"examples": 250}, "250 examples"), ({"per_class": 16}, "16 examples per class")]
)
def test_sizes_are_told_in_words(said, size, said_as):
    leader = said({"none": BASE, "a": BETTER}, ("pocket-rte",), size=size)[0]
    assert leader.startswith(f"At {said_as} of pocket-RTE (synthetic), a has the best mean, ")


def test_a_leader_that_does_not_differ_from_the_baseline(said):
    """The best mean is no finding, and the text says so."""
    leader, certainty, price = said({"none": BASE, "a": ALIKE + 0.001}, cost=False)
    assert leader.startswith(
        "At 10 % of RTE, no strategy is significantly better than plain fine-tuning: a has the best"
    )
    assert "(not significantly different, p " in leader and "seconds" not in price
    assert certainty == "No other strategy differs significantly from it."


def test_gains_in_single_cells_are_told_where_over_all_none_is(said):
    """A gain on one task and a loss on three others."""
    tasks = ("cola", "mrpc", "rte", "sst2")
    worse = dict.fromkeys(tasks, BASE - 0.001)
    leader = said({"none": BASE, "a": worse | {"rte": BETTER}}, tasks)[0]
    gain = f"a at RTE 10 % (+{100 * (BETTER - BASE).mean():.1f})"
    assert (
        f"better than plain fine-tuning over all of them (in single cells: {gain}): none, the baseline, has" in leader
    )


@pytest.mark.parametrize(
    ("count", "config", "units"), [(5, {}, "5 independent"), (12, {"split_seed": 0}, "1 independent")]
)
def test_too_few_to_test(said, section_of, count, config, units):
    scores = {"none": BASE[:count], "a": BETTER[:count]}
    leader, certainty, _ = said(scores, **config)
    assert "(too few to test)" in leader
    assert certainty.startswith(
        f"Whether it is better than the others cannot be decided ({units} restarts or splits, 12"
    )
    cell = "5 restarts" if count == 5 else "1 split of 12 restarts"
    found = wording.reach(section_of(scores, **config).cells[0])
    assert found == f"Cannot be decided: too few to test ({cell}, 12 needed)."


def test_the_baseline_leads(said, noted):
    scores = {"none": BETTER, "a": BASE}
    sentences = said(scores)
    nothing = "no strategy is significantly better than plain fine-tuning"
    assert sentences[0].startswith(f"At 10 % of RTE, {nothing}: none, the baseline, has the best mean, ")
    assert not any("beats" in sentence for sentence in sentences)
    assert f"a at RTE 10 % (-{100 * (BETTER - BASE).mean():.1f})" in noted(scores)[-1]


def test_leaders_share_the_first_rank(said):
    leader = said({"b": BASE, "a": BASE}, ("cola", "rte"))[0]
    assert leader.startswith("Over 2 cells (CoLA, RTE at 10 %), a; b share the best mean rank, 1.50")


def test_no_baseline_no_comparison(said):
    assert not any("beats" in sentence or "baseline" in sentence for sentence in said({"b": BASE, "a": BETTER}))


def test_failures_are_told_with_the_gain(said):
    price = said({"none": BASE, "a": np.array([*BETTER[:11], 0.5])})[2]
    assert "Failed runs: 1/12 (plain fine-tuning 0/12)" in price


def test_long_lists_are_cut():
    assert summary.listed([str(i) for i in range(6)]) == "0; 1; 2; 3; and 2 more"
    assert summary.listed(["x"]) == "x" and summary.listed([]) == ""


@pytest.mark.parametrize("name", ["a|b", "<b>", "[x](y)"])
def test_names_are_escaped(section_of, name):
    section = section_of({name: [0.6, 0.61], "none": [0.6, 0.61]})
    for sentence in (*verdict(section, "markdown", False), *summary.notes(section, "markdown")):
        assert name not in sentence


def test_the_others_differ_significantly_or_are_named(said):
    scores = {"none": BASE, "a": BETTER, "b": BETTER - 1e-3 + np.tile([0.02, -0.02], 6)}
    assert "In the stricter test of all 3 pairs all differ significantly from it but b." in said(scores)
    assert "All others differ significantly from it." in " ".join(said(scores | {"b": BASE - 0.02}))
    near = {"none": BASE, "a": BETTER - 0.03, "b": BASE + np.tile([0.02, -0.02], 6)}
    assert "In the stricter test of all 3 pairs no other strategy differs significantly from it." in said(near)


@pytest.mark.parametrize(("tasks", "alone"), [(3, "separate no two"), (4, "put 1 behind it")])
def test_where_pairs_cannot_be_tested_mean_ranks_are_asked(said, tasks, alone):
    """Two strategies lie at most one rank apart; Nemenyi's test needs 1.96 / sqrt(tasks) between them."""
    text = said({"none": BASE[:5], "a": BETTER[:5]}, ("cola", "mrpc", "rte", "sst2")[:tasks])[1]
    assert text.endswith(f"; mean ranks alone {alone} (Nemenyi, {tasks} tasks).")


def test_a_request_that_is_too_large_for_its_correction_says_what_it_takes(said, section_of):
    """15 strategies make 105 pairs; 104 comparisons with a baseline need 13 restarts."""
    scores = {f"s{at:02}": BASE + 0.01 * at for at in range(15)}
    needs = "at least 13 restarts, each on a split of its own, are needed"
    assert f"(105 pairs are too many for 12 units; {needs})" in said(scores)[1]
    many = section_of({"none": BASE} | {f"s{at:03}": BASE + 0.001 * at for at in range(1, 105)})
    expected = f"Nothing can be significant (104 comparisons with the baseline, 12 restarts): {needs}."
    assert wording.reach(many.cells[0]).endswith(expected)
    assert expected in "\n".join(summary.notes(many, "plain"))


def test_the_same_predictions_are_named_once(record, arrange):
    entries = [
        record(float(score), strategy=name, restart=r, result={"predictions": [r % 2, 1 - r % 2] * 50})
        for name in ("none", "wdecay(w_pre, 0.01)", "hype(1e-05)")
        for r, score in enumerate(BASE)
    ]
    entries += [record(float(score), strategy="a", restart=r) for r, score in enumerate(BETTER)]
    (section,) = arrange(entries)
    text = terminal.text([section])
    assert "Same predictions as none, and ranked as it: hype(1e-05); wdecay(w_pre, 0.01)." in text
    assert text.count("wdecay") == 1


# --- nothing learned


@pytest.mark.parametrize(("tasks", "what"), [(("rte",), "this task"), (("cola", "rte"), "any of the 2 tasks")])
def test_where_everything_failed_that_stands_first_and_nothing_is_best(section_of, tasks, what):
    section = section_of({"none": [0.5] * 12, "a": [0.51] * 12}, tasks)
    count = f"{24 * len(tasks)} of {24 * len(tasks)}"
    expected = f"No strategy learned {what} ({count} runs failed): more epochs, another rate, more data."
    assert verdict(section, "plain", False) == [expected]
    text = terminal.text([section])
    assert text.split("\n\n")[1].replace("\n", " ") == expected
    assert "Best" not in text and "rank" not in text


def test_a_task_that_nobody_learned_is_named_first_after_the_verdict(record, arrange):
    entries = [record(0.6 + r / 100, strategy=name, restart=r) for name in ("none", "a") for r in range(2)]
    entries += [record(0.5, status="failed", strategy=name, task="wnli", restart=r) for name in "ab" for r in (0, 1)]
    (section,) = arrange(entries)
    first = next(summary.notes(section, "plain"))
    assert first == (
        "No strategy learned this task (4 of 4 runs failed): more epochs, another rate, more data. At: WNLI 10 %."
    )
    assert re.search(r"^WNLI +10 % +none learned it +-", summary.best_per_cell(section, True), re.M)


# --- the terminal


def test_the_terminal_has_the_summary_and_explains_on_request(section_of):
    section = section_of({"none": BASE, "a": BETTER})
    text = terminal.text([section])
    assert "--explain" in text and glossary.SENTENCES["tests"][:40] not in text
    explained = " ".join(terminal.glossary().split())
    assert all(sentence in explained for sentence in glossary.glossary().values())
    assert glossary.SENTENCES["cost"] not in " ".join(terminal.glossary(without_cost=True).split())
