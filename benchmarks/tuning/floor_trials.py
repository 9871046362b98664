"""A trial of a floor: split and holdout of the families, and a linear model or a constant in place of training."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from benchmarks.trial import failed_run, metrics, models
from benchmarks.trial.config import TrialConfig
from benchmarks.trial.cost import Clock
from benchmarks.trial.inputs import Inputs, Resources, load_inputs
from benchmarks.tuning.floors import constant, linear_head, standardised, states, tfidf
from fisher.seeds import derive
from leaderboard.stats.metrics import METRICS

DIGITS = 6  # as predictions of trained models are rounded
Json = dict[str, Any]
Values = list[int] | list[float]


def measure(config: TrialConfig, resources: Resources, clock: Clock) -> Json:
    """The result block of a floor: fitted on what a family is fitted on, scored on dev and on the holdout."""
    inputs = load_inputs(config, resources)
    clock.begin()
    task = inputs.task
    fit, held, dev = _predict(config, resources, inputs)
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
    if held:
        score = metrics.scores(task, held, inputs.holdout.labels)[config.metric]
        result["holdout"] = {"score": score, "predictions": held}
    clock.lap("judge")
    return result | {"seconds": {phase: round(seconds, 3) for phase, seconds in clock.seconds.items()}}


def _predict(config: TrialConfig, resources: Resources, inputs: Inputs) -> list[Values]:
    """Predictions for the examples fitted on, held out and of dev."""
    assert config.floor is not None
    scores, labels = inputs.task.regression, inputs.train.labels
    parts = [part.examples for part in (inputs.train, inputs.holdout, inputs.dev)]
    if config.floor["name"] == "constant":
        value = constant(labels, scores=scores)
        return [_plain([value] * len(part), scores) for part in parts]
    present = [part for part in parts if part]
    features = tfidf(*present) if config.floor["name"] == "tfidf" else _states(config, resources, inputs)
    head = linear_head(features[0], labels, config.floor["c"], scores=scores)
    found = iter([_plain(head(rows).tolist(), scores) for rows in features])
    return [next(found) if part else [] for part in parts]


def _states(config: TrialConfig, resources: Resources, inputs: Inputs) -> list[Any]:
    """Standardised states of the pretrained model for every part that has examples."""
    model, _ = models.build(resources.model, inputs.task.outputs, seed=config.seeds.init, head_init="normal")
    pad = model.config.pad_token_id or 0
    rows = [part.rows for part in (inputs.train, inputs.holdout, inputs.dev) if part.rows]
    return standardised(*(states(model.eval(), part, pad) for part in rows))


def _plain(values: Sequence[Any], scores: bool) -> Values:
    return [round(float(value), DIGITS) for value in values] if scores else [int(value) for value in values]
