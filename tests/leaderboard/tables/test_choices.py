"""Tuned rows against a recomputation from the records in a few lines of pandas, and what is missing in them."""

import itertools
import json
from typing import Any

import pandas as pd
import pytest

from leaderboard.build import build
from leaderboard.render import wording
from leaderboard.render.csv import lines
from leaderboard.verify import verify
from tests.leaderboard.conftest import tuned_trials

FAMILIES = ("none", "mixout(w_pre)")
BUDGET = 5
AXES = {"lr": "1e-05 to 0.001, log; default 0.0001", "mixout.p": "0.1 to 0.9, linear; default 0.7"}


SHAPE: dict[str, Any] = {"sizes": (100, 250), "restarts": 12, "budget": BUDGET}


def tuned(**shape: Any) -> list[dict[str, Any]]:
    """Records of two families at two sizes."""
    axes = {"none": {"lr": AXES["lr"]}, "mixout(w_pre)": AXES}
    return tuned_trials(axes, lambda draw: (round(draw.uniform(0.5, 0.9), 4), {}), **SHAPE | shape)


@pytest.fixture
def entries():
    return tuned()


@pytest.fixture
def frame(arrange):
    """Return a function from records to the lines of leaderboard.csv."""
    return lambda entries: pd.DataFrame(lines(arrange(entries)))


def raw(entries: list[dict[str, Any]]) -> pd.DataFrame:
    """The records as a flat frame, made without the project's code."""
    rows = [
        {
            "family": entry["config"]["tuning"]["family"],
            "examples": entry["config"]["size"]["examples"],
            "restart": entry["config"]["restart"],
            "draw": entry["config"]["tuning"]["draw"],
            "held": entry["result"].get("holdout", {}).get("score"),
            "score": entry["result"]["score"],
        }
        for entry in entries
    ]
    return pd.DataFrame(rows).astype({"held": float})


def test_the_tables_figures_are_those_of_a_recomputation(entries, frame):
    """All restarts of all families by every rule: sorted, first taken, averaged; a choice costs all it is made from."""
    flat, cell = raw(entries), ["family", "examples", "restart"]
    drawn, place = flat.dropna(subset="held"), ["strategy", "size"]
    chosen = {
        "default": flat[flat.held.isna()],
        "holdout": drawn.sort_values(["held", "draw"], ascending=[False, True]).groupby(cell).head(1),
        "oracle": drawn.sort_values(["score", "draw"], ascending=[False, True]).groupby(cell).head(1),
    }
    found = frame(entries).set_index("rule")
    assert len(found) == 3 * 2 * 2
    for rule, rows in chosen.items():
        wanted, own = rows.groupby(["family", "examples"]).score, found.loc[rule].sort_values(place)
        assert own["mean"].tolist() == pytest.approx(wanted.mean().tolist(), abs=1e-12)
        assert own["max"].tolist() == wanted.max().tolist() and set(own.restarts) == {12}
        assert set(own.seconds) == {2.0 if rule == "default" else 2.0 * BUDGET}
        assert set(own.budget.dropna()) == (set() if rule == "default" else {BUDGET})


@pytest.fixture
def built(store, tmp_path):
    """Return a function that builds from records: the one section of the JSON file, and terminal and Markdown texts."""

    def run(entries):
        text = build([store(entries)], tmp_path / "out")
        (section,) = json.loads((tmp_path / "out" / "leaderboard.json").read_text())["sections"]
        markdown = (tmp_path / "out" / "leaderboard.md").read_text()
        return section, " ".join(text.split()), " ".join(markdown.split())

    return run


def test_the_budget_curve_is_the_mean_over_all_subsets(entries, built):
    section, _, _ = built(entries)
    flat = raw(entries).dropna(subset="held")
    assert len(section["tuning"]) == 4
    for choice in section["tuning"]:
        cell = flat[(flat.family == choice["strategy"]) & (choice["size"] == "n = " + flat.examples.astype(str))]
        for budget in range(1, BUDGET + 1):
            scores = [
                one[one.draw.isin([0, *subset])].sort_values(["held", "draw"], ascending=[False, True]).score.iloc[0]
                for _, one in cell.groupby("restart")
                for subset in itertools.combinations(range(1, BUDGET), budget - 1)
            ]
            assert choice["curve"][budget - 1] == pytest.approx(sum(scores) / len(scores), abs=1e-6)
        assert sum(choice["draws"]) == 12 and len(choice["chosen"]) == 12


