"""How a trial is scored: predictions on dev after every epoch and, at the end, the verdict."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from benchmarks.data import batches
from benchmarks.data.tasks import Task
from benchmarks.trial import failed_run, metrics
from benchmarks.trial.inputs import Labels, Part
from leaderboard.records.logits import decode_logits, encode_logits
from leaderboard.stats.calibration import calibration
from leaderboard.stats.metrics import METRICS
from regularizers.base import Context, criterion
from regularizers.context import History, to_device
from regularizers.strategy import BoundStrategy

EVALUATION_BATCH = 64
DIGITS = 6  # predictions are rounded before they are scored, so that a stored prediction scores exactly the same
Predictions = list[int] | list[float]  # class ids, or values of a regression


class Evaluation:
    """Scores the model of a trial on dev after each epoch and, at the end, judges the run."""

    def __init__(self, task: Task, dev: Part, pad: int) -> None:
        self.task, self.pad, self.labels = task, pad, dev.labels
        self.batches = batches.evaluation_batches(dev.rows, EVALUATION_BATCH, pad)

    def evaluate(self, context: Context) -> dict[str, Any]:
        """Predictions, all scores and the distance from w_pre with the weights as they are."""
        outputs = self.outputs(context, self.batches, len(self.labels))
        predictions, finite = self.predictions(outputs), bool(torch.isfinite(outputs).all())
        scores = metrics.scores(self.task, predictions, self.labels) if finite else None
        logits = encode_logits(outputs) if finite and self.task.labels is not None else None
        return {"predictions": predictions, "scores": scores, "deviation": deviation(context), "logits": logits}

    @torch.inference_mode()
    def outputs(
        self, context: Context, groups: list[tuple[list[int], dict[str, torch.Tensor]]], count: int
    ) -> torch.Tensor:
        """What the model says of each example, (examples, outputs) on the CPU, in the order of the examples."""
        device = next(context.model.parameters()).device
        answers = [context.forward(context.model, to_device(batch, device)) for _, batch in groups]
        found = torch.empty(count, self.task.outputs)
        for (positions, _), logits in zip(groups, answers, strict=True):  # the first waits for all that was asked
            found[torch.tensor(positions)] = logits.float().cpu()
        return found

    def predictions(self, outputs: torch.Tensor) -> Predictions:
        """Class ids, or rounded values; all of them NaN where one is not finite."""
        if not torch.isfinite(outputs).all():
            return [math.nan] * len(outputs)
        if self.task.labels is not None:
            return outputs.argmax(-1).tolist()
        return [round(value, DIGITS) for value in outputs.squeeze(-1).tolist()]

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
        verdict = failed_run.judge(self.task, metric, predictions, self.labels, diverged=diverged, seed=seed)
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
        self, train: Part, holdout: Part, metric: str, strategy: BoundStrategy
    ) -> dict[str, dict[str, Any] | None]:
        """How the last weights do on the examples trained on and on those held out; None where they give no number."""
        fit, held_out = self.outputs_of([train.rows, holdout.rows], strategy)
        parts = {"fit": self._fit(fit, train.labels, metric) if torch.isfinite(fit).all() else None}
        if not holdout.labels:
            return parts
        return parts | {"holdout": self._holdout(held_out, holdout.labels, metric)}

    def _fit(self, outputs: torch.Tensor, labels: Labels, metric: str) -> dict[str, float]:
        """Loss, score, and the measure by which a run counts as fitted: accuracy, of a regression Spearman."""
        kind = torch.float32 if self.task.labels is None else torch.int64
        loss = criterion(outputs, torch.tensor(labels, dtype=kind))
        predictions, measure = self.predictions(outputs), metrics.fit_measure(self.task)
        score = metrics.scores(self.task, predictions, labels)[metric]
        fit = {"loss": float(loss), "score": score, measure: METRICS[measure](predictions, labels)}
        return {name: round(value, DIGITS) for name, value in fit.items()}

    def _holdout(self, outputs: torch.Tensor, labels: Labels, metric: str) -> dict[str, Any] | None:
        predictions = self.predictions(outputs)
        if not torch.isfinite(outputs).all():
            return None
        return {"score": metrics.scores(self.task, predictions, labels)[metric], "predictions": predictions}

    def score_extra(self, extra: Mapping[str, Part], strategy: BoundStrategy) -> dict[str, Any]:
        """Scores on the task's further dev sets (MNLI's mismatched one) with the last weights."""
        answers = self.predict_all({name: part.rows for name, part in extra.items()}, strategy)
        return {name: metrics.scores(self.task, answers[name], extra[name].labels) for name in answers}

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
        context = strategy.context
        context.model.eval()
        with strategy.evaluation():
            return [
                self.outputs(context, batches.evaluation_batches(rows, EVALUATION_BATCH, self.pad), len(rows))
                for rows in sets
            ]


def deviation(context: Context) -> float:
    """||w - w_pre||^2 over the parameters of the body that have a w_pre."""
    pairs = [
        (p, context.initial[n])
        for n, p in context.model.named_parameters()
        if n in context.initial and n not in context.head
    ]
    return float(sum((p.detach() - start).double().square().sum() for p, start in pairs))
