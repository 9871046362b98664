"""The rounds of a tournament, the room that the first one needs, and what their records decide.

The decisions are pure functions of the records; only holdout scores decide, the test part reports.

A *configuration* of a family has the same hyperparameters in every restart, so it has a mean holdout score; that of a
family is its best configuration's. A family is dropped when more restarts would hardly make it the leader: a t-test of
its distance to the leader, corrected for all pairs of the families that are left, at level `ERROR` / 2^k in round k.
So the family that leads in the end is dropped on the way with probability `ERROR` at most.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from benchmarks.trial.config import TrialConfig
from benchmarks.tuning.trials import FLOOR
from fisher.common.errors import require
from fisher.common.files import write_file
from leaderboard.tables.trials import TrialRow

ERROR = 0.1
PLAIN = "none"
STATE = "tournament.json"
FIRST = 3  # restarts of the first round, fewer than which say nothing of a spread


@dataclass(frozen=True)
class Round:
    """The trials of families: all their configurations in restarts 0, 1, ..., or in a final one configuration each."""

    families: list[str]
    budget: int  # configurations per family
    restarts: int
    draws: dict[str, int] | None = None  # of a final: {family: its configuration}

    def has(self, family: str, draw: int) -> bool:
        """Whether this configuration is one of this round."""
        if self.draws:
            return self.draws.get(family) == draw
        return draw < self.budget and (family in self.families or family.startswith(FLOOR))

    def of(self, configs: Mapping[str, TrialConfig]) -> dict[str, TrialConfig]:
        """The trials of this round among these, in the order in which they are run; the default on all rows is none."""
        found = {}
        for name, config in configs.items():
            tuned = config.tuning
            if tuned and tuned.holdout is not None and self.has(tuned.family, tuned.draw):
                found[name] = (0 if config.restart < FIRST else config.restart, tuned.draw)
        return {name: configs[name] for name in sorted(found, key=found.__getitem__)}

    def smaller(self) -> list[Round]:
        """This round and those with fewer configurations, or after the first restarts with fewer of these."""
        if self.restarts > FIRST:
            return [dataclasses.replace(self, restarts=at) for at in range(self.restarts, FIRST - 1, -1)]
        return [dataclasses.replace(self, budget=at) for at in range(self.budget, 0, -1)]

    def is_in(self, trials: Sequence[TrialRow]) -> bool:
        """Whether all trials of the families were run, whatever came of them."""
        known = {(trial.strategy, trial.draw, trial.restart) for trial in trials}
        asked = [(family, draw) for family in self.families for draw in range(self.budget) if self.has(family, draw)]
        return all((*one, at) in known for one in asked for at in range(self.restarts))


@dataclass
class State:
    """What was decided so far: the rounds, who left and why; `asked` is what it was decided for."""

    asked: str
    rounds: list[Round]
    dropped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0  # that rounds took

    @classmethod
    def read(cls, folder: Path, asked: str) -> State | None:
        """The state of an earlier run with this request, None where there is none."""
        try:
            content = json.loads((folder / STATE).read_text(encoding="utf-8"))
            state = cls(**content | {"rounds": [Round(**one) for one in content["rounds"]]})
            return state if state.asked == asked and state.rounds else None
        except (OSError, ValueError, TypeError, LookupError):
            return None

    def keep(self, folder: Path) -> None:
        """Write the state."""
        write_file(folder / STATE, json.dumps(dataclasses.asdict(self), indent=1) + "\n")

    @property
    def ranked(self) -> Round:
        """The last round of all configurations: what chooses."""
        return [one for one in self.rounds if one.draws is None][-1]


def check_limit(limit: argparse.Namespace, families: int, trial: float, workers: int) -> None:
    """Raise InputError for a limit that has no room for the first round.

    limit: a number of `trials`, or None and a `time` in seconds; trial: seconds of one.
    """
    fewest = families * FIRST
    if limit.trials is not None:
        require(
            limit.trials >= fewest,
            f"--trials must be at least {fewest} for {families} families (a configuration each, in {FIRST} restarts)",
            limit.trials,
            "allow more or name fewer --families",
        )
        return
    require(limit.time >= trial, f"--time must be enough for one trial, about {trial:.0f} s", f"{limit.time:g} s")
    require(
        limit.time * workers >= fewest * trial,
        f"--time must be at least {_as_time(fewest * trial / workers)} for {families} families here",
        _as_time(limit.time),
        "allow more, or name fewer --families or --epochs",
    )


def _as_time(seconds: float) -> str:
    """A time as --time takes it, rounded up."""
    return f"{math.ceil(seconds)}s" if seconds < 120 else f"{math.ceil(seconds / 60)}m"


def in_words(families: Sequence[str], limit: argparse.Namespace, trial: float, workers: int) -> list[str]:
    """What a tournament will do, for `--dry-run`."""
    trials = len(families) * FIRST
    end = f"{limit.trials} trials" if limit.trials is not None else f"{limit.time / 60:g} min"
    return [
        f"families: {', '.join(families)}",
        f"round 1: {len(families)} families x 1 configuration x {FIRST} restarts = {trials} trials, about "
        f"{trials * trial / workers / 60:.1f} min on {workers} workers (a trial about {trial:.1f} s, by one training "
        "step measured now)",
        f"then, by the time that these take: more configurations of all families, more restarts of those that are not "
        f"far behind on holdout, and of the two finalists, until {end} are used",
    ]


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

    def holdout(self) -> NDArray[np.float64]:
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
