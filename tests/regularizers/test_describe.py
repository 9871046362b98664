"""`list` and `describe`: every method, its parameters as the constructor checks them, its places, and the schedule."""

from pathlib import Path

import pytest
import torch

from benchmarks.__main__ import main as regbench
from benchmarks.pocket import MODEL_DIR
from fisher.pretraining.checkpoint import checkpoint_hash
from fisher.scores import REQUIRED, load_scores, save_scores
from leaderboard.records.methods import encode_methods, read_methods
from regularizers.__main__ import main
from regularizers.describe import KEPT_SCORES, condense, describe, explain, listing
from regularizers.registry import methods
from regularizers.strategy import parse
from regularizers.testing.tiny_trial import tiny_bert


def test_list_names_every_method_with_its_cost(printed):
    shown = printed(main, "list")
    assert all(text in shown for text in (*methods(), "2+2", "Lee, Cho, Kang 2020"))


def test_the_table_of_the_documentation_is_the_registry_s():
    page = (Path(__file__).parents[2] / "docs" / "regularizers.md").read_text(encoding="utf-8")
    printed = [line for line in page.splitlines() if line.startswith(("| `", "| method | what"))]
    made = [line for line in listing(markdown=True).splitlines() if not line.startswith("| ---")]
    assert printed == made, "make the table anew: python -m regularizers list --markdown"


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("mixout", ["in [0, 1)", "paper, fed or all", "exact gradient", "0.1 to 0.9, linear; paper 0.7"]),
        ("mixout", ["bert.encoder.layer.{0-1}.attention.self.query"]),
        ("wdecay", [">= 0", "decoupled or coupled", "target       required   0, w_pre or w_0       -"]),
        ("bitfit", ["0.0001 to 0.01, log; in place of the shared lr"]),
    ],
)
def test_describe_shows_ranges_defaults_deviations_places_and_where_tuners_look(name, texts):
    described = describe(name)
    assert all(text in described for text in texts)


def test_a_strategy_is_explained_term_by_term():
    first, second = explain(parse("head:mixout(w_0, 0.6) + wdecay(w_pre, 0.01)"))
    assert (first["term"], second["term"]) == ("wdecay(w_pre, 0.01)", "head:mixout(w_0, 0.6)")
    assert second["name"] == "mixout" and "Bernoulli(1-p)" in second["equation"] and "Lee" in second["paper"]
    assert second["settings"] == {"target": "w_0", "p": "0.6", "layers": "paper", "gradient": "exact", "mask": "neuron"}
    assert second["cost"] == "1+1" and "authors" in second["deviations"]


@pytest.mark.parametrize("name", list(methods()))
def test_what_is_explained_can_be_kept_with_records(name, tmp_path):
    told = {name: explain(parse(methods()[name].example or name))}
    (tmp_path / "methods.json").write_bytes(encode_methods(told))
    assert read_methods([tmp_path]) == (told, [])


def test_names_are_condensed_by_layer():
    names = [f"encoder.layer.{i}.output" for i in (0, 1, 2, 5)] + ["pooler"]
    assert condense(names) == ["encoder.layer.{0-2, 5}.output", "pooler"]


def test_the_published_schedule_needs_no_model(tmp_path, printed):
    figure = tmp_path / "schedule.png"
    shown = printed(main, "describe", "guided_dropout(0, 0.099, fisher=published)", "--plot", figure)
    assert "layer.7.attention.self     0                 0.09900" in shown and "mean p 0.04950" in shown
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_the_schedule_follows_a_file_of_scores_on_a_folder_model(tmp_path):
    model, file = tiny_bert(), tmp_path / "scores.safetensors"
    model.save_pretrained(tmp_path / "model")
    values = {n.removeprefix("bert."): torch.full((), float(at)) for at, (n, _) in enumerate(model.named_parameters())}
    save_scores(file, values, dict.fromkeys(REQUIRED, "made up") | {"kind": "empirical"})
    rates = rows_of(describe("guided_dropout(0, 0.3)", model=str(tmp_path / "model"), fisher=str(file)))
    assert list(rates)[:2] == ["embeddings", "layer.0.attention.self"]
    assert rates["embeddings"] == pytest.approx(0.3) and list(rates.values())[-1] == 0.0


def rows_of(text):
    """{site: probability} of the schedule's table."""
    lines = [line.split() for line in text.split("schedule (")[-1].splitlines()]
    return {line[0]: float(line[-1]) for line in lines if line and line[0].startswith(("layer.", "embeddings"))}


def test_the_embedded_model_brings_its_scores_along(tmp_path, printed):
    figure = tmp_path / "schedule.png"
    rates = rows_of(printed(regbench, "describe", "guided_dropout", "--model", "pocket", "--plot", figure))
    assert len(rates) == 10 and sum(rates.values()) == pytest.approx(0.5, abs=1e-4)
    assert max(rates.values()) == 0.1 and rates["embeddings"] == 0.0
    assert figure.read_bytes().startswith(b"\x89PNG")
    load_scores(MODEL_DIR / KEPT_SCORES, weights=checkpoint_hash(MODEL_DIR))  # raises for other weights


def test_the_shuffled_control_is_shown_as_it_is_applied():
    ranked = rows_of(describe("guided_dropout(0, 0.1)", model=str(MODEL_DIR)))
    shuffled = rows_of(describe("guided_dropout(0, 0.1, order=shuffled)", model=str(MODEL_DIR)))
    assert sorted(ranked.values()) == sorted(shuffled.values()) and ranked != shuffled


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["describe", "mixot"], "unknown regularizer 'mixot'; did you mean mixout?"),
        (
            ["describe", "dropout", "--plot", "x.png"],
            "--plot must be given guided_dropout with scores, got dropout(0.1)",
        ),
        (["describe", "dropout", "--model", "/no/such"], "--model must be a hub id or a folder with a model"),
        (["describe", "guided_dropout", "--fisher", "missing"], "there is no score file missing"),
    ],
)
def test_wrong_requests_exit_with_two_and_one_sentence(refused, arguments, message):
    assert message in refused(main, *arguments)


def test_without_scores_the_schedule_is_asked_for(printed):
    assert "the schedule needs scores: give --fisher FILE" in printed(main, "describe", "guided_dropout")
