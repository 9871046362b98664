"""Scores of tensors and sites, and the files that hold them."""

import math
import re

import pytest
import torch
from safetensors.torch import save_file

from fisher.common.files import require_writable, write_file
from fisher.estimation.convergence import convergence, convergence_lines, spearman, stops
from fisher.scores import (
    base_names,
    layers_of,
    load_scores,
    published_ranking,
    save_scores,
    site_scores,
    tensor_scores,
)

METADATA = {
    "kind": "empirical",
    "objective": "mlm",
    "reduction": "mean",
    "samples": 3,
    "seed": 0,
    "corpus_hash": "c" * 64,
    "model": "tiny",
    "weights": "a" * 64,
}


TENSORS = tensor_scores({"w": torch.tensor([[1.0, 3.0], [2.0, 2.0]]), "b": torch.tensor([6.0])})


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (TENSORS, {"w": 2.0, "b": 6.0}),
        (site_scores(TENSORS, {"site": ["w", "b"], "other": ["b"]}), {"site": 4.0, "other": 6.0}),  # plain means
        ([*base_names({"bert.x": 1, "cls.bert.y": 1}, "bert")], ["x", "cls.bert.y"]),  # the head keeps its name
        (layers_of(["wte.weight", "h.0.attn.c.weight"]), {"wte": ["wte.weight"], "h.0.attn": ["h.0.attn.c.weight"]}),
        (spearman([5, 1, 5, 2], [3, 0, 1, 2]), pytest.approx(3 / (4.5 * 5) ** 0.5)),  # ranks 3.5 1 3.5 2, 4 1 2 3
        (math.isnan(spearman([1, 1], [1, 2])), True),
        (stops(10), [1, 2, 5, 10]),
        (stops(1), [1]),
        (stops(1000), [10, 20, 50, 100, 200, 500, 1000]),
    ],
)
def test_by_hand(found, expected):
    assert found == expected


def test_the_published_ranking_names_the_37_sites_of_bert_base():
    ranking = published_ranking()
    parts = ("attention.self", "attention.output", "output")
    assert sorted(ranking) == sorted(["embeddings", *(f"layer.{i}.{part}" for i in range(12) for part in parts)])
    assert ranking[:2] == ("layer.7.attention.self", "layer.10.attention.self")
    assert ranking[-2:] == ("layer.3.output", "embeddings")


def test_layers_of_bert_are_the_sites_and_the_intermediate_layers(family_model):
    names = [name for name, _ in family_model("bert").bert.named_parameters()]
    sizes = {layer: len(members) for layer, members in layers_of(names).items()}
    parts = {"attention.self": 6, "attention.output": 4, "intermediate": 2, "output": 4}
    blocks = {f"encoder.layer.{i}.{part}": size for i in range(2) for part, size in parts.items()}
    assert {layer: sizes[layer] for layer in ("embeddings", *blocks)} == {"embeddings": 5} | blocks


def test_files_keep_values_order_and_metadata(tmp_path):
    values = {"z": torch.rand(3, 2), "a": torch.rand(4)}
    path = tmp_path / "folder" / "scores.safetensors"
    save_scores(path, values, METADATA)
    scores = load_scores(path, weights="a" * 64)
    assert list(scores.values) == ["z", "a"] and all(torch.equal(scores.values[name], values[name]) for name in values)
    assert {name: scores.metadata[name] for name in METADATA} == METADATA
    assert [file.name for file in path.parent.iterdir()] == ["scores.safetensors"]
    save_scores(path, {name: torch.tensor(score) for name, score in scores.tensor_scores().items()}, METADATA)
    again = load_scores(path).tensor_scores()
    assert again == pytest.approx(scores.tensor_scores())


def saved(path, values=None, **metadata):
    save_scores(path, {"w": torch.rand(100)} if values is None else values, METADATA | metadata)
    return path


def stored(path, **metadata):
    save_file({"w": torch.ones(2)}, path, metadata=metadata or None)


UNUSABLE = {
    "absent": (lambda path: None, "there is no score file .*scores: estimate one with"),
    "text": (lambda path: path.write_text("?"), "scores must be a safetensors file of Fisher scores, but it cannot be"),
    "cut": (
        lambda path: saved(path).write_bytes(path.read_bytes()[:-10]),
        "scores must be a safetensors file of Fisher scores, but it cannot be read",
    ),
    "foreign": (stored, "scores is a safetensors file but holds no Fisher scores"),
    "older": (
        lambda path: stored(path, fisher='{"format": 0, "tensors": ["w"]}'),
        "scores must hold Fisher scores of format 1, but it is of format 0 without kind, objective",
    ),
    "broken": (
        lambda path: saved(path, {"w": torch.tensor([1.0, -1.0])}),
        "scores must be finite and not negative, but .*scores has others in w: estimate again",
    ),
    "other": (saved, r"scores of other weights \(tiny, aaaaaaaaaaaa\) than the model in use \(bbbb"),
}


@pytest.mark.parametrize(("make", "sentence"), UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_files_have_their_sentences(tmp_path, make, sentence, refusal):
    make(tmp_path / "scores")
    assert re.search(sentence, refusal(load_scores, tmp_path / "scores", weights="b" * 64))


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (
            lambda folder: site_scores({"w": 1.0}, {"s": ["w", "x"]}),
            "site s must have a score for each of its tensors, but there is no score of x",
        ),
        (lambda folder: site_scores({"w": 1.0}, {"s": []}), "site s must have .* but there is no tensor at all"),
        (
            lambda folder: save_scores(folder / "f", {}, dict(list(METADATA.items())[:4])),
            "the metadata of scores must have .*: seed, corpus_hash, model, weights missing",
        ),
        (
            lambda folder: require_writable(saved(folder / "file") / "scores"),
            "/file/scores cannot be written .*: choose another place or free some room",
        ),
        (require_writable, "must be a file to write, but it is a folder"),
    ],
)
def test_what_cannot_be_scored_or_saved_has_its_sentence(tmp_path, ask, sentence, refusal):
    assert re.search(sentence, refusal(ask, tmp_path))


def test_a_full_disk_is_said_and_leaves_the_old_file(tmp_path, monkeypatch, refusal):
    path = tmp_path / "f"
    write_file(path, b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert "cannot be written (No space left on device)" in refusal(write_file, path, b"new")
    assert path.read_bytes() == b"old" and [file.name for file in tmp_path.iterdir()] == ["f"]


def test_convergence_compares_with_all_and_with_the_rest():
    noted = {2: {"a.x.w": 1.0, "b.x.w": 2.0, "c.x.w": 3.0}, 4: {"a.x.w": 2.0, "b.x.w": 2.5, "c.x.w": 3.0}}
    rows = convergence(noted)
    assert [row["samples"] for row in rows] == [2, 4] and rows[0]["share"] == 0.5
    assert rows[0]["tensors"] == pytest.approx(1.0)
    assert rows[0]["tensors_rest"] is None  # the other two samples give 3, 3, 3: no ranks
    assert rows[1]["tensors_rest"] is None and rows[1]["layers"] == pytest.approx(1.0)
    assert convergence_lines(rows)[2] == "| 2 | 0.500 | 1.000 | 1.000 | - | - |"
