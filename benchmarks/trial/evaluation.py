"""How a trial is scored: predictions on dev after every epoch and, at the end, the verdict."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from benchmarks.data import batches
from benchmarks.data.sources import Example, TaskData
from benchmarks.data.tasks import Task
from benchmarks.trial import metrics
from benchmarks.trial.calibration import calibration, decode_logits, encode_logits
from benchmarks.trial.inputs import labels_of
from regularizers.base import Context, criterion
from regularizers.context import History
from regularizers.strategy import BoundStrategy

EVALUATION_BATCH = 64
DIGITS = 6  # predictions are rounded before they are scored, so that a stored prediction scores exactly the same
Predictions = list[int] | list[float]  # class ids, or values of a regression
Labels = list[int] | list[float]
Labelled = tuple[Labels, batches.Encoded]


class Evaluation:
    """Scores a model on dev after each epoch and, at the end, judges the run."""

    def __init__(
        self,
        task: Task,
        model: torch.nn.Module,
        dev: Sequence[Example],
        rows: batches.Encoded,
        context: Context,
        pad: int,
    ) -> None:
        self.task, self.model, self.context, self.pad = task, model, context, pad
        self.labels = labels_of(dev)
        self.batches = batches.evaluation_batches(rows, EVALUATION_BATCH, pad)
        self.seconds = 0.0

    def evaluate(self) -> dict[str, Any]:
        """Predictions, all scores and the distance from w_pre with the weights as they are."""
        started = time.perf_counter()
        outputs = self.outputs(self.batches, len(self.labels))
        predictions, finite = self.predictions(outputs), bool(torch.isfinite(outputs).all())
        scores = metrics.scores(self.task, predictions, self.labels) if finite else None
        logits = encode_logits(outputs) if finite and self.task.labels is not None else None
        deviation = self.deviation()
        self.seconds += time.perf_counter() - started
        return {"predictions": predictions, "scores": scores, "deviation": deviation, "logits": logits}

    @torch.inference_mode()
    def outputs(self, groups: list[tuple[list[int], dict[str, torch.Tensor]]], count: int) -> torch.Tensor:
        """What the model says of each example, (examples, outputs) on the CPU, in the order of the examples."""
        device = next(self.model.parameters()).device
        found = torch.empty(count, 1 if self.task.labels is None else len(self.task.labels))
        for positions, batch in groups:
            logits = self.context.forward(self.model, {k: v.to(device) for k, v in batch.items()})
            found[torch.tensor(positions)] = logits.float().cpu()
        return found

    def predictions(self, outputs: torch.Tensor) -> Predictions:
        """Class ids, or rounded values; all of them NaN where one is not finite."""
        if not torch.isfinite(outputs).all():
            return [math.nan] * len(outputs)
        if self.task.labels is not None:
            return outputs.argmax(-1).tolist()
        return [round(value, DIGITS) for value in outputs.squeeze(-1).tolist()]

    def deviation(self) -> float:
        """||w - w_pre||^2 over the parameters that have a w_pre."""
        initial = self.context.initial
        pairs = [
            (p, initial[n]) for n, p in self.model.named_parameters() if n in initial and n not in self.context.head
        ]
        return float(sum((p.detach() - start).double().square().sum() for p, start in pairs))

    def judge(self, history: History, selection: str, metric: str, seed: int) -> dict[str, Any]:
        """The result block: the selected epoch's score and the failed-run rule on it."""
        diverged = history.diverged_at is not None or any(epoch["scores"] is None for epoch in history.epochs)
        numbered = ({"epoch": at} | epoch for at, epoch in enumerate(history.epochs, start=1))
        kept = [epoch for epoch in numbered if epoch["scores"] is not None]
        chosen = None
        if not diverged:
            best = max(kept, key=lambda epoch: epoch["scores"][metric])
            chosen = best if selection == "best_dev" else kept[-1]
        predictions = chosen["predictions"] if chosen else []
        verdict = metrics.judge(self.task, metric, predictions, self.labels, diverged=diverged, seed=seed)
        return {
            "status": "failed" if verdict.failed else "ok",
            "reason": None,
            **dataclasses.asdict(verdict),
            "epochs": [{"epoch": epoch["epoch"], "scores": epoch["scores"]} for epoch in kept],
            "predictions": predictions,
            "logits": chosen["logits"] if chosen else None,
            "calibration": self.calibration(chosen["logits"] if chosen else None),
            "deviation": chosen["deviation"] if chosen else None,
            "diverged_at": history.diverged_at,
        }

    def calibration(self, logits: dict[str, Any] | None) -> dict[str, float] | None:
        """How well the probabilities are calibrated, from the logits as they are stored; None for scores."""
        if logits is None:
            return None
        figures = calibration(decode_logits(logits), self.labels)  # type: ignore[arg-type]
        return {name: round(value, DIGITS) for name, value in figures.items()}

    def score_parts(
        self, fitted: Labelled, held_out: Labelled, metric: str, strategy: BoundStrategy
    ) -> dict[str, dict[str, Any] | None]:
        """How the last weights do on the examples fitted on and on those held out; None where they give no number."""
        fit, holdout = self.outputs_of([fitted[1], held_out[1]], strategy)
        parts = {"fit": self._fit(fit, fitted[0], metric) if torch.isfinite(fit).all() else None}
        if not held_out[0]:
            return parts
        return parts | {"holdout": self._holdout(holdout, held_out[0], metric)}

    def _fit(self, outputs: torch.Tensor, labels: Labels, metric: str) -> dict[str, float]:
        """Loss, score, and the measure by which a run counts as fitted: accuracy, of a regression Spearman."""
        kind = torch.float32 if self.task.labels is None else torch.int64
        loss = criterion(outputs, torch.tensor(labels, dtype=kind))
        predictions, measure = self.predictions(outputs), metrics.fit_measure(self.task)
        score = metrics.scores(self.task, predictions, labels)[metric]
        fit = {"loss": float(loss), "score": score, measure: metrics.METRICS[measure](predictions, labels)}
        return {name: round(value, DIGITS) for name, value in fit.items()}

    def _holdout(self, outputs: torch.Tensor, labels: Labels, metric: str) -> dict[str, Any] | None:
        predictions = self.predictions(outputs)
        if not torch.isfinite(outputs).all():
            return None
        return {"score": metrics.scores(self.task, predictions, labels)[metric], "predictions": predictions}

    def score_extra(
        self, data: TaskData, encoded: Mapping[str, batches.Encoded], strategy: BoundStrategy
    ) -> dict[str, Any]:
        """Scores on the task's further dev sets (MNLI's mismatched one) with the last weights."""
        answers = self.predict_all({name: encoded[name] for name in data.extra}, strategy)
        return {name: metrics.scores(self.task, answers[name], labels_of(data.extra[name])) for name in answers}

    def predict_test(
        self, tests: Mapping[str, tuple[str, batches.Encoded]], strategy: BoundStrategy
    ) -> dict[str, dict[str, Any]]:
        """{test set: its predictions and the hash of its examples}, with the last weights."""
        answers = self.predict_all({name: rows for name, (_, rows) in tests.items()}, strategy)
        return {name: {"predictions": answers[name], "hash": digest} for name, (digest, _) in tests.items()}

    def predict_all(self, sets: Mapping[str, batches.Encoded], strategy: BoundStrategy) -> dict[str, Predictions]:
        """Predictions for whole sets of examples with the last weights."""
        return dict(zip(sets, map(self.predictions, self.outputs_of(sets.values(), strategy)), strict=True))

    def outputs_of(self, sets: Iterable[batches.Encoded], strategy: BoundStrategy) -> list[torch.Tensor]:
        """What the last weights say of whole sets of examples."""
        self.model.eval()
        with strategy.evaluation():
            return [
                self.outputs(batches.evaluation_batches(rows, EVALUATION_BATCH, self.pad), len(rows)) for rows in sets
            ]
