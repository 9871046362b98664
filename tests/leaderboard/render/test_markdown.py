"""The page of a published board: short, however many tasks it has, and every number of it is that of the tables."""

import dataclasses
import itertools
import random

import numpy as np
import pytest

from leaderboard.merge import ABOUT
from leaderboard.records.logits import encode_logits
from leaderboard.render import markdown, wording
from leaderboard.render.text import points
from leaderboard.render.verdict import verdict
from leaderboard.tables import reading
from leaderboard.tables import sections as tables

FAMILIES = (
    "none",
    "none, 2x steps",
    "dropout",
    "dropout(0.1) + wdecay(0, form=coupled)",
    "wdecay(w_pre, form=coupled)",
    "mixout(w_pre)",
    "mixout(w_pre) + head:mixout(w_0)",
    "guided_dropout",
    "dropout(0.1) + rdrop",
)
FLOORS = ("floor: probe", "floor: tfidf", "floor: constant")
EMBEDDED = (("cola", "matthews"), ("mrpc", "f1"), ("rte", "accuracy"), ("stsb", "spearman"))
SMALL = {"task": "sst2", "model": "small", "weights": "cd" * 32, "dev_hash": "1" * 64}


@pytest.fixture
def sections_of(record):
    """Return a function from tasks at sizes to the sections of tuned families in them, 12 restarts each."""

    def configurations(place, size, family, restart):
        draw = random.Random(f"{place} {size} {family} {restart}")
        gain = -0.02 * FAMILIES.index(family) if family in FAMILIES else -0.3
        for number in (None, 0, 1):
            held = None if number is None else 0.25
            score = 0.8 + gain + draw.gauss(0, 0.02)
            tuning = {"family": family, "draw": number or 0, "axes": {}, "holdout": held, "holdout_hash": None}
            own = {"logits": encode_logits([[0, 1]]), "predictions": [draw.randrange(2) for _ in range(40)]}
            own |= {"holdout": {"score": draw.random(), "predictions": []}} if held else {}
            status = "failed" if draw.random() < 0.1 else "ok"
            yield record(
                round(score, 4),
                status=status,
                result=own,
                strategy="none",
                restart=restart,
                tuning=tuning,
                size={"examples": size},
                fraction=size / 2000,
                **({"floor": {"name": "tfidf", "c": 1.0}} if family in FLOORS else {}),
                **place,
            )

    def made(places, sizes, families=(*FAMILIES, *FLOORS)):
        grid = itertools.product(places, sizes, families, range(12))
        entries = [entry for item in grid for entry in configurations(*item)]
        named = [entry | {"id": str(at), "checksum": ""} for at, entry in enumerate(entries)]
        rows, problems = reading.trials(named, labels={SMALL["dev_hash"]: np.array([1])})
        assert not problems
        return tables.sections(rows)

    return made


def embedded(*tasks):
    return [{"task": f"pocket-{task}", "metric": metric, "model": "pocket"} for task, metric in tasks or EMBEDDED]


def test_a_page_of_two_models_and_nine_cells_has_1500_words(sections_of):
    found = (*sections_of([SMALL], [250]), *sections_of(embedded(), [100, 500]))
    text = markdown.brief(found, ABOUT)
    assert len(text.split()) <= 1480, "1,500 where all of the verdict is needed"
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# Leaderboard",
        "## SST-2: small, protocol lee20, tuned",
        "### SST-2: accuracy at n = 250",
        "## 4 synthetic tasks: pocket, protocol lee20, tuned",
        "### pocket-CoLA (synthetic): Matthews correlation",
        "### pocket-MRPC (synthetic): F1",
        "### pocket-RTE (synthetic): accuracy",
        "### pocket-STS-B (synthetic): Spearman correlation",
    ]
    assert text.count("| floor: ") == 5, "of each task the best floor"


def cells_of(text, heading):
    """The cells of the only table below a heading, by strategy."""
    lines = text.split(f"### {heading}\n")[1].split("\n#")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return {line["strategy"]: line for row in rows[2:] if (line := dict(zip(rows[0], row, strict=True)))}


def test_a_brief_cell_has_default_tuned_and_difference(sections_of):
    (section,) = sections_of(embedded(("rte", "accuracy")), [100, 500])
    text = markdown.brief([section], "about")
    shown = cells_of(text, "pocket-RTE (synthetic): accuracy")
    best = next(row.strategy for row in section.cells[0].rows if row.is_floor)
    assert list(shown) == [*(one.strategy for one in section.ranking.strategies), best]
    for cell in section.cells:
        for row in cell.rows:
            if row.strategy in shown:
                tuned = f"**{points(row.mean)}**" if row in cell.best else points(row.mean)
                wanted = f"{points(section.mean_by('default', cell, row))} \N{RIGHTWARDS ARROW} {tuned}"
                if found := row.comparison:
                    star = "\\*" if found.p_holm < 0.05 else ""
                    wanted += f" ({points(found.difference, sign=True)}{star})"
                assert shown[row.strategy][cell.amount] == wanted
    assert any("\\*" in cell for row in shown.values() for cell in row.values())


def test_many_cells_and_those_without_a_default_leave_it_out(sections_of):
    found = sections_of(embedded(("rte", "accuracy")), [100, 200, 300, 400, 500], FAMILIES[:2])
    (section,) = sections_of(embedded(("rte", "accuracy")), [100, 200], FAMILIES[:2])
    for sections in (found, [dataclasses.replace(section, others={})]):
        text = markdown.brief(sections, "about")
        assert "\N{RIGHTWARDS ARROW}" not in text and "Each cell: tuned (2) (difference" in text


def test_a_single_cell_has_one_table_with_cost_and_both_references(sections_of):
    (section,) = sections_of([SMALL], [250])
    text = markdown.brief([section], "about")
    (cell,) = section.cells
    shown = cells_of(text, "SST-2: accuracy at n = 250")
    for row in cell.ranked:
        line = shown[wording.with_name(row.strategy)]
        assert line["failed"] == f"{row.failed}/12" and line["time"] == "1.00x"
        assert line["ensemble (2)"] == points(section.mean_by("ensemble", cell, row)) != "-"
        assert ("%" in line["beats Devlin's recipe"]) == (row.strategy != section.ranking.reference)
    assert "mean rank |" not in text and len(shown) == len(cell.ranked) + 1


def test_the_verdict_on_a_single_cell_tells_what_is_reached_without_tuning(sections_of):
    (section,) = sections_of([SMALL], [250])
    (cell,) = section.cells
    means = {row.strategy: section.mean_by("default", cell, row) for row in cell.ranked}
    told = {row.strategy: f"{points(means[row.strategy])}, tuned {points(row.mean)}" for row in cell.ranked}
    first = max(means, key=means.__getitem__)
    of_base = "" if first == "none" else f" (plain fine-tuning {told['none']})"
    said = f"on all labelled examples, {first} leads with {told[first]}{of_base};"
    assert said in verdict(section, "plain", False)[2]