def test_what_tuning_changed_is_the_mean_difference_on_the_same_restarts(entries, built):
    section, _, _ = built(entries)
    flat, place = raw(entries), ["family", "examples", "restart"]
    ordered = flat.dropna(subset="held").sort_values(["held", "draw"], ascending=[False, True])
    gains = ordered.groupby(place).score.first() - flat[flat.held.isna()].set_index(place).score
    for choice in section["tuning"]:
        own = gains[choice["strategy"], int(choice["size"].removeprefix("n = "))]
        assert choice["gain"] == pytest.approx(own.mean(), abs=1e-6)
        assert choice["gain_low"] < choice["gain"] < choice["gain_high"]


def test_trials_that_differ_in_what_is_tuned_stand_in_one_section(entries, arrange):
    (section,) = arrange(entries)
    assert section.title == "small-bert, protocol lee20, tuned" and section.budget == BUDGET
    assert section.protocol["lr"] == AXES["lr"] and list(section.others) == ["default", "oracle"]
    assert [cell.amount for cell in section.cells] == ["n = 100", "n = 250"]


def test_a_restart_that_lacks_a_configuration_is_missing(entries, frame):
    lacking = {"family": "none", "draw": 3}
    found = frame(
        [e for e in entries if e["config"]["restart"] != 5 or e["config"]["tuning"] != e["config"]["tuning"] | lacking]
    )
    lines = found[(found.rule == "holdout") & (found.strategy == "none")]
    assert set(lines.missing) == {1} and not lines.ranked.any()
    assert found[(found.rule == "default")].complete.all()


def test_a_configuration_that_ended_in_an_error_is_named(entries, record, built, frame):
    at = next(at for at, entry in enumerate(entries) if entry["config"]["tuning"]["draw"] == 4)
    entries[at] = {**record(None, status="oom", result={"reason": "out of memory"}), "config": entries[at]["config"]}
    assert "oom: configuration 4: out of memory" in built(entries)[2]
    found = frame(entries)
    assert found[(found.rule == "holdout") & (found.strategy == "none")].errors.tolist() == [1, 0]


def test_a_diverged_configuration_is_chosen_only_where_there_is_no_other(frame):
    entries = tuned(restarts=1)
    second = [entry for entry in entries if entry["config"]["tuning"]["draw"] == 2]
    for entry in entries:
        entry["result"]["holdout"] = entry["result"].get("holdout") if entry in second else None
    found = frame(entries)
    assert sorted(found[found.rule == "holdout"]["mean"]) == sorted(entry["result"]["score"] for entry in second)


def test_floors_are_shown_and_have_no_part_in_ranks_and_tests(entries, arrange):
    for entry in tuned_trials({"floor: tfidf": {"lr": AXES["lr"]}}, lambda draw: (0.99, {}), **SHAPE):
        entry["config"] |= {"floor": {"name": "tfidf", "c": 1.0}}
        entries.append(entry)
    (section,) = arrange(entries)
    assert {entry.strategy for entry in section.ranking.strategies} == set(FAMILIES)
    for cell in section.cells:
        row = cell.row("floor: tfidf")
        assert row.mean == pytest.approx(0.99) and row.comparison is None and not row.ranked
        assert cell.rows[-1] is row and row.trials[0].config == {"strategy": "tfidf(1)"}  # no rate, no steps


def test_markdown_shows_default_and_tuned_next_to_each_other_and_the_smallest_difference(entries, built):
    section, text, markdown = built(entries)
    assert "tuned: 5 configurations per strategy and restart, chosen by a holdout" in text
    assert "| default | tuned (5) [95 %] |" in markdown and "| untuned |" in markdown
    for cell in section["cells"]:
        assert f"{100 * cell['detectable']:.1f}" in cell["reach"] and cell["detectable"] > 0
        assert " ".join(cell["reach"].split()) in markdown


