"""The pocket language is the same everywhere, and its shipped model belongs to it.

Its data are pinned by hashes, so no change of grammar or lexicon passes unseen. That the pinned labels are right was
checked once, by a reader of the language written for it: benchmarks/pocket/model/README.md.
"""

import hashlib
import json
import os
import socket
from dataclasses import replace
from functools import cache

import pytest
import torch
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertForPreTraining,
)

from benchmarks.pocket import MODEL_DIR
from benchmarks.pocket.language import PARTS, TASKS, documents, examples
from benchmarks.pocket.pretrain import (
    HELD_OUT_SEED,
    IGNORED,
    MAX_LENGTH,
    Recipe,
    encode,
    evaluate,
    main,
    make_config,
    make_tokenizer,
    mask_words,
    pretrain,
    rate_at,
)
from fisher.common.errors import InputError

# SHA-256 of the JSON text; a change here means other data, so the shipped weights have to be made again
CORPUS_HASH = "b3c2f870346daa771884622d8a2db6258cd5b79b6e124792e7241f842fa6b07f"
TASK_HASHES = {
    "cola": "0f6a57cbe6f14722b8e0212defd99fb260b8ee3d3a0eac45727878afcff82af0",
    "rte": "71efaf6c56c6e2accb3fd3529ebb91b218703abae216f505e5ecf2df89d8bb92",
    "mrpc": "9ee088abe63a015dd9022f5a18a1e45ad6254d75e4360504c6b4605b8c0282d7",
    "stsb": "c720ed32a1439b5112b23665ca45076cb6c613e7e05769b4b430425f7f594be2",
}


@pytest.fixture
def torch_settings():
    """Puts back what the command line sets for its process."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


def sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


@cache
def all_examples(task: str):
    return [example for part in PARTS for example in examples(task, part)]


def test_corpus_is_pinned():
    assert sha256(documents(0, 5000)) == CORPUS_HASH
    assert documents(0, 50) == documents(0, 5000)[:50] != documents(1, 50)  # a prefix, whatever the length asked for


@pytest.mark.parametrize("task", TASKS)
def test_examples_are_pinned(task):
    assert sha256([examples(task, part) for part in PARTS]) == TASK_HASHES[task]


@pytest.mark.parametrize(
    ("task", "part", "message"),
    [
        ("sst2", "train", "unknown pocket task 'sst2'; the tasks are cola, rte, mrpc, stsb"),
        ("rte", "tests", "unknown part 'tests' of pocket task 'rte'; the parts are train, dev, test"),
    ],
)
def test_unknown_names_are_refused(task, part, message):
    with pytest.raises(InputError, match=message):
        examples(task, part)


def test_tokenizer_knows_every_word():
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    assert tokenizer.get_vocab() == make_tokenizer().get_vocab()  # files and code agree on every id
    for task in TASKS:
        texts = [texts for texts, _ in all_examples(task)]
        ids = tokenizer([t[0] for t in texts], None if task == "cola" else [t[1] for t in texts])["input_ids"]
        assert not any(tokenizer.unk_token_id in row for row in ids)
        lengths = [sum(len(sentence.split()) + 1 for sentence in t) + 1 for t in texts]
        assert [len(row) for row in ids] == lengths  # whole words: one token each
    assert tokenizer("This Dog")["input_ids"] == tokenizer("this dog")["input_ids"]


def test_encoding_for_pretraining_equals_the_tokenizer():
    corpus, tokenizer = encode(0, 20), make_tokenizer()
    for row, (first, second, related) in enumerate(documents(0, 20)):
        expected = tokenizer(first, second, padding="max_length", max_length=MAX_LENGTH)
        assert corpus.ids[row].tolist() == expected["input_ids"]
        assert corpus.types[row].tolist() == expected["token_type_ids"]
        assert int(corpus.lengths[row]) == sum(expected["attention_mask"])
        assert int(corpus.next[row]) == int(not related)  # BERT's convention: 0 = the sentences belong together


def test_model_loads_without_a_network(monkeypatch):
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was asked for"))
    for kind, fresh in ((AutoModelForSequenceClassification, "classifier"), (AutoModelForMaskedLM, None)):
        model, report = kind.from_pretrained(MODEL_DIR, output_loading_info=True)
        assert {name.split(".")[0] for name in report["missing_keys"]} == ({fresh} if fresh else set())
        assert model.config.hidden_size == 96
    assert (MODEL_DIR / "model.safetensors").stat().st_size <= 4_000_000


def test_shipped_model_was_pretrained_on_this_language():
    model = BertForPreTraining.from_pretrained(MODEL_DIR)
    scores = evaluate(model, encode(HELD_OUT_SEED, 400), Recipe())
    # pair tasks stay near chance below 0.95; a corpus changed after the fact would show here
    assert scores["next_sentence_accuracy"] >= 0.97
    assert scores["masked_word_accuracy"] >= 0.45  # which synonym was used cannot be known
    facts = json.loads((MODEL_DIR / "pretraining.json").read_text())
    assert facts["next_sentence_accuracy"] >= 0.97 and facts["recipe"]["documents"] == Recipe().documents


def test_masking_follows_bert():
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, make_config().vocab_size, (400, 100), generator=generator)
    masked, labels = mask_words(ids, 0.25, generator)
    chosen = labels != IGNORED
    assert not chosen[ids < 5].any()  # special tokens are never predicted
    assert torch.equal(labels[chosen], ids[chosen]) and torch.equal(masked[~chosen], ids[~chosen])
    assert chosen[ids >= 5].float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert (masked[chosen] == 4).float().mean().item() == pytest.approx(0.8, abs=0.02)
    assert (masked[chosen] == ids[chosen]).float().mean().item() == pytest.approx(0.1, abs=0.02)


def test_learning_rate_rises_then_falls_to_zero():
    recipe = Recipe(steps=100, warmup=10, lr=1.0)
    rates = [rate_at(step, recipe) for step in range(101)]
    assert rates[9] == rates[10] == 1 and rates[100] == 0
    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:], reverse=True)


def test_pretraining_is_repeatable(tmp_path, capsys):
    recipe = Recipe(steps=3, batch_size=8, documents=256, held_out=16)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        pretrain(tmp_path / name, replace(recipe, seed=seed))
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in "abc"]
    assert weights[0] == weights[1] != weights[2]  # the seed decides, nothing else
    assert "step 3/3" in capsys.readouterr().out
    assert json.loads((tmp_path / "a" / "pretraining.json").read_text())["recipe"]["steps"] == 3


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        (("--steps", "0"), "error: --steps must be at least 1, got 0"),
        (("--documents", "10"), "error: --documents must be at least 4096, got 10"),
    ],
)
@pytest.mark.usefixtures("torch_settings")
def test_impossible_requests_are_refused(flag, message, tmp_path, capsys):
    assert main(["--output", str(tmp_path / "model"), *flag]) == 2
    assert message in capsys.readouterr().err
