"""The embedded tasks, corpus and model are the ones whose results are published.

The data are pinned by hashes, so no change of them passes unseen. That the pinned labels are right was checked once, by
a reader of the language written for it: benchmarks/pocket/model/README.md.

Its weights are worth fine-tuning: better than random ones, and better with more data. The margins were fixed on plain
fine-tuning (`none`), before any regularizer was run, with slack against the measured scores in that file. Strategies
are never part of a gate.
"""

import json
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer, BertConfig, BertModel

from benchmarks.data.batches import encode
from benchmarks.data.origin import Origin
from benchmarks.data.sources import examples_hash, load_task_data, load_test
from benchmarks.data.tasks import TASKS
from benchmarks.planning.suite_file import load_suite
from benchmarks.pocket import CORPUS, MODEL_DIR
from benchmarks.trial import models
from benchmarks.trial.inputs import Resources
from fisher.pretraining.corpus import corpus_hash, read_corpus

CORPUS_HASH = "7640b6cf977a746e50f4dad9a0a97745ac88b11e69043d500b9ff1e255855dc3"
HASHES = {  # of train, dev and test; a change here means other data, so that no result of before counts any more
    "pocket-cola": ("7313438b227e", "ac748fb2954a", "09834ab9b48b"),
    "pocket-rte": ("4364c02fcc46", "9438ef34f403", "54ec8c188ccf"),
    "pocket-mrpc": ("2da8a9122717", "05e7313cba59", "b2ef5b112af5"),
    "pocket-stsb": ("55529776de57", "3ebb00e4ffd0", "0a1d489f4ec8"),
}


@pytest.mark.parametrize("name", HASHES)
def test_examples_are_pinned(name):
    data, test = load_task_data(TASKS[name]), load_test(TASKS[name])
    assert tuple(examples_hash(part)[:12] for part in (data.train, data.dev, test)) == HASHES[name]
    assert [len(part) for part in (data.train, data.dev, test)] == [2000, 400, 400]
    texts = [example.texts for example in (*data.train, *data.dev, *test)]
    assert len(set(texts)) == len(texts), "no example of one part occurs in another"


def test_corpus_is_pinned():
    assert corpus_hash(read_corpus(CORPUS)) == CORPUS_HASH


def test_tokenizer_knows_every_word_and_no_text_is_cut():
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    for name in HASHES:
        data = load_task_data(TASKS[name])
        examples = [*data.train, *data.dev, *load_test(TASKS[name])]
        for example, row in zip(examples, encode(examples, tokenizer, 40), strict=True):
            words = [len(text.split()) for text in example.texts]
            assert len(row["input_ids"]) == 1 + sum(words) + len(words), "whole words: one token each"
            assert tokenizer.unk_token_id not in row["input_ids"]
    assert tokenizer("This Dog")["input_ids"] == tokenizer("this dog")["input_ids"]


def test_model_loads_without_a_network(monkeypatch):
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was asked for"))
    for kind, fresh in ((AutoModelForSequenceClassification, "classifier"), (AutoModelForMaskedLM, None)):
        model, report = kind.from_pretrained(MODEL_DIR, output_loading_info=True)
        assert {name.split(".")[0] for name in report["missing_keys"]} == ({fresh} if fresh else set())
        assert model.config.hidden_size == 96
    assert (MODEL_DIR / "model.safetensors").stat().st_size <= 4_000_000
    assert json.loads((MODEL_DIR / "pretraining.json").read_text())["parameters"] == 419_767


# task: (pretrained at 100 % at least, random at 100 % at most, their difference at least, 100 % - 10 % at least)
MARGINS = {
    "pocket-cola": (0.70, 0.10, 0.50, 0.15),
    "pocket-rte": (0.85, 0.65, 0.20, 0.10),
    "pocket-mrpc": (0.93, 0.87, 0.08, 0.04),
    "pocket-stsb": (0.80, 0.50, 0.35, 0.30),
}


@pytest.fixture(scope="session")
def random_source(tmp_path_factory: pytest.TempPathFactory) -> models.Source:
    """The same network and tokenizer with weights that were never trained."""
    folder = tmp_path_factory.mktemp("random-weights")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(BertConfig.from_pretrained(MODEL_DIR)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(MODEL_DIR).save_pretrained(folder)
    return models.find_model(str(folder), offline=True)


@pytest.mark.parametrize("task", MARGINS)
def test_pretraining_and_data_both_matter(
    task: str,
    source: models.Source,
    random_source: models.Source,
    train: Callable[..., dict[str, Any]],
) -> None:
    settings = dict(load_suite("pocket").settings) | {"epochs": 3}

    def score(model: models.Source, fraction: float) -> float:
        on = Resources(model=model, data=Origin(offline=True))
        return float(train("none", on=on, task=task, fraction=fraction, **settings)["result"]["score"])

    pretrained, random, tenth = score(source, 1.0), score(random_source, 1.0), score(source, 0.1)
    least, most, gap, growth = MARGINS[task]
    assert pretrained >= least
    assert random <= most
    assert pretrained - random >= gap
    assert pretrained - tenth >= growth