def test_without_trials_of_the_default_there_is_no_column_of_it(entries, built):
    _, _, markdown = built([entry for entry in entries if entry["config"]["tuning"]["holdout"] is not None])
    assert "| tuned (5) [95 %] |" in markdown and "| default |" not in markdown


def test_a_tuned_board_verifies_and_a_forged_line_does_not(entries, store):
    folder = store(entries)
    build([folder], folder)
    table, found = folder / "leaderboard.csv", pd.read_csv(folder / "leaderboard.csv")
    assert not [finding for finding in verify([folder])[0] if table.name in finding.text]
    mean = repr(float(found[found.rule == "holdout"]["mean"].iloc[0]))
    table.write_text(table.read_text().replace(mean, "0.99", 1))
    (forged,) = [finding.text for finding in verify([folder])[0] if table.name in finding.text]
    assert "(holdout): mean 0.99, by the records" in forged


def fitted(record: Any, accuracies: list[float], **config: Any) -> list[dict[str, Any]]:
    """Records of two strategies whose runs fit their training examples as given."""
    return [
        record(
            0.7 + 0.01 * restart,
            strategy=strategy,
            restart=restart,
            result={
                "fit": {"loss": 0.1, "score": accuracy, "accuracy": accuracy},
                "calibration": {"ece": 0.05, "brier": 0.3, "nll": 0.5},
                "passes": {"forward": 30, "backward": 30},
                "forgetting": {"objective": "mlm", "samples": 9, "before": 2.0, "after": 2.5 + accuracy},
            },
            **config,
        )
        for strategy in ("none", "dropout(0.1)")
        for restart, accuracy in enumerate(accuracies)
    ]


def test_rows_say_how_well_the_training_examples_are_fitted(record, frame):
    found = frame(fitted(record, [0.96, 0.9, 1.0])).set_index("strategy").loc["none"]
    mean = (0.96 + 0.9 + 1.0) / 3
    assert (found.fit, found.gap, found.forgetting) == pytest.approx((mean, mean - 0.71, 0.5 + mean), abs=1e-6)
    assert (found.fitted, found.ece, found.brier, found.nll, found.passes) == (2, 0.05, 0.3, 0.5, 30)


def test_a_cell_that_is_undertrained_says_so_and_is_not_ranked(record, built, arrange):
    """Fewer than half of the runs of `none` are fitted; half are enough."""
    weak, strong = fitted(record, [0.96, 0.9, 0.8]), fitted(record, [0.96, 0.99, 0.8, 0.7], task="mrpc", dev_hash="00")
    document, text, markdown = built(weak)
    for shown in (text, markdown, " ".join(document["cells"][0]["reach"].split())):  # the last is what the page prints
        assert "Undertrained (1 of 3 runs of none fit the examples" in shown
    (section,) = arrange(weak + strong)
    assert [cell.undertrained for cell in section.cells] == [False, True] and section.ranking.cells == 1


@pytest.mark.parametrize("axis", ["steps", "epochs"])
@pytest.mark.parametrize(
    ("best", "most", "said"),
    [
        (2, 100, "none is mostly tuned to the largest number of steps"),
        (1, 100, ""),
        (2, 50, "0 of 2 runs of none fit the examples"),  # nothing to choose: the fit decides
    ],
)
def test_a_tuned_cell_is_undertrained_where_none_is_tuned_to_the_most_steps(arrange, axis, best, most, said):
    entries = tuned(restarts=2)
    for entry in entries:
        config, result = entry["config"], entry["result"]
        draw, axes = config["tuning"]["draw"], {**config["tuning"]["axes"], axis: "one of 50, 100; default 50"}
        config |= {"protocol": config["protocol"] | {axis: most if draw == 2 else 50}}
        config["tuning"] |= {"axes": axes}
        result["fit"] = {"score": 0.9, "accuracy": 0.9}
        if "holdout" in result:
            result["holdout"] = {"score": 1.0 if draw == best else 0.5, "predictions": []}
    (section,) = arrange(entries)
    undertrained = wording.undertrained(section.cells[0])
    assert said in undertrained and bool(undertrained) == bool(said)
