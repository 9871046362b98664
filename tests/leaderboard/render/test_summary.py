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


def test_long_lists_are_cut():
    assert summary.listed([str(i) for i in range(6)]) == "0; 1; 2; 3; and 2 more"
    assert summary.listed(["x"]) == "x" and summary.listed([]) == ""


@pytest.mark.parametrize("name", ["a|b", "<b>", "[x](y)"])
def test_names_are_escaped(section_of, name):
    section = section_of({name: [0.6, 0.61], "none": [0.6, 0.61]})
    for sentence in (*verdict(section, "markdown", False), *summary.notes(section, "markdown")):
        assert name not in sentence


TWO, FOUR = ("cola", "rte"), ("cola", "mrpc", "rte", "sst2")
GAIN = f"{100 * (BETTER - BASE).mean():.1f}"
CLEAR = {"scores": {"none": BASE, "a": BETTER}}
CHANCE = {"scores": {"none": BASE, "a": ALIKE + 0.001}}
BASELINE = {"scores": {"none": BETTER, "a": BASE}}
LOSSES = {f"worse{at}": BASE - 0.02 - 0.01 * at for at in range(summary.SHOWN)}
FEW = {"none": BASE[:5], "a": BETTER[:5]}
PAIRS = {f"s{at:02}": BASE + 0.01 * at for at in range(15)}
MANY = {"none": BASE} | {f"s{at:03}": BASE + 0.001 * at for at in range(1, 105)}
NEEDS = "at least 13 restarts, each on a split of its own, are needed"
NOTHING = f"Nothing can be significant (104 comparisons with the baseline, 12 restarts): {NEEDS}."
SAYS = {
    "a clear leader": (
        CLEAR | {"tasks": TWO},
        "Over 2 cells (CoLA, RTE at 10 %), a has the best mean rank, 1.00 [1.00, 1.00]. "
        "It beats none (plain fine-tuning) on 100 % [100, 100] of the restarts (significantly different, p <0.001); "
        "all others differ significantly from it. "
        "Failed runs: 0/24 (plain fine-tuning 0/24); a trial takes 1.00 times the seconds of plain fine-tuning.",
    ),
    "every finding": (CLEAR | {"tasks": TWO}, "2 of 2 comparisons tested: a at "),
    "its gain": (CLEAR | {"tasks": TWO}, f"a at CoLA 10 % (+{GAIN})"),
    "gains before losses, whatever their p": (
        {"scores": {"none": BASE, "gain": BASE + 0.01 * np.array([*[-0.3] * 3, *[1] * 9]), **LOSSES}},
        f"{summary.SHOWN + 1} of {summary.SHOWN + 1} comparisons tested: gain at RTE 10 % (+0.7); ",
    ),
    "of one cell the mean": (CLEAR, f"At 10 % of RTE, a has the best mean, {100 * BETTER.mean():.1f} ["),
    "and by how much": (CLEAR, f"], +{GAIN} ["),
    "against whom": (CLEAR, "] points against plain fine-tuning (significantly different, p <0.001)."),
    "a size": (
        CLEAR | {"tasks": ("pocket-rte",), "size": {"examples": 250}},
        "At 250 examples of pocket-RTE (synthetic), a has the best mean, ",
    ),
    "a size per class": (
        CLEAR | {"tasks": ("pocket-rte",), "size": {"per_class": 16}},
        "At 16 examples per class of pocket-RTE (synthetic), a has the best mean, ",
    ),
    "a leader by chance": (
        CHANCE,
        "At 10 % of RTE, no strategy is significantly better than plain fine-tuning: a has the best",
    ),
    "the best mean is no finding": (CHANCE, "(not significantly different, p "),
    "nor is another": (CHANCE, "No other strategy differs significantly from it."),
    "a gain on one task and losses on three": (
        {"scores": {"none": BASE, "a": dict.fromkeys(FOUR, BASE - 0.001) | {"rte": BETTER}}, "tasks": FOUR},
        f"better than plain fine-tuning over all of them (in single cells: a at RTE 10 % (+{GAIN})): "
        "none, the baseline, has",
    ),
    "the baseline leads": (
        BASELINE,
        "At 10 % of RTE, no strategy is significantly better than plain fine-tuning: none, the baseline, has the best",
    ),
    "a loss": (BASELINE, f"a at RTE 10 % (-{GAIN})"),
    "leaders share": (
        {"scores": {"b": BASE, "a": BASE}, "tasks": TWO},
        "Over 2 cells (CoLA, RTE at 10 %), a; b share the best mean rank, 1.50",
    ),
    "failures": (
        {"scores": {"none": BASE, "a": np.array([*BETTER[:11], 0.5])}},
        "Failed runs: 1/12 (plain fine-tuning 0/12)",
    ),
    "who does not differ": (
        {"scores": {"none": BASE, "a": BETTER, "b": BETTER + ALIKE - BASE - 0.001}},
        "In the stricter test of all 3 pairs all differ significantly from it but b.",
    ),
    "all differ": (
        {"scores": {"none": BASE, "a": BETTER, "b": BASE - 0.02}},
        "All others differ significantly from it.",
    ),
    "none differs": (
        {"scores": {"none": BASE, "a": BETTER - 0.03, "b": ALIKE}},
        "In the stricter test of all 3 pairs no other strategy differs significantly from it.",
    ),
    "too few": ({"scores": FEW}, "] points against plain fine-tuning (too few to test)."),
    "too few restarts": (
        {"scores": FEW},
        "Whether it is better than the others cannot be decided (5 independent restarts or splits, 12",
    ),
    "too few splits": (
        CLEAR | {"split_seed": 0},
        "Whether it is better than the others cannot be decided (1 independent restarts or splits, 12",
    ),
    # two strategies lie at most one rank apart; Nemenyi's test needs 1.96 / sqrt(tasks) between them
    "ranks over three tasks": (
        {"scores": FEW, "tasks": FOUR[:3]},
        "; mean ranks alone separate no two (Nemenyi, 3 tasks).",
    ),
    "ranks over four tasks": (
        {"scores": FEW, "tasks": FOUR},
        "; mean ranks alone put 1 behind it (Nemenyi, 4 tasks).",
    ),
    "too many pairs": ({"scores": PAIRS}, f"(105 pairs are too many for 12 units; {NEEDS})"),
    "too many comparisons": ({"scores": MANY}, NOTHING),
}


@pytest.mark.parametrize(("asked", "sentence"), SAYS.values(), ids=SAYS)
def test_each_sentence_says_what_the_numbers_say(section_of, asked, sentence):
    section = section_of(**asked)
    assert sentence in " ".join([*verdict(section, "plain", False), *summary.notes(section, "plain")])


def test_nobody_beats_a_baseline_that_leads_or_is_not_there(section_of):
    for scores in (BASELINE["scores"], {"b": BASE, "a": BETTER}):
        assert not any("beats" in sentence for sentence in verdict(section_of(scores), "plain", False))
    assert not any("seconds" in sentence for sentence in verdict(section_of(scores), "plain", True)), "without cost"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"scores": FEW}, "Cannot be decided: too few to test (5 restarts, 12 needed)."),
        (CLEAR | {"split_seed": 0}, "Cannot be decided: too few to test (1 split of 12 restarts, 12 needed)."),
    ],
)
def test_what_a_cell_cannot_decide(section_of, asked, said):
    assert wording.reach(section_of(**asked).cells[0]) == said


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
    first = summary.notes(section, "plain")[0]
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
