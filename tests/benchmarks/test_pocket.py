"""The pocket language means what its labels say, is the same everywhere, and its shipped model belongs to it."""

import hashlib
import json
import os
import socket
import statistics
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import pytest
import torch
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertForPreTraining,
)

from benchmarks.pocket import MODEL_DIR
from benchmarks.pocket.grammar import Draws, draw_event, fits, text
from benchmarks.pocket.language import PARTS, TASKS, documents, examples, vocabulary
from benchmarks.pocket.lexicon import (
    ADJECTIVE_LIST,
    ADVERB_LIST,
    CATEGORIES,
    DETERMINERS,
    HYPERNYMS,
    NOUN_LIST,
    PLACE_LIST,
    VERB_LIST,
    add_ed,
    add_s,
)
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

PAIRS = ("rte", "mrpc", "stsb")

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


class Reading(NamedTuple):
    """A noun phrase as read: what it names ("noun 3" or "category 2"), its number and its adjective."""

    names: tuple[str, int]
    plural: bool
    adjective: int | None


class Meaning(NamedTuple):
    subject: Reading
    verb: int
    object: Reading
    negated: bool
    adverb: int | None
    place: int | None


def index_words(groups) -> dict[str, int]:
    return {word: index for index, words in enumerate(groups) for word in words}


NAMES = {
    word: ((kind, index), plural)
    for kind, groups in (("noun", [noun.forms for noun in NOUN_LIST]), ("category", list(zip(*HYPERNYMS, strict=True))))
    for index, numbers in enumerate(groups)
    for plural, words in zip((False, True), numbers, strict=True)
    for word in ([words] if isinstance(words, str) else words)
}
ADJECTIVES = index_words(adjective.words for adjective in ADJECTIVE_LIST)
ADVERBS, PLACES = index_words(ADVERB_LIST), index_words(PLACE_LIST)
THIRD, BASE, PARTICIPLE = (index_words(getattr(v, form) for v in VERB_LIST) for form in ("third", "base", "participle"))


class Reader:
    """Reads a sentence from left to right; raises ValueError where the language has no such sentence."""

    def __init__(self, sentence: str):
        self.words = sentence.split()

    def next(self, table):
        if not self.words or self.words[0] not in table:
            raise ValueError(f"unexpected {self.words[:1]}")
        word = self.words.pop(0)
        return table[word] if isinstance(table, dict) else word

    def maybe(self, table):
        return self.next(table) if self.words and self.words[0] in table else None

    def phrase(self) -> Reading:
        plural = {word: number for number, words in enumerate(DETERMINERS) for word in words}
        number, adjective = self.next(plural), self.maybe(ADJECTIVES)
        names, noun_plural = self.next(NAMES)
        if number != noun_plural:
            raise ValueError("determiner and noun disagree")
        return Reading(names, noun_plural, adjective)

    def sentence(self) -> Meaning:
        first = self.phrase()
        auxiliary = self.maybe(("is", "are", "does", "do"))
        passive = auxiliary in ("is", "are")
        if auxiliary and (auxiliary in ("are", "do")) != first.plural:
            raise ValueError("subject and auxiliary disagree")
        negated = bool(self.next(("not",)) if auxiliary in ("does", "do") else auxiliary and self.maybe(("not",)))
        adverb = self.maybe(ADVERBS)
        verb = self.next(PARTICIPLE if passive else BASE if auxiliary or first.plural else THIRD)
        if passive:
            self.next(("by",))
        second = self.phrase()
        place = (self.next(("the",)), self.next(PLACES))[1] if self.maybe(("in",)) else None
        if self.words:
            raise ValueError("words are left over")
        return Meaning(*((second, verb, first) if passive else (first, verb, second)), negated, adverb, place)


def category_of(reading: Reading) -> int:
    kind, index = reading.names
    return NOUN_LIST[index].category if kind == "noun" else index


def acceptable(sentence: str) -> bool:
    """Whether the language has the sentence: form, agreement, arguments and adjectives."""
    try:
        meaning = Reader(sentence).sentence()
    except ValueError:
        return False
    verb = VERB_LIST[meaning.verb]
    return (
        category_of(meaning.subject) in verb.subjects
        and category_of(meaning.object) in verb.objects
        and all(
            phrase.adjective is None or category_of(phrase) in ADJECTIVE_LIST[phrase.adjective].categories
            for phrase in (meaning.subject, meaning.object)
        )
    )


def entails(first: Meaning, second: Meaning) -> bool:
    """Whether the second must hold when the first does: equal but for hypernyms and dropped modifiers."""
    if first.negated or second.negated:
        return first == second
    return (
        first.verb == second.verb
        and all(
            b.names in (a.names, ("category", category_of(a)))
            and a.plural == b.plural
            and b.adjective in (None, a.adjective)
            for a, b in ((first.subject, second.subject), (first.object, second.object))
        )
        and second.adverb in (None, first.adverb)
        and second.place in (None, first.place)
    )


@cache
def all_examples(task: str):
    return [example for part in PARTS for example in examples(task, part)]


def read_pairs(task: str):
    return [(*(Reader(sentence).sentence() for sentence in texts), label) for texts, label in all_examples(task)]


def test_vocabulary_has_every_word_once():
    words = vocabulary()
    assert len(words) == len(set(words)) == 624  # a word of two meanings would make the tables ambiguous
    assert all(word.isascii() and word.isalpha() and word.islower() for word in words)  # one token under BERT's rules


