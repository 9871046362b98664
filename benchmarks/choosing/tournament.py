"""The rounds of a tournament: each an ordinary grid of tuned trials, the next one decided by the records.

All families have the same B configurations in all restarts. Round 1 runs `FIRST` restarts of every family; after each
round families are dropped (`rules`) and those that are left get as many restarts again, as far as the time or the
number of trials goes. What was decided stands in `tournament.json`, so that a resumed run decides the same.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import run
from benchmarks.choosing.rules import PLAIN, Standing, dropped, reason_of, standings
from benchmarks.executors.launch import devices_of
from benchmarks.planning.plan import Plan, Request, make_plan, request_of
from benchmarks.planning.suite import FisherRecipe, Suite, Tuning
from benchmarks.planning.timing import seconds_per_token, tokens
from benchmarks.tuning.trials import FLOOR
from fisher.common.errors import InputError
from fisher.common.files import write_file
from leaderboard.build import load
from leaderboard.tables.trials import TrialRow

FAMILIES = (
    PLAIN,
    "dropout(0.1) + wdecay(0, 0.01)",
    "wdecay(w_pre, form=coupled)",
    "mixout(w_pre)",
    "guided_dropout",
    "dropout(0.1) + rdrop",
    "layerwise_lr",
    "ema",
    "reinit",
)
FLOORS = ("tfidf", "probe", "constant")
FIRST = 3  # restarts of round 1, fewer than which say nothing of a spread
AIM = 6  # restarts of all families that the number of configurations leaves time for
MOST_CONFIGURATIONS = 8
FISHER_SAMPLES = 100
STATE = "tournament.json"
SETTINGS = {"batch_size": 16, "evaluate": "last"}
DEFAULT = {"lr": 5e-5, "epochs": 5}
SHARED = {"lr": {"low": 1e-5, "high": 2e-4, "scale": "log"}, "epochs": [3, 5, 10]}
POCKET = {"lr": 3e-4, "epochs": 5}
POCKET_SHARED = {"lr": {"low": 1e-4, "high": 1e-3, "scale": "log"}, "epochs": [3, 5, 10]}


@dataclass(frozen=True)
class Limit:
    """How long a tournament may last: seconds on this machine, or a number of trials."""

    seconds: float | None = None
    trials: int | None = None


@dataclass
class State:
    """What was decided so far: configurations per family, rounds of (families, restarts), who left and why."""

    budget: int
    rounds: list[dict[str, Any]] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0  # that rounds took

    @classmethod
    def read(cls, folder: Path, families: Sequence[str]) -> State | None:
        """The state of an earlier run with these families, None where there is none."""
        try:
            state = cls(**json.loads((folder / STATE).read_text(encoding="utf-8")))
            return state if state.rounds[0]["families"] == list(families) else None
        except (OSError, ValueError, TypeError, LookupError):
            return None

    def keep(self, folder: Path) -> None:
        """Write the state."""
        write_file(folder / STATE, json.dumps(dataclasses.asdict(self), indent=1) + "\n")

    @property
    def families(self) -> list[str]:
        """The families of the last round."""
        return list(self.rounds[-1]["families"])

    @property
    def restarts(self) -> int:
        """The restarts that the families of the last round have in all."""
        return int(self.rounds[-1]["restarts"])


def make_suite(args: argparse.Namespace, task: str, resampled: bool, families: Sequence[str], texts: int) -> Suite:
    """The suite of round 1 with these families; `texts` of the data are there for Fisher scores."""
    pocket = args.model == "pocket"
    tuning = Tuning(
        families=tuple(families),
        floors=FLOORS,
        default=POCKET if pocket else DEFAULT,
        shared=POCKET_SHARED if pocket else SHARED,
        same_draws=True,
    )
    settings = SETTINGS | ({"data": "resampled"} if resampled else {}) | ({"max_length": 40} if pocket else {})
    corpus = "" if pocket else str(Path(args.output, "data", "texts.txt").resolve())
    return Suite(
        name=task,
        tasks=(task,),
        fractions=(1.0,),
        restarts=FIRST,
        model=args.model,
        settings=settings,
        fisher=FisherRecipe(corpus=corpus, samples=min(FISHER_SAMPLES, texts)),
        tuning=tuning,
    )


@dataclass(frozen=True)
class Outcome:
    """The end of a tournament: how the families that are left stand, and the last round's request and plan."""

    state: State
    found: Mapping[str, Standing]
    floors: Mapping[str, Standing]  # what fine-tuning has to beat
    request: Request
    plan: Plan
    complete: bool  # whether every trial has a result or was skipped


