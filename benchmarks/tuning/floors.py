"""What fine-tuning has to beat: a model of words, a frozen encoder with a linear head, and a constant.

`tfidf(c)`: TF-IDF of words and pairs of words; `probe(c)`: the pretrained model's states, averaged over the tokens of
an example, standardised. A logistic regression (for scores a ridge regression) is fitted to either; its inverse
regularization strength c is tuned, c = 1 is the library's default and draw 0. `constant`: the most frequent label of
those fitted on, for scores their mean. Splits, labels and holdout are those of the families in the same table.
scikit-learn is imported where something is fitted: every worker loads this module, and few fit a floor.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.data.batches import Encoded, evaluation_batches
from benchmarks.data.sources import Example
from benchmarks.trial import failed_run, metrics, models
from benchmarks.trial.config import Json, TrialConfig
from benchmarks.trial.cost import Clock
from benchmarks.trial.evaluation import DIGITS, EVALUATION_BATCH, Predictions
from benchmarks.trial.inputs import Inputs, Labels, Part, Resources, load_inputs
from fisher.seeds import derive
from leaderboard.stats.metrics import METRICS
from regularizers.search import Log

FLOORS = ("tfidf", "probe", "constant")
STRENGTH = Log(1e-3, 1e3, paper=1.0)
PARTS = " || "  # a token of its own, so that no pair of words reaches from one text of a pair to the other
ITERATIONS = 2000

Features = Any  # (examples, features), dense or sparse


def tfidf(fitted: Sequence[Example], *others: Sequence[Example]) -> list[Features]:
    """TF-IDF rows of the examples fitted on and of others, by the words of the former."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\S+")
    first = vectorizer.fit_transform([PARTS.join(example.texts) for example in fitted])
    return [first, *(vectorizer.transform([PARTS.join(example.texts) for example in part]) for part in others)]


def standardised(fitted: NDArray[Any], *others: NDArray[Any]) -> list[Features]:
    """Features with mean 0 and variance 1 over the examples fitted on."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(fitted)
    return [scaler.transform(part) for part in (fitted, *others)]


@torch.inference_mode()
def states(model: Any, rows: Encoded, pad: int) -> NDArray[np.float64]:
    """The encoder's last states, averaged over the tokens of each example: (examples, width)."""
    base = model.base_model
    encoder = base.encoder if model.config.is_encoder_decoder else base
    device = next(model.parameters()).device
    found: list[Any] = [None] * len(rows)
    for positions, batch in evaluation_batches(rows, EVALUATION_BATCH, pad):
        given = {name: value.to(device) for name, value in batch.items() if name != "labels"}
        mask = given["attention_mask"].unsqueeze(-1)
        hidden = encoder(**given).last_hidden_state * mask  # (batch, tokens, width)
        means = (hidden.sum(1) / mask.sum(1)).double().cpu().numpy()
        for position, mean in zip(positions, means, strict=True):
            found[position] = mean
    return np.stack(found)


def linear_head(features: Features, labels: Labels, c: float, *, scores: bool) -> Callable[[Features], NDArray[Any]]:
    """A linear model of inverse regularization strength `c`: features -> predictions."""
    from sklearn.linear_model import LogisticRegression, Ridge

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


def measure(config: TrialConfig, resources: Resources, clock: Clock) -> Json:
    """The result block of a floor: fitted on what a family is fitted on, scored on dev and on the holdout."""
    inputs = load_inputs(config, resources)
    clock.begin()
    task = inputs.task
    fit, *held, dev = _predict(config, resources, inputs)
    clock.lap("train")
    labels, seed = inputs.dev.labels, derive("chance", config.restart)
    verdict = failed_run.judge(task, config.metric, dev, labels, diverged=False, seed=seed)
    measure, fitted = metrics.fit_measure(task), inputs.train.labels
    result = {
        "status": "failed" if verdict.failed else "ok",
        "reason": None,
        **dataclasses.asdict(verdict),
        "epochs": [{"epoch": 1, "scores": metrics.scores(task, dev, labels)}],
        "predictions": dev,
        "fit": {
            "score": metrics.scores(task, fit, fitted)[config.metric],
            measure: METRICS[measure](fit, fitted),
        },
        "touched": {str(config.strategy): []},
        "hashes": {"split": config.split_hash},
        "peak_memory": None,
    }
    for predictions in held:
        score = metrics.scores(task, predictions, inputs.holdout.labels)[config.metric]
        result["holdout"] = {"score": score, "predictions": predictions}
    clock.lap("judge")
    return result | {"seconds": {phase: round(seconds, 3) for phase, seconds in clock.seconds.items()}}


def _predict(config: TrialConfig, resources: Resources, inputs: Inputs) -> list[Predictions]:
    """Predictions for the examples fitted on, for those held out where there are any, and for dev."""
    assert config.floor is not None
    scores, labels = inputs.task.regression, inputs.train.labels
    parts = [part for part in (inputs.train, inputs.holdout, inputs.dev) if part.rows]
    if config.floor["name"] == "constant":
        value = constant(labels, scores=scores)
        return [_plain([value] * len(part.rows), scores) for part in parts]
    if config.floor["name"] == "tfidf":
        features = tfidf(*(part.examples for part in parts))
    else:
        features = _states(config, resources, inputs.task.outputs, parts)
    head = linear_head(features[0], labels, config.floor["c"], scores=scores)
    return [_plain(head(rows).tolist(), scores) for rows in features]


def _states(config: TrialConfig, resources: Resources, outputs: int, parts: Sequence[Part]) -> list[Any]:
    """Standardised states of the pretrained model."""
    model, _ = models.build(resources.model, outputs, seed=config.seeds.init, head_init="normal")
    pad = model.config.pad_token_id or 0
    return standardised(*(states(model.eval(), part.rows, pad) for part in parts))


def _plain(values: Sequence[Any], scores: bool) -> Predictions:
    return [round(float(value), DIGITS) for value in values] if scores else [int(value) for value in values]
