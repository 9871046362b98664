"""The sentences on top of the tables: each says what the numbers say."""

import numpy as np
import pytest

from leaderboard.render import summary

DRAW = np.random.Generator(np.random.PCG64(41))
BASE = DRAW.normal(0.6, 0.02, 12)
BETTER = BASE + DRAW.normal(0.03, 0.005, 12)
ALIKE = BASE + np.tile([0.02, -0.02], 6)


def said(record, arrange, scores, tasks=("rte",), cost=True):
    """Return the sentences about strategies with these scores in every task."""
    entries = [
        record(float(score), strategy=strategy, task=task, restart=r, status="failed" if score < 0.55 else "ok")
        for task in tasks
        for strategy, values in scores.items()
        for r, score in enumerate(values)
    ]
    (section,) = arrange(entries)
    return list(summary.verdict(section, "plain", not cost))


def test_a_clear_leader(record, arrange):
    leader, against, findings = said(record, arrange, {"none": BASE, "a": BETTER}, ("cola", "rte"))
    assert leader == "Best mean rank: a (1.00 over 2 cells of task and share of the training data)."
    gain = 100 * (BETTER - BASE).mean()
    assert against.startswith(f"Against the baseline +{gain:.1f} [+")
    assert "distinguishable from it (p <0.001); failed 0/24, the baseline 0/24; 1.00 times its seconds." in against
    assert "not distinguishable" not in against
    assert "2 of 2 comparisons tested: a at " in findings and "a at cola 10 %" in findings
    assert findings.endswith("Smallest p within reach before correction: 0.0005 at 12 restarts.")


def test_a_leader_that_cannot_be_told_from_the_baseline(record, arrange):
    """The best mean is no finding, and the text says so."""
    _, against, findings = said(record, arrange, {"none": BASE, "a": ALIKE + 0.001}, cost=False)
    assert "not distinguishable from it (p " in against and "seconds" not in against
    assert findings.startswith("Distinguishable from the baseline: 0 of 1 comparisons tested. Smallest")


def test_too_few_restarts(record, arrange):
    _, against, findings = said(record, arrange, {"none": BASE[:5], "a": BETTER[:5]})
    assert "not tested (5 restarts, 12 needed)" in against
    assert findings == "Too few to test: 5 restarts at most, 12 needed."


def test_the_baseline_leads(record, arrange):
    sentences = said(record, arrange, {"none": BETTER, "a": BASE})
    assert sentences[0].startswith("Best mean rank: none, the baseline (1.00 over 1 cell of")
    assert not any(sentence.startswith("Against the baseline") for sentence in sentences)
    assert f"a at rte 10 % (-{100 * (BETTER - BASE).mean():.1f})" in sentences[-1]


def test_leaders_share_the_first_place(record, arrange):
    assert said(record, arrange, {"b": BASE, "a": BASE})[0].startswith("Best mean rank: shared by a; b (1.50 over")


def test_no_baseline_no_comparison(record, arrange):
    sentences = said(record, arrange, {"b": BASE, "a": BETTER})
    assert not any("baseline" in sentence for sentence in sentences)


def test_failures_are_told_beside_the_gain(record, arrange):
    failing = np.array([*BETTER[:11], 0.5])
    against = said(record, arrange, {"none": BASE, "a": failing})[1]
    assert "failed 1/12, the baseline 0/12" in against


def test_long_lists_are_cut(record, arrange):
    assert summary.listed([str(i) for i in range(6)]) == "0; 1; 2; 3; and 2 more"
    assert summary.listed(["x"]) == "x" and summary.listed([]) == ""


@pytest.mark.parametrize("name", ["a|b", "<b>", "[x](y)"])
def test_names_are_escaped(record, arrange, name):
    entries = [record(0.6 + r / 100, strategy=s, restart=r) for s in (name, "none") for r in (0, 1)]
    (section,) = arrange(entries)
    for sentence in summary.verdict(section, "markdown", False):
        assert name not in sentence


def test_what_is_told_apart_is_said_to_be_whichever_has_the_better_mean_rank(record, arrange):
    """The leader by mean rank has the lower mean, by a difference that can be told."""
    entries = [
        record(float(score + shift), strategy=strategy, task=task, restart=r)
        for task in ("cola", "mrpc", "rte", "sst2")
        for strategy, shift in (("none", 0.0), ("a", -0.1 if task == "sst2" else 0.001))
        for r, score in enumerate(BASE)
    ]
    (section,) = arrange(entries)
    text = " ".join(summary.verdict(section, "plain", True))
    assert "Best mean rank: a (" in text and "distinguishable from it (p <0.001)" in text
    assert "ot distinguishable from it:" not in text


def test_the_others_beside_the_baseline_are_told_apart_or_named(record, arrange):
    """The baseline has a test of its own, with another correction, so it stands in no list of the pairs' tests."""
    scores = {"none": BASE, "a": BETTER, "b": BETTER - 1e-3 + np.tile([0.02, -0.02], 6)}
    text = " ".join(said(record, arrange, scores))
    assert "Of the others, not distinguishable from it: b." in text
    text = " ".join(said(record, arrange, scores | {"b": BASE - 0.02}))
    assert "All others are distinguishable from it." in text


@pytest.mark.parametrize(("tasks", "needed"), [(3, None), (4, "0.98")])
def test_mean_ranks_are_spoken_of_where_they_can_tell_anything(record, arrange, tasks, needed):
    """Two strategies lie at most one rank apart; Nemenyi's test needs 1.96 / sqrt(tasks) between them."""
    names = ("cola", "mrpc", "rte", "sst2")[:tasks]
    text = " ".join(said(record, arrange, {"none": BASE, "a": BETTER}, names))
    assert ("By mean ranks alone" in text) == (needed is not None)
    assert needed is None or f"need {needed} between them (Nemenyi, 4 tasks), best and worst differ." in text


def test_too_many_pairs_are_said_not_to_be_tested(record, arrange):
    text = " ".join(said(record, arrange, {f"s{at:02}": BASE + 0.01 * at for at in range(15)}))
    assert "Pairs were not tested: 105 of them are too many for 12 restarts." in text
