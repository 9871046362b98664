"""Floors: what the words, the frozen states and a constant say."""

import copy

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

from benchmarks.data import batches
from benchmarks.data.sources import Example
from benchmarks.trial import models
from benchmarks.trial.tokenizer import load_tokenizer
from benchmarks.tuning.floors import constant, linear_head, standardised, states, tfidf

FITTED = [
    Example(0, ("good food", "yes"), 1),
    Example(1, ("bad food", "yes"), 0),
    Example(2, ("good wine", "no"), 1),
    Example(3, ("bad wine", "no"), 0),
]
OTHERS = [Example(0, ("a good place", "yes"), 1), Example(1, ("a bad place", "no"), 0)]


def test_words_that_decide_are_found() -> None:
    train, dev = tfidf(FITTED, OTHERS)
    labels = [e.label for e in FITTED]
    assert linear_head(train, labels, 1.0, scores=False)(dev).tolist() == [1, 0]
    ratings = linear_head(train, [4.0, 1.0, 4.0, 1.0], 1.0, scores=True)(dev)
    assert ratings[0] > 2.5 > ratings[1]


def test_only_words_of_the_examples_fitted_on_count() -> None:
    """Rows of others are those of a vectorizer that never saw them; pairs of words stay within one text."""
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\S+")
    vectorizer.fit(["good food || yes", "bad food || yes", "good wine || no", "bad wine || no"])
    train, dev = tfidf(FITTED, OTHERS)
    assert np.allclose(dev.toarray(), vectorizer.transform(["a good place || yes", "a bad place || no"]).toarray())
    assert train.shape[1] == len(vectorizer.vocabulary_) and "food yes" not in vectorizer.vocabulary_


def test_a_weaker_head_predicts_nearer_to_the_middle() -> None:
    train, dev = tfidf(FITTED, OTHERS)
    weak, strong = (linear_head(train, [4.0, 1.0, 4.0, 1.0], c, scores=True)(dev) for c in (1e-3, 1e3))
    assert np.ptp(weak) < np.ptp(strong)


def test_one_class_alone_is_predicted_as_it_is() -> None:
    train, dev = tfidf(FITTED, OTHERS)
    assert linear_head(train, [1, 1, 1, 1], 1.0, scores=False)(dev).tolist() == [1, 1]


def test_standardised_by_the_examples_fitted_on() -> None:
    train, dev = standardised(np.array([[0.0], [2.0]]), np.array([[3.0]]))
    assert train.tolist() == [[-1.0], [1.0]] and dev.tolist() == [[2.0]]


def test_constants() -> None:
    assert constant([1, 0, 1, 2], scores=False) == 1
    assert constant([1, 0], scores=False) == 0
    assert constant([1.0, 4.0], scores=True) == 2.5


def test_states_are_means_over_tokens_in_the_order_of_the_examples(source: models.Source) -> None:
    """One example at a time, without padding; the model is left as it was."""
    model, _ = models.build(source, 2, seed=0, head_init="normal")
    before = copy.deepcopy(model.state_dict())
    texts = [Example(at, ("ba " * (1 + 5 * at),), 0) for at in (2, 0, 1)]
    rows = batches.encode(texts, load_tokenizer(source), 40)
    found = states(model.eval(), rows, 0)
    for row, state in zip(rows, found, strict=True):
        with torch.no_grad():
            alone = model.base_model(**{key: torch.tensor([value]) for key, value in row.items()}).last_hidden_state
        assert np.allclose(alone[0].mean(0).numpy(), state, atol=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
