"""Ensembles: what the best configurations of one family in one restart, or the restarts of one split, predict together.

Configurations are the `MEMBERS` with the best holdout scores (ties: the lower draw), so nothing chooses by dev. Members
were always trained on the same labelled examples: restarts with splits of their own are never joined, for together
they have seen more labels than anybody paid for. The probabilities of classes are averaged, of a regression the values:

    p(y | x) = 1/k sum_i softmax(z_i(x))_y

A pure function of records and of the labels next to them (`leaderboard.records.labels`). An ensemble costs what all
trials cost from which its members were taken. It counts as failed where it is not above the best constant prediction:
no run, so the rule on chance is not asked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp

from fisher.common.text import escape
from leaderboard.records.schema import RecordError
from leaderboard.stats import aggregates, choosing
from leaderboard.stats.calibration import calibration
from leaderboard.stats.metrics import METRICS
from leaderboard.tables.cells import PLACE
from leaderboard.tables.rows import Row
from leaderboard.tables.trials import TrialRow, grouped

MEMBERS = 5
TOLERANCE = 1e-9  # two formulas for one score differ in the last bits


def name(rule: str, row: Row) -> str:
    """Return what a row is called by a rule: `ensemble(none, 5)` of configurations, `ensemble(none, 3 seeds)`."""
    trial = row.trials[0]
    members = {"ensemble": str(min(MEMBERS, trial.budget)), "seeds": f"{len(trial.configurations)} seeds"}
    return f"ensemble({row.strategy}, {members[rule]})" if rule in members else row.strategy


def ensemble(configurations: Sequence[TrialRow]) -> TrialRow | None:
    """Return the trial that the best configurations of a restart make together; None where it cannot be scored."""
    order = choosing.best_first(np.array([trial.held_out for trial in configurations]))
    return _together([configurations[draw] for draw in order], MEMBERS)


def seeds(trials: Iterable[TrialRow]) -> list[TrialRow]:
    """Return what the restarts of each split predict together, by the rule `seeds`: a trial per strategy and split.

    Members are the first k restarts of a split, k the fewest that any split of the cell has. A strategy without a
    result of one of these has no ensemble there, nor has anything where k is 1 or the ensemble cannot be scored, nor
    where the split is the whole pool, so that the restart is the unit. Splits are numbered by their seeds.
    """
    made = []
    for _, cell in grouped((one for one in trials if len(one.labels) and one.unit == one.split), *PLACE):
        splits = [group for _, group in grouped(cell, "split_seed", "split", "train")]
        orders = [sorted({(one.restart, one.key) for one in split}) for split in splits]
        count = min(map(len, orders))
        for number, (split, order) in enumerate(zip(splits, orders, strict=True)):
            for _, group in grouped(split, "strategy"):
                done = {trial.key: trial for trial in group if trial.has_result}
                members = [done[key] for _, key in order[:count] if key in done]
                joined = _together(members, count) if len(members) == count else None
                if joined is not None:
                    made.append(_of_split(joined, members, number))
    return made


def _of_split(joined: TrialRow, members: Sequence[TrialRow], number: int) -> TrialRow:
    return replace(
        joined,
        rule="seeds",
        restart=number,
        planned=0,
        key=joined.split,
        seconds=sum(trial.seconds for trial in members),
        passes=sum(trial.passes for trial in members),
        peak_memory=aggregates.maximum([trial.peak_memory for trial in members]),
        configurations=tuple(members),
    )


def _together(trials: Sequence[TrialRow], most: int) -> TrialRow | None:
    """Return the trial that the first `most` of these make that did not diverge; None where it cannot be scored.

    That takes the labels, two trials or more, and outputs of all that did not diverge. Where every one diverged, it is
    the first.
    """
    known = all(len(trial.outputs) == len(trial.labels) > 0 for trial in trials if not trial.imputed)
    if len(trials) == 1 or trials[0].is_floor or not known or not len(trials[0].labels):
        return None
    members = [trial for trial in trials if not trial.imputed][:most]
    return _joined(members) if members else trials[0]


def _joined(members: Sequence[TrialRow]) -> TrialRow:
    best, labels = members[0], members[0].labels
    outputs = np.stack([trial.outputs.astype(np.float64) for trial in members])  # (members, examples[, classes])
    predictions, figures = _averaged(outputs, labels)
    score = METRICS[best.metric](predictions, labels)
    failed = score <= best.floor + TOLERANCE
    return replace(
        best,
        score=score,
        failed=failed,
        failed_plain=failed,
        failed_by="rule" if failed else "",
        collapsed=len(np.unique(predictions)) == 1,
        status="failed" if failed else "ok",
        predictions=predictions,
        deviation=np.nan,
        fit=np.nan,
        gap=np.nan,
        forgetting=np.nan,
        held_out=np.nan,
        **figures,
    )


def _averaged(outputs: NDArray[np.float64], labels: NDArray[Any]) -> tuple[NDArray[Any], dict[str, Any]]:
    """Return what members predict on average, and how well calibrated it is: nothing of that for a regression."""
    if outputs.ndim == 2:
        return outputs.mean(axis=0), dict.fromkeys(("ece", "brier", "nll"), np.nan)
    log_p = logsumexp(log_softmax(outputs, axis=-1), axis=0) - np.log(len(outputs))
    return log_p.argmax(axis=-1), calibration(log_p, labels.tolist())


def check_labels(trials: Iterable[TrialRow]) -> tuple[list[TrialRow], list[RecordError]]:
    """Return the trials, without labels that do not give the stored score of one of them, and a sentence on each."""
    listed, faults = list(trials), dict[str, RecordError]()
    for data, trial in {trial.data: trial for trial in reversed(listed) if len(trial.outputs)}.items():
        predictions = trial.outputs if trial.outputs.ndim == 1 else trial.predictions
        fits = len(predictions) == len(trial.labels)
        if not fits or abs(METRICS[trial.metric](predictions, trial.labels) - trial.score) > TOLERANCE:
            text = f"labels.json: the labels of dev set {escape(data[:12])} do not give the score of {escape(trial.id)}"
            faults[data] = RecordError(f"{text}; there are no ensembles on it")
    bare = np.empty(0)
    return [replace(trial, labels=bare) if trial.data in faults else trial for trial in listed], list(faults.values())