class Tournament:
    """One tournament in one output folder; `args` are those of an ordinary run with a task file."""

    def __init__(self, args: argparse.Namespace, suite: Suite, limit: Limit, console: Console) -> None:
        self.args, self.suite, self.limit, self.console = args, suite, limit, console
        self.folder = Path(args.output)
        self.trials: list[TrialRow] = []
        self.started = time.monotonic()
        self.before = 0.0  # seconds until the first round

    def request(self, families: Sequence[str], restarts: int, budget: int) -> Request:
        """The ordinary request of a round."""
        assert self.suite.tuning is not None
        tuning = dataclasses.replace(self.suite.tuning, families=tuple(families), budget=budget)
        return request_of(self.args, dataclasses.replace(self.suite, restarts=restarts, tuning=tuning), [])

    def plan(self) -> tuple[State, Request, float, int]:
        """The first round, its request, seconds of a trial by a measured step, and workers.

        Raises InputError for a limit that has no room for it.
        """
        families = self.families
        request = self.request(families, FIRST, 1)
        config = next(iter(make_plan(request).grid.values()))
        trial = seconds_per_token(config, request.resources()) * tokens(config, request.resources())
        workers = len(devices_of(self.args, FIRST * len(families)))
        budget = configurations(self.limit, len(families), trial, workers)
        state = State.read(self.folder, families) or State(budget, [{"families": families, "restarts": FIRST}])
        return state, request, trial, workers

    def minutes(self) -> float:
        """Minutes since this command began."""
        return (time.monotonic() - self.started) / 60

    @property
    def families(self) -> list[str]:
        """All families of the tournament."""
        assert self.suite.tuning is not None
        return list(self.suite.tuning.families)

    def run(self, state: State) -> Outcome:
        """Run round after round until the limit is reached or one family is left."""
        self.before = time.monotonic() - self.started
        while True:
            state.keep(self.folder)
            request, plan = self._round(state)
            found = self._standings(state, state.families)
            gone = {family: reason_of(self.trials, family) for family in state.families if family not in found}
            gone |= dropped(found, len(state.rounds))
            families = [family for family in state.families if family not in gone]
            restarts = self._restarts(state, {family: found[family] for family in families})
            state.dropped |= gone
            if PLAIN not in found or len(families) < 2 or restarts == state.restarts:
                state.keep(self.folder)
                left = {family: found[family] for family in families} if PLAIN in found else {}
                floors = self._standings(state, [FLOOR + name for name in FLOORS])
                complete = all(trial.has_result or trial.status == "skipped" for trial in self.trials)
                return Outcome(state, left, floors, request, plan, complete)
            for family, why in gone.items():
                self.console.print(f"dropped: {family} ({why})", markup=False, highlight=False)
            state.rounds.append({"families": families, "restarts": restarts})

    def _round(self, state: State) -> tuple[Request, Plan]:
        started = time.monotonic()
        request = self.request(state.families, state.restarts, state.budget)
        plan = make_plan(request)
        line = f"round {len(state.rounds)}: {len(state.families)} families, {state.restarts} restarts, {len(plan.left)}"
        self.console.print(f"{line} of {len(plan.grid)} trials left", markup=False, highlight=False)
        run.execute(request, plan, self.console)
        self.trials, _ = load(request.folder.files())
        if plan.left:
            state.seconds += time.monotonic() - started
        return request, plan

    def _standings(self, state: State, families: Sequence[str]) -> dict[str, Standing]:
        return standings(self.trials, families, state.restarts, state.budget)

    def _restarts(self, state: State, left: Mapping[str, Standing]) -> int:
        """How many restarts the next round reaches: twice as many, or as many as the limit allows."""
        each = len(left) * (state.budget + 1)
        if not left:
            return state.restarts
        if self.limit.trials is not None:
            used = sum(trial.strategy in self.families for trial in self.trials)  # floors cost next to nothing
            more = (self.limit.trials - used) // each
        else:
            assert self.limit.seconds is not None
            done = [trial.seconds for trial in self.trials if trial.has_result]
            rate = state.seconds / max(sum(done), 1e-9)  # wall clock per second of a trial
            kept = [t.seconds for t in self.trials if t.has_result and t.strategy in left]
            one = sum(kept) / max(len(kept), 1)
            final = 2 * max(standing.seconds for standing in left.values())  # the fit on all rows, not on 0.6 of them
            more = int((self.limit.seconds - self.before - state.seconds - final) / max(rate * one * each, 1e-9))
        return state.restarts + max(0, min(more, state.restarts))


def configurations(limit: Limit, families: int, trial: float, workers: int) -> int:
    """Configurations per family that a limit has room for. Raises InputError where it has none for one."""
    fewest = families * 2 * FIRST
    if limit.trials is not None:
        if limit.trials < fewest:
            raise InputError(
                f"--trials must be at least {fewest} for {families} families (a default and one configuration each, in "
                f"{FIRST} restarts), got {limit.trials}; allow more or name fewer --families"
            )
        room = limit.trials / families
    else:
        assert limit.seconds is not None
        if limit.seconds < trial:
            raise InputError(f"--time must be enough for one trial, about {trial:.0f} s, got {limit.seconds:g} s")
        if limit.seconds * workers < fewest * trial:
            raise InputError(
                f"--time must be at least {_as_time(fewest * trial / workers)} for {families} families here, got "
                f"{_as_time(limit.seconds)}; allow more, or name fewer --families or --epochs"
            )
        room = limit.seconds * workers / trial / families
    return max(1, min(MOST_CONFIGURATIONS, int(room / AIM) - 1))


def _as_time(seconds: float) -> str:
    """A time as --time takes it, rounded up."""
    return f"{math.ceil(seconds)}s" if seconds < 120 else f"{math.ceil(seconds / 60)}m"


def in_words(state: State, limit: Limit, trial: float, workers: int) -> list[str]:
    """What a tournament will do, for `--dry-run`."""
    families, configurations = len(state.rounds[0]["families"]), state.budget
    trials = families * (configurations + 1) * FIRST
    lines = [f"families: {', '.join(state.rounds[0]['families'])}"]
    lines.append(
        f"round 1: {families} {'family' if families == 1 else 'families'} x {configurations} "
        f"configuration{'s' * (configurations > 1)} and the default x {FIRST} restarts = {trials} "
        f"trials, about {trials * trial / workers / 60:.1f} min on {workers} workers (a trial about {trial:.1f} s, by "
        "one training step measured now)"
    )
    end = f"{limit.trials} trials" if limit.trials is not None else f"{(limit.seconds or 0) / 60:g} min"
    lines.append(f"then: families far behind on holdout leave, the others get more restarts, until {end} are used")
    return lines
