"""How a trial is scored: predictions on dev after every epoch and, at the end, the verdict."""

import dataclasses
import math
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

    def figures(self, history: History, selection: str, metric: str, seed: int) -> dict[str, Any]:
        """The result block: the selected epoch's score and the failed-run rule on it."""
        diverged = history.diverged_at is not None or any(epoch["scores"] is None for epoch in history.epochs)
        numbered = ({"epoch": at} | epoch for at, epoch in enumerate(history.epochs, start=1))
        kept = [epoch for epoch in numbered if epoch["scores"] is not None]
        chosen: dict[str, Any] = {"predictions": [], "logits": None, "deviation": None}
        if not diverged:
            best = max(kept, key=lambda epoch: epoch["scores"][metric])
            chosen = best if selection == "best_dev" else kept[-1]
        predictions, logits = chosen["predictions"], chosen["logits"]
        verdict = failed_run.judge(self.task, metric, predictions, self.labels, diverged=diverged, seed=seed)
        return {
            "status": "failed" if verdict.failed else "ok",
            "reason": None,
            **dataclasses.asdict(verdict),
            "epochs": [{"epoch": epoch["epoch"], "scores": epoch["scores"]} for epoch in kept],
            "predictions": predictions,
            "logits": logits,
            "calibration": None if logits is None else self.calibration(logits),
            "deviation": chosen["deviation"],
            "diverged_at": history.diverged_at,
        }

    def calibration(self, logits: dict[str, Any]) -> dict[str, float]:
        """How well the probabilities are calibrated, from the logits as they are stored."""
        figures = calibration(decode_logits(logits), self.labels)  # type: ignore[arg-type]
        return {name: round(value, DIGITS) for name, value in figures.items()}

    def score_parts(
        self, train: Part, holdout: Part, metric: str, strategy: BoundStrategy
    ) -> dict[str, dict[str, Any] | None]:
        """How the last weights do on the examples trained on and on those held out; None where they give no number."""
        parts: dict[str, dict[str, Any] | None] = {"fit": None}
        outputs = self.outputs_of(train.rows, strategy)
        if torch.isfinite(outputs).all():
            parts["fit"] = self._fit(outputs, train.labels, metric)
        if holdout.labels:
            held, parts["holdout"] = self.predict(holdout.rows, strategy), None
            if math.isfinite(held[0]):
                score = metrics.scores(self.task, held, holdout.labels)[metric]
                parts["holdout"] = {"score": score, "predictions": held}
        return parts

    def _fit(self, outputs: torch.Tensor, labels: Labels, metric: str) -> dict[str, float]:
        """Loss, score, and the measure by which a run counts as fitted: accuracy, of a regression Spearman."""
        kind = torch.float32 if self.task.labels is None else torch.int64
        loss = criterion(outputs, torch.tensor(labels, dtype=kind))
        predictions, measure = self.predictions(outputs), metrics.fit_measure(self.task)
        score = metrics.scores(self.task, predictions, labels)[metric]
        fit = {"loss": float(loss), "score": score, measure: METRICS[measure](predictions, labels)}
        return {name: round(value, DIGITS) for name, value in fit.items()}

    def predict(self, rows: batches.Encoded, strategy: BoundStrategy) -> Predictions:
        """Predictions for a whole set of examples with the last weights."""
        return self.predictions(self.outputs_of(rows, strategy))

    def outputs_of(self, rows: batches.Encoded, strategy: BoundStrategy) -> torch.Tensor:
        """What the last weights say of a whole set of examples."""
        strategy.context.model.eval()
        with strategy.evaluation():
            groups = batches.evaluation_batches(rows, EVALUATION_BATCH, self.pad)
            return self.outputs(strategy.context, groups, len(rows))


def deviation(context: Context) -> float:
    """||w - w_pre||^2 over the parameters of the body that have a w_pre."""
    pairs = [
        (p, context.initial[n])
        for n, p in context.model.named_parameters()
        if n in context.initial and n not in context.head
    ]
    return float(sum((p.detach() - start).double().square().sum() for p, start in pairs))