def test_the_tables_keep_their_shape():
    assert [len(nouns) for nouns in ([n for n in NOUN_LIST if n.category == c] for c in range(8))] == [6] * 8
    assert all(len(noun.forms[0]) == len(noun.forms[1]) == 3 for noun in NOUN_LIST)
    assert all(len(v.base) == 2 == len(v.subjects) == len(v.objects) and max(v.subjects) < 4 for v in VERB_LIST)
    # opposites fit the same nouns: exchanging them never makes a sentence odd
    assert all(ADJECTIVE_LIST[i].categories == ADJECTIVE_LIST[i ^ 1].categories for i in range(len(ADJECTIVE_LIST)))


@pytest.mark.parametrize(("word", "s", "ed"), [("carry", "carries", "carried"), ("push", "pushes", "pushed")])
def test_inflection_is_regular(word, s, ed):
    assert (add_s(word), add_ed(word)) == (s, ed)
    assert (add_s("donkey"), add_s("atlas"), add_s("axe"), add_ed("praise")) == (
        "donkeys",
        "atlases",
        "axes",
        "praised",
    )


def test_corpus_is_pinned():
    assert sha256(documents(0, 5000)) == CORPUS_HASH
    assert documents(0, 50) == documents(0, 5000)[:50] != documents(1, 50)  # a prefix, whatever the length asked for


@pytest.mark.parametrize("task", TASKS)
def test_examples_are_pinned(task):
    assert sha256([examples(task, part) for part in PARTS]) == TASK_HASHES[task]


@pytest.mark.parametrize("task", TASKS)
def test_parts_are_complete_and_disjoint(task):
    texts = {part: {texts for texts, _ in examples(task, part)} for part in PARTS}
    assert {part: len(found) for part, found in texts.items()} == {"train": 2000, "dev": 400, "test": 400}
    assert len(set.union(*texts.values())) == 2800  # no example of one part stands in another


@pytest.mark.parametrize("task", TASKS)
def test_no_text_is_empty_or_longer_than_the_model_reads(task):
    width = 1 if task == "cola" else 2
    for texts, _ in all_examples(task):
        assert len(texts) == width and all(texts)
        assert sum(len(sentence.split()) + 1 for sentence in texts) + 1 <= MAX_LENGTH
        assert width == 1 or texts[0] != texts[1]  # a pair of equal sentences would be no question


@pytest.mark.parametrize(("task", "share"), [("cola", 0.68), ("rte", 0.5), ("mrpc", 0.68)])
def test_labels_are_balanced_as_designed(task, share):
    for part in PARTS:
        labels = [label for _, label in examples(task, part)]
        assert set(labels) == {0, 1}
        assert abs(statistics.mean(labels) - share) < (0.03 if part == "train" else 0.07)  # about three deviations


def test_similarity_scores_fill_the_scale():
    for part in PARTS:
        labels = [label for _, label in examples("stsb", part)]
        assert min(labels) >= 0 and max(labels) == 5
        assert statistics.stdev(labels) > 1 and min(labels) < 1


def test_cola_labels_equal_an_independent_reader():
    # agreement, arguments and adjectives hold in every acceptable sentence, and each spoiled one breaks something
    assert [acceptable(texts[0]) for texts, _ in all_examples("cola")] == [label for _, label in all_examples("cola")]


def test_rte_labels_equal_entailment():
    assert all(entails(first, second) == (label == 0) for first, second, label in read_pairs("rte"))


def test_mrpc_labels_equal_sameness_up_to_modifiers():
    for first, second, label in read_pairs("mrpc"):
        assert entails(first, second) == (label == 1)
        assert {reading.names[0] for reading in (second.subject, second.object)} == {"noun"}  # never generalised


def test_stsb_scores_fall_with_what_differs():
    by_differences: dict[int, list[float]] = {}
    for first, second, score in read_pairs("stsb"):
        by_differences.setdefault(sum(a != b for a, b in zip(first, second, strict=True)), []).append(score)
    means = [statistics.mean(by_differences[n]) for n in range(4)]
    assert means == sorted(means, reverse=True) and means[0] > 4.8 and means[3] < 2
    assert min(by_differences[0]) > 4  # pure rewording, less only the noise of 0.2


def test_documents_are_related_as_they_say():
    nouns = {word: index for index, noun in enumerate(NOUN_LIST) for forms in noun.forms for word in forms}
    concepts = [
        tuple({nouns[word] for word in sentence.split() if word in nouns} for sentence in pair[:2])
        for pair in documents(3, 2000)
    ]
    related = [pair[2] for pair in documents(3, 2000)]
    # unrelated sentences share no noun, so next-sentence prediction has an answer to learn
    assert not any(first & second for (first, second), answer in zip(concepts, related, strict=True) if not answer)
    assert 0.58 < statistics.mean(related) < 0.66  # 0.40 restated, 0.12 continued, 0.10 definitions


def test_drawn_events_fit_and_cover_the_language():
    draws = Draws("test")
    events = [draw_event(draws) for _ in range(5000)]
    assert all(fits(event) for event in events)
    assert len({event.verb for event in events}) == len(VERB_LIST)
    assert {noun for event in events for noun in event.nouns} == set(range(len(NOUN_LIST)))  # no noun is never seen
    assert len({NOUN_LIST[event.subject.noun].category for event in events}) == 4 == len(CATEGORIES) // 2
    assert Reader(text(events[0])).sentence().verb == events[0].verb


def test_draws_depend_on_the_text_of_the_seed_alone():
    assert [Draws("a", 1).uniform() for _ in range(2)] == [Draws("a", 1).uniform()] * 2
    assert Draws("a", 1).uniform() != Draws("a", 2).uniform()
    draws = Draws("normal")
    values = [draws.normal() for _ in range(4000)]
    assert abs(statistics.mean(values)) < 0.06 and abs(statistics.stdev(values) - 1) < 0.05
    assert {draws.other(3, 1) for _ in range(100)} == {0, 2}


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
