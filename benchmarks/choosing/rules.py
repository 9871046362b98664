"""What a tournament decides, as pure functions of its records; only holdout scores decide, the test part reports.

A *configuration* of a family has the same hyperparameters in every restart, so it has a mean holdout score; that of a
family is its best configuration's. A family is dropped when more restarts would hardly make it the leader: a t-test of
its distance to the leader, corrected for all pairs of the families that are left, at level `ERROR` / 2^k in round k.
So the family that leads in the end is dropped on the way with probability `ERROR` at most.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from leaderboard.tables.trials import TrialRow

ERROR = 0.1
PLAIN = "none"
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Standing:
    """A family after some restarts: its trials by (draw, restart), and its best configuration by mean holdout."""

    family: str
    trials: tuple[tuple[TrialRow, ...], ...]  # one row per draw, restarts in order
    more: tuple[TrialRow, ...] = ()  # the best configuration in the restarts of a final, which choose nothing

    @property
    def best(self) -> int:
        """The draw with the best mean holdout score; ties go to the lower draw."""
        return int(np.argmax(self.holdout().mean(axis=1)))

    @property
    def chosen(self) -> tuple[TrialRow, ...]:
        """The trials of the best configuration."""
        return self.trials[self.best] + self.more

    def holdout(self) -> Scores:
        """Holdout scores (draws, restarts); a run that diverged has the score of a constant prediction."""
        return np.array([[held_out(trial) for trial in row] for row in self.trials])

    @property
    def mean(self) -> float:
        """The best mean holdout score."""
        return float(self.holdout()[self.best].mean())

    @property
    def failed(self) -> int:
        """How many runs of the best configuration failed."""
        return sum(trial.failed for trial in self.chosen)

    @property
    def seconds(self) -> float:
        """Seconds of a trial of the best configuration."""
        return float(np.mean([trial.seconds for trial in self.chosen]))


def held_out(trial: TrialRow) -> float:
    """The holdout score of a trial, the floor where it diverged."""
    return trial.floor if math.isnan(trial.held_out) else trial.held_out


def standings(trials: Iterable[TrialRow], families: Sequence[str], restarts: int, budget: int) -> dict[str, Standing]:
    """The families all of whose configurations have a result in restarts 0..restarts-1, in the order given."""
    by_place = {(t.strategy, t.draw, t.restart): t for t in trials if t.rule == "holdout" and t.has_result}
    found = {}
    for family in families:
        rows = [[by_place.get((family, draw, at)) for at in range(restarts)] for draw in range(budget)]
        whole = tuple(tuple(trial for trial in row if trial) for row in rows)
        if all(len(row) == restarts for row in whole):
            found[family] = Standing(family, whole)
    return found


def finalists(found: Mapping[str, Standing]) -> dict[str, int]:
    """{family: its best configuration} of plain fine-tuning and of the best other family by holdout."""
    rival = max((standing for family, standing in found.items() if family != PLAIN), key=lambda one: one.mean)
    return {PLAIN: found[PLAIN].best, rival.family: rival.best}


def with_final(
    found: Mapping[str, Standing], trials: Iterable[TrialRow], draws: Mapping[str, int], restarts: int
) -> dict[str, Standing]:
    """The standings with the trials of a final, in the restarts in which all finalists have a result."""
    known = {
        (trial.strategy, trial.restart): trial
        for trial in trials
        if trial.has_result and draws.get(trial.strategy) == trial.draw
    }
    played = [at for at in range(restarts) if all((family, at) in known for family in draws)]
    more = {
        family: tuple(known[family, at] for at in played if at >= len(standing.chosen))
        for family, standing in found.items()
        if family in draws
    }
    return dict(found) | {family: dataclasses.replace(found[family], more=trials) for family, trials in more.items()}


def reason_of(trials: Iterable[TrialRow], family: str) -> str:
    """Why a family has no result: the reason of its first trial without one."""
    reasons = [t.reason for t in trials if t.strategy == family and not t.has_result]
    return reasons[0] if reasons else "its trials were not run"


def behind(scores: Mapping[str, Sequence[float]], number: int) -> dict[str, float]:
    """{family: how far it is behind the leader} of the families to drop after round `number` (from 1).

    scores: family -> one score per restart, the same restarts for all. The residual variance is pooled over families,
    after the restarts' own means; without two restarts and two families nothing is dropped.
    """
    table = np.array(list(scores.values()))  # (families, restarts)
    if min(table.shape) < 2:
        return {}
    means = table.mean(axis=1)
    rest = table - means[:, None] - table.mean(axis=0) + table.mean()
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    error = math.sqrt(2 * (rest**2).sum() / freedom / table.shape[1])  # of the difference of two means
    pairs = table.shape[0] * (table.shape[0] - 1)
    most = float(stdtrit(freedom, 1 - ERROR / 2**number / pairs)) * error
    gaps = means.max() - means
    return {family: float(gap) for family, gap in zip(scores, gaps, strict=True) if gap > most}


def dropped(found: Mapping[str, Standing], number: int) -> dict[str, str]:
    """{family: why} of the families that leave after round `number`; plain fine-tuning stays, to compare with."""
    scores = {family: [held_out(trial) for trial in standing.chosen] for family, standing in found.items()}
    restarts = len(next(iter(scores.values()), ()))
    return {
        family: f"{100 * gap:.1f} points behind the leader on holdout after {restarts} restarts"
        for family, gap in behind(scores, number).items()
        if family != PLAIN
    }


def strategy_of(standing: Standing) -> tuple[str, Mapping[str, Any]]:
    """The strategy and the protocol fields of a family's best configuration; a floor has no such fields."""
    trial = standing.chosen[0]
    config = dict(trial.config)
    name = str(config.pop("strategy"))
    return name, {} if trial.is_floor else config
