"""The rounds of a tournament, as they stand in `tournament.json`, and the room that the first one needs."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.trial.config import TrialConfig
from benchmarks.tuning.trials import FLOOR
from fisher.common.errors import InputError, require
from fisher.common.files import write_file
from leaderboard.tables.trials import TrialRow

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
    if limit.time * workers < fewest * trial:
        raise InputError(
            f"--time must be at least {_as_time(fewest * trial / workers)} for {families} families here, got "
            f"{_as_time(limit.time)}; allow more, or name fewer --families or --epochs"
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
