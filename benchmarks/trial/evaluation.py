"""How a trial is scored: predictions on dev after every epoch and, at the end, the verdict."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from benchmarks.data import batches
from benchmarks.data.sources import Example, TaskData
from benchmarks.data.tasks import Task
from benchmarks.trial import metrics
from benchmarks.trial.inputs import labels_of
from regularizers.base import Context
from regularizers.context import History
from regularizers.strategy import BoundStrategy

EVALUATION_BATCH = 64
DIGITS = 6  # predictions are rounded before they are scored, so that a stored prediction scores exactly the same
Predictions = list[int] | list[float]  # class ids, or values of a regression


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
        predictions = self.predict(self.batches, len(self.labels))
        finite = all(math.isfinite(value) for value in predictions)
        scores = metrics.scores(self.task, predictions, self.labels) if finite else None
        deviation = self.deviation()
        self.seconds += time.perf_counter() - started
        return {"predictions": predictions, "scores": scores, "deviation": deviation}

    @torch.inference_mode()
    def predict(self, groups: list[tuple[list[int], dict[str, torch.Tensor]]], count: int) -> Predictions:
        """Class ids, or rounded values, in the order of the examples."""
        device = next(self.model.parameters()).device
        answers: list[Any] = [0] * count
        for positions, batch in groups:
            logits = self.context.forward(self.model, {k: v.to(device) for k, v in batch.items()}).float()
            values = logits.squeeze(-1).tolist() if self.task.labels is None else logits.argmax(-1).tolist()
            if not torch.isfinite(logits).all():
                values = [math.nan] * len(positions)
            for position, value in zip(positions, values, strict=True):
                answers[position] = value if self.task.labels is not None else round(value, DIGITS)
        return answers

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
            "deviation": chosen["deviation"] if chosen else None,
            "diverged_at": history.diverged_at,
        }

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
        self.model.eval()
        with strategy.evaluation():
            return {
                name: self.predict(batches.evaluation_batches(rows, EVALUATION_BATCH, self.pad), len(rows))
                for name, rows in sets.items()
            }
