"""The report command: its figures and what it writes."""

import pytest
import torch

from fisher.profile import layers_for_half, normalised, profile
from fisher.report import main
from fisher.scores import save_scores

METADATA = {
    "kind": "empirical", "objective": "mlm", "reduction": "mean", "samples": 3, "seed": 0, "corpus_hash": "c",
    "model": "tiny", "weights": "a",
}  # fmt: skip


@pytest.fixture
def scores(tmp_path):
    def make(name, factor=1.0):
        values = {"b.w.weight": torch.tensor([[0.0, 100.0], [1.0, 3.0]]), "a.w.weight": torch.tensor([2.0, 0.5])}
        save_scores(tmp_path / name, {key: factor * value for key, value in values.items()}, METADATA)
        return tmp_path / name

    return make


def test_a_profile_counts_normalised_scores_and_keeps_the_models_order(scores):
    one = profile(scores("one.safetensors"), threshold=0.01)
    assert one.parameters == 6 and one.share_above == 4 / 6  # 100, 1, 3, 2 of 100
    assert one.curve.tolist() == [100.0, 3.0, 2.0, 1.0, 0.5, 0.0]
    assert one.layers == {"b": 26.0, "a": 1.25} and one.label == "one"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (normalised(torch.tensor([2.0, 4.0, 3.0])).tolist(), [0.0, 1.0, 0.5]),  # the least is 0, the largest 1
        (normalised(torch.tensor([2.0, 2.0])).tolist(), [0.0, 0.0]),
        (layers_for_half({"a": 5.0, "b": 1.0, "c": 3.0}), 1),
        (layers_for_half({"a": 1.0, "b": 1.0, "c": 1.0}), 2),
    ],
)
def test_by_hand(found, expected):
    assert found == expected


@pytest.mark.parametrize("extension", ["png", "svg"])
def test_the_command_writes_tables_and_plots_of_several_models(scores, tmp_path, extension, capsys):
    files = [str(scores("one.safetensors")), str(scores("two.safetensors", 0.1))]
    assert main([*files, "--output", str(tmp_path / "out"), "--format", extension]) == 0
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert names == {"report.md", *(f"{plot}.{extension}" for plot in ("parameters", "layers", "layers-sorted"))}
    text = (tmp_path / "out" / "report.md").read_text()
    assert "| two | tiny | mlm | empirical | 3 | 6 | 66.67 % | 2 | 1 |" in text
    assert "| 1 | b | 2.600e+01 |" in text and text.strip() in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("flat", "--output", "out"), "must hold a diagonal to report parameters, but it holds tensor scores only"),
        (("none", "--output", "out"), "there is no score file"),
        (("one", "--output", "out", "--threshold", "0"), "threshold must be in (0, 1], got 0.0"),
        (("one", "--output", "flat"), "cannot be written"),
    ],
)
def test_bad_requests_have_their_sentences(words, sentence, scores, tmp_path, monkeypatch, refused):
    save_scores(scores("one").with_name("flat"), {"w": torch.tensor(1.0)}, METADATA)
    monkeypatch.chdir(tmp_path)
    assert sentence in refused(main, *words)
