"""What fine-tuning has to beat: a model of words, a frozen encoder with a linear head, and a constant.

`tfidf(c)`: TF-IDF of words and pairs of words; `probe(c)`: the pretrained model's states, averaged over the tokens of
an example, standardised. A logistic regression (for scores a ridge regression) is fitted to either; its inverse
regularization strength c is tuned, c = 1 is the library's default and draw 0. `constant`: the most frequent label of
those fitted on, for scores their mean. Splits, labels and holdout are those of the families in the same table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from benchmarks.data.batches import Encoded, evaluation_batches
from benchmarks.data.sources import Example
from regularizers.search import Log

FLOORS = ("tfidf", "probe", "constant")
STRENGTH = Log(1e-3, 1e3, paper=1.0)
PARTS = " || "  # a token of its own, so that no pair of words reaches from one text of a pair to the other
ITERATIONS = 2000
BATCH = 64

Labels = Sequence[int] | Sequence[float]
Features = Any  # (examples, features), dense or sparse


def tfidf(fitted: Sequence[Example], *others: Sequence[Example]) -> list[Features]:
    """TF-IDF rows of the examples fitted on and of others, by the words of the former."""
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\S+")
    first = vectorizer.fit_transform([PARTS.join(example.texts) for example in fitted])
    return [first, *(vectorizer.transform([PARTS.join(example.texts) for example in part]) for part in others)]


def standardised(fitted: NDArray[Any], *others: NDArray[Any]) -> list[Features]:
    """Features with mean 0 and variance 1 over the examples fitted on."""
    scaler = StandardScaler().fit(fitted)
    return [scaler.transform(part) for part in (fitted, *others)]


@torch.inference_mode()
def states(model: Any, rows: Encoded, pad: int) -> NDArray[np.float64]:
    """The encoder's last states, averaged over the tokens of each example: (examples, width)."""
    base = model.base_model
    encoder = base.encoder if model.config.is_encoder_decoder else base
    device = next(model.parameters()).device
    found: list[Any] = [None] * len(rows)
    for positions, batch in evaluation_batches(rows, BATCH, pad):
        given = {name: value.to(device) for name, value in batch.items() if name != "labels"}
        mask = given["attention_mask"].unsqueeze(-1)
        hidden = encoder(**given).last_hidden_state * mask  # (batch, tokens, width)
        means = (hidden.sum(1) / mask.sum(1)).double().cpu().numpy()
        for position, mean in zip(positions, means, strict=True):
            found[position] = mean
    return np.stack(found)


def linear_head(features: Features, labels: Labels, c: float, *, scores: bool) -> Callable[[Features], NDArray[Any]]:
    """A linear model of inverse regularization strength `c`: features -> predictions."""
    if scores:
        ridge = Ridge(alpha=1 / c).fit(features, labels)
        return lambda others: ridge.predict(others)
    if len(set(labels)) == 1:  # nothing to tell apart
        return lambda others: np.full(others.shape[0], labels[0])
    logistic = LogisticRegression(C=c, max_iter=ITERATIONS).fit(features, labels)
    return lambda others: logistic.predict(others)


def constant(labels: Labels, *, scores: bool) -> int | float:
    """The label that stands for all: their mean, or the most frequent class (ties: the lower id)."""
    if scores:
        return float(np.mean(labels))
    counts = Counter(labels)
    return min(counts, key=lambda label: (-counts[label], label))
