"""Every method on every family: it acts, or the table says why not."""

from pathlib import Path

import pytest
import torch

from regularizers.__main__ import main
from regularizers.registry import find, methods
from regularizers.strategy import example_of, parse
from regularizers.surgery.site_tables import ALIASES, TABLES
from regularizers.testing import matrix

DOCS = Path(__file__).parents[2] / "docs" / "models.md"
BUILT_IN = sorted(methods())
SHARED = "what differs by layer needs layers of their own: ALBERT's layers share one set of weights"
NO_BIASES = (
    *("eurobert", "gemma2", "llama", "modernbert", "t5"),
    *("gemma", "gemma3_text", "mistral", "mt5", "qwen3", "smollm3"),  # aliases; Qwen2 has biases
)
SKIPPED = {
    ("albert", name): SHARED
    for name in ("dps", "freeze", "gradual_unfreezing", "hype", "layerwise_lr", "reinit", "surgical")
} | {
    (family, "bitfit"): f"bitfit needs a model with biases, and {family} has none outside the head"
    for family in NO_BIASES
}


@pytest.mark.long
@pytest.mark.parametrize("family", [*TABLES, *ALIASES])
def test_every_method_acts_or_says_why_not(family):
    cells = {name: matrix.act(family, example_of(find(name))) for name in BUILT_IN}
    skipped = {(family, name): cell for name, cell in cells.items() if cell != matrix.ACTS}
    assert skipped == {key: reason for key, reason in SKIPPED.items() if key[0] == family}


@pytest.mark.parametrize("family", [*TABLES, *ALIASES])
def test_noise_and_mixing_act_on_every_family_and_alias(family):
    strategy = parse("variational_dropout(0.1) + mixout(w_pre, 0.5)")
    assert matrix.act(family, strategy) == matrix.ACTS


@pytest.mark.parametrize(("family", "name"), [("albert", "freeze"), ("modernbert", "bitfit")])
def test_what_cannot_act_says_why(family, name):
    assert matrix.act(family, example_of(find(name))) == SKIPPED[family, name]


@pytest.mark.parametrize(
    ("name", "broken", "message"),
    [
        ("train", lambda trial, steps: trial, "no step"),
        ("outcome", lambda trial: trial.weights() | {"logits": torch.rand(2)}, "two evaluations differ"),
    ],
)
def test_a_method_that_does_nothing_or_is_random_in_evaluation_is_an_error(name, broken, message, monkeypatch):
    monkeypatch.setattr(matrix.Trial, name, broken)
    with pytest.raises(AssertionError, match=f"none on bert: {message}"):
        matrix.act("bert", parse("none"))


def test_lora_corrects_the_projections_to_queries_and_values():
    bound = matrix.attach("llama", parse("lora(2, 4)")).bound
    names = [f"model.layers.{i}.self_attn.{part}_proj" for i in range(2) for part in "qv"]
    assert bound.terms[0][0]._layers.keys() == set(names)


def test_the_docs_hold_the_table_of_sites():
    assert matrix.site_table("github") in DOCS.read_text(encoding="utf-8"), "regbench matrix --markdown makes it"


@pytest.mark.long  # a new method adds a row
def test_the_docs_hold_the_matrix_with_every_reason(monkeypatch):
    monkeypatch.setattr(matrix, "act", lambda family, strategy: SKIPPED.get((family, strategy.names()[0]), "+"))
    table = matrix.render(matrix.matrix(TABLES, BUILT_IN), "github")
    assert table in DOCS.read_text(encoding="utf-8"), "regbench matrix --markdown makes it"


def test_the_command_prints_both_tables(monkeypatch, printed):
    monkeypatch.setattr(matrix, "act", lambda family, strategy: "+")
    out = printed(main, "matrix")
    assert "layers.i.attention.output" in out and "variational_dropout" in out
