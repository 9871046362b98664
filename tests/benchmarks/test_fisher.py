"""Fisher scores of the fine-tuning loss: against one backward pass per example, and what bad requests are told."""

from pathlib import Path

import pytest
import torch

from benchmarks.data.origin import Origin
from benchmarks.data.splits import make_split
from benchmarks.fisher import main
from benchmarks.planning.fisher_scores import ScoreBook
from benchmarks.planning.suite_file import FisherRecipe
from benchmarks.trial import models
from benchmarks.trial.config import Seeds
from benchmarks.trial.protocol import Protocol
from benchmarks.trial.tokenizer import load_tokenizer
from fisher.scores import load_scores
from regularizers.strategy import parse

FEW = ["--fraction", "0.004", "--set", "max_length=40"]


def single_passes(source: models.Source, task: str, *, fraction: float) -> dict[str, torch.Tensor]:
    """The definition in float64, with the losses of transformers' own classes, in the order of the split."""
    data = Origin(offline=True).load(task)
    split = make_split(data, Protocol(), fraction=fraction, split_seed=0, restart=0)
    outputs = len(data.task.labels or (0,))
    model, head = models.build(source, outputs, seed=Seeds.of(0, 0).init, head_init="normal")
    model, tokenizer = model.double().eval(), load_tokenizer(source)
    body = {name: value for name, value in model.named_parameters() if name not in head}
    total = {name: torch.zeros_like(value) for name, value in body.items()}
    for example in split.train:
        inputs = tokenizer(*example.texts, return_tensors="pt", truncation="longest_first", max_length=40)
        label = torch.tensor([example.label], dtype=torch.float64 if outputs == 1 else torch.long)
        gradients = torch.autograd.grad(model(**inputs, labels=label).loss, list(body.values()))
        for name, gradient in zip(body, gradients, strict=True):
            total[name] += gradient.square() / len(split.train)
    return total


@pytest.mark.parametrize("task", ["pocket-rte", "pocket-stsb"])
def test_it_is_the_mean_square_of_single_gradients(task: str, source: models.Source, tmp_path: Path) -> None:
    path = tmp_path / "scores.safetensors"
    assert main(["--task", task, *FEW, "--output", str(path)]) == 0
    scores, expected = load_scores(path, weights=models.weights_of(source)), single_passes(source, task, fraction=0.004)
    assert set(scores.values) == {name.removeprefix("bert.") for name in expected}, "everything but the head"
    largest = max(float(value.max()) for value in expected.values())
    for name, value in expected.items():
        found = scores.values[name.removeprefix("bert.")].double()
        assert torch.allclose(found, value, rtol=1e-3, atol=1e-6 * largest), name


def test_the_file_says_what_of_and_serves_a_strategy(source: models.Source, tmp_path: Path, refused) -> None:
    path = tmp_path / "scores.safetensors"
    request = ["--task", "pocket-cola", *FEW, "--output", str(path)]
    assert main([*request, "--restart", "2"]) == 0
    said = load_scores(path).metadata
    assert (said["objective"], said["task"], said["fraction"], said["restart"]) == ("task", "pocket-cola", 0.004, 2)
    assert said["corpus_size"] == said["samples"] == max(row["samples"] for row in said["convergence"])
    assert main([*request, "--restart", "2"]) == 0, "what is done is not done again"
    assert "holds scores of another request (head_hash, restart differ)" in refused(main, *request)
    book = ScoreBook(tmp_path, source, FisherRecipe())
    book.plan([parse(f"guided_dropout(0, 0.1, fisher={path})")])
    assert book.recipes[str(path)]["head_hash"] == said["head_hash"]


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--task", "pocket-rte", "--fraction", "0"], "fraction must be in (0, 1], got 0.0"),
        (["--task", "nope"], "unknown task 'nope'"),
        (["--task", "pocket-rte", "--restart", "-1"], "--restart must be at least 0, got -1"),
        (["--task", "pocket-rte", "--split-seed", "-1"], "--split-seed must be at least 0, got -1"),
        (["--task", "pocket-rte", "--device", "nosuch"], "--device must be one that torch can use here (cpu, cuda, "),
        (["--task", "rte"], "--model must be given for rte: a hub id such as bert-large-uncased, or a folder"),
        (["--task", "pocket-rte", "--set", "fisher_samples=3"], "unknown protocol field 'fisher_samples'"),
        (["--task", "pocket-rte", "--set", "max_length"], "--set must be given key=value, got 'max_length'"),
        (["--task", "pocket-rte", "--model", "/absent/model"], "--model must be a hub id or an existing folder"),
    ],
)
def test_bad_requests_end_with_one_sentence_and_code_2(flags, sentence, tmp_path, refused) -> None:
    assert sentence in refused(main, *flags, "--output", tmp_path / "scores")
    assert list(tmp_path.iterdir()) == []
