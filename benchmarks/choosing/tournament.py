"""The rounds of a tournament: each an ordinary grid of tuned trials, the next one decided by the records.

    first     one configuration of every family, in `FIRST` restarts: what a trial takes is known after it
    second    as many configurations, the same number for all, as leave the time or the trials for `AIM` restarts
    more      families that are far behind leave (`rules`), the others get up to as many restarts again
    final     where that is too much for what is left: the chosen configurations of plain fine-tuning and of its rival

The same draws in all restarts. A round runs its trials in an order in which its configurations, or its restarts, become
complete one after the other; where the time is up it ends, and what is complete counts. So time decides how much is run
and nothing else. What was decided stands in `tournament.json`, so that a resumed run decides the same.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.choosing.reading import TASK_FILE
from benchmarks.choosing.rounds import (
    FIRST,
    PLAIN,
    Round,
    Standing,
    State,
    check_limit,
    dropped,
    finalists,
    reason_of,
    standings,
    with_final,
)
from benchmarks.data.sources import TaskData
from benchmarks.executors.launch import devices_of, execute
from benchmarks.planning.plan import Request, make_plan, request_of
from benchmarks.planning.suite import FisherRecipe, Suite, Tuning
from benchmarks.planning.suite_file import override
from benchmarks.planning.timing import seconds_per_token, tokens
from benchmarks.run import main as ordinary_run
from benchmarks.tuning.families import read_family
from benchmarks.tuning.trials import FLOOR
from fisher.common.errors import InputError, require
from fisher.common.files import write_file
from leaderboard.build import load
from leaderboard.tables.trials import TrialRow
from regularizers.registry import load_plugins

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
AIM = 6  # restarts of all families that the number of configurations leaves time for
MOST_CONFIGURATIONS = 8
FISHER_SAMPLES = 100
TEXTS = "data/texts.txt"  # in the output folder
SETTINGS = {"batch_size": 16, "evaluate": "last"}
RATES, POCKET_RATES = (5e-5, 1e-5, 2e-4), (3e-4, 1e-4, 1e-3)  # learning rates: the default, and what is searched
EPOCHS = (3, 5, 10)


def make_suite(args: argparse.Namespace, data: TaskData, texts: int) -> Suite:
    """The suite of round 1; `texts` of the data are there for Fisher scores.

    Raises InputError for families and fields that do not exist, and for fields that are searched and set.
    """
    pocket = args.model == "pocket"
    rate, low, high = POCKET_RATES if pocket else RATES
    if args.lr:
        low, high = args.lr
        require(0 < low < high < math.inf, "--lr must be two rates with 0 < LOW < HIGH", f"{low:g} {high:g}")
        rate = float(f"{(low * high) ** 0.5:.3g}")
    epochs = sorted(args.epochs or EPOCHS)
    shared = {"lr": {"low": low, "high": high, "scale": "log"}, "epochs": sorted(set(epochs))}
    for key in sorted(shared):
        require(
            not any(text.startswith(f"{key}=") for text in args.set),
            f"--set must leave {key} alone, which is searched; use --{key}",
        )
    default = {"lr": rate, "epochs": epochs[len(epochs) // 2]}
    settings = SETTINGS | ({} if data.dev else {"data": "resampled"}) | ({"max_length": 40} if pocket else {})
    if len(shared["epochs"]) == 1:  # given, not searched
        settings["epochs"] = default["epochs"]
        del shared["epochs"]
    families = dict.fromkeys((PLAIN, *(str(read_family(text)) for text in args.families or FAMILIES)))
    corpus = "" if pocket else str(Path(args.output, TEXTS).resolve())
    suite = Suite(
        name=data.task.name,
        tasks=(data.task.name,),
        fractions=(1.0,),
        restarts=FIRST,
        model=args.model,
        settings=settings,
        fisher=FisherRecipe(corpus=corpus, samples=min(FISHER_SAMPLES, texts)),
        tuning=Tuning(families=tuple(families), floors=FLOORS, default=default, shared=shared, same_draws=True),
    )
    return override(suite, {}, args.set)


class Tournament:
    """One tournament in one output folder, `args.output`; args: the flags of `regbench try`.

    After `run`: found, how the families that are left stand; floors, what fine-tuning has to beat; request and grid,
    the last request with its trials by name; complete, whether every trial has a result or was skipped.
    """

    def __init__(self, args: argparse.Namespace, data: TaskData, console: Console) -> None:
        load_plugins(args.plugin)
        texts = [" ".join(" ".join(example.texts).split()) for example in data.train]
        write_file(Path(args.output, TEXTS), "\n".join(dict.fromkeys(texts)) + "\n")
        self.suite = make_suite(args, data, len(set(texts)))
        assert self.suite.tuning is not None
        self.tuning, self.families = self.suite.tuning, list(self.suite.tuning.families)
        ordinary = vars(ordinary_run.parser().parse_args([]))
        given = {"task_file": str(Path(args.output, TASK_FILE).resolve()), "tasks": [self.suite.name]}
        self.args = argparse.Namespace(**{**ordinary, **vars(args), **given})
        self.data, self.console, self.folder = data, console, Path(args.output)
        self.trials: list[TrialRow] = []
        self.said: set[str] = set()  # notes of trials, each said once
        self.started = time.monotonic()
        self.before = 0.0  # seconds until the first round
        self.reserve = 0.0  # seconds for the fit on all rows

    def ask(self, restarts: int, budget: int) -> Request:
        """The ordinary request of so many restarts and configurations of all families."""
        tuning = dataclasses.replace(self.tuning, budget=budget)
        return request_of(self.args, dataclasses.replace(self.suite, restarts=restarts, tuning=tuning), [])

    def plan(self) -> tuple[State, Request, float, int]:
        """The state to begin with, a request, seconds of a trial by a measured step, and workers.

        Raises InputError for a limit that has no room for the first round.
        """
        request = self.ask(FIRST, 1)
        first = Round(self.families, 1, FIRST)
        grid = first.of(make_plan(request).grid)
        config = next(iter(grid.values()))
        trial = seconds_per_token(config, request.resources()) * tokens(config, request.resources())
        workers = len(devices_of(self.args, FIRST * len(self.families)))
        check_limit(self.args, len(self.families), trial, workers)
        asked = hashlib.sha256(" ".join(sorted(grid)).encode()).hexdigest()
        return State.read(self.folder, asked) or State(asked, [first]), request, trial, workers

    def minutes(self) -> float:
        """Minutes since this command began."""
        return (time.monotonic() - self.started) / 60

    def run(self, state: State) -> None:
        """Run round after round until the limit is reached or one family is left.

        Raises InputError where the time is up before the first round is complete.
        """
        self.state, self.before = state, time.monotonic() - self.started
        following: Round | None = state.rounds.pop()
        while following:
            state.rounds.append(following)
            self._round(state)
            following = self._following(state)
        state.keep(self.folder)
        found = self._standings(state)
        left = {family: found[family] for family in found if family not in state.dropped}
        self.found = left if PLAIN in left else {}
        floors, ranked = [FLOOR + name for name in FLOORS], state.ranked
        self.floors = standings(self.trials, floors, ranked.restarts, ranked.budget)
        self.complete = all(trial.has_result or trial.status == "skipped" for trial in self.trials)

    def _round(self, state: State) -> None:
        """Run the last round, no longer than there is time, and keep of it what is complete."""
        started = time.monotonic()
        until = started + self._left(state)
        try:
            self._execute(state.rounds[-1], len(state.rounds), until)
        finally:  # an interrupted round has taken its time, too
            state.seconds += time.monotonic() - started
            state.keep(self.folder)
        if time.monotonic() < until:
            return
        reached = next((one for one in state.rounds[-1].smaller() if one.is_in(self.trials)), None)
        if reached is None:
            raise InputError(
                f"--time must be enough for one configuration of {len(self.families)} families in {FIRST} restarts, "
                f"but after {state.seconds / 60:.0f} min {len(self.trials)} of {len(self.grid)} trials are done; run "
                "the same command with more, what is done is kept, or name fewer --families or --epochs"
            )
        state.rounds[-1] = reached

    def _execute(self, this: Round, number: int, until: float) -> None:
        """Run the trials of a round that are left, and load all of all rounds."""
        self.request = self.ask(this.restarts, this.budget)
        plan = make_plan(self.request)
        self.grid = Round(self.families, this.budget, this.restarts).of(plan.grid)
        plan = dataclasses.replace(plan, grid=this.of(plan.grid), left=this.of(plan.left))
        line = f"round {number}: {len(this.families)} families, {this.restarts} restarts, {len(plan.left)}"
        self.console.print(f"{line} of {len(plan.grid)} trials left", markup=False, highlight=False)
        execute(self.request, plan, self.console, until=until, said=self.said)
        self.trials, _ = load(path for path in self.request.folder.files() if Path(path).stem in self.grid)

    def _left(self, state: State) -> float:
        """Seconds that are left for trials."""
        seconds = math.inf if self.args.trials is not None else self.args.time
        return seconds - self.before - state.seconds - self.reserve

    def _room(self, state: State, trials: Sequence[TrialRow]) -> float:
        """How many more trials such as these the limit allows, by what all took so far."""
        if self.args.trials is not None:  # floors cost next to nothing
            return self.args.trials - sum(trial.strategy in self.families for trial in self.trials)
        rate = state.seconds / max(sum(trial.seconds for trial in self.trials if trial.has_result), 1e-9)
        one = rate * sum(trial.seconds for trial in trials) / max(len(trials), 1)  # by the clock, with all workers
        return self._left(state) / max(one, 1e-9)

    def _standings(self, state: State) -> dict[str, Standing]:
        this, last = state.ranked, state.rounds[-1]
        found = standings(self.trials, this.families, this.restarts, this.budget)
        return found if last.draws is None else with_final(found, self.trials, last.draws, last.restarts)

    def _following(self, state: State) -> Round | None:
        """The next round, None where there is none; who leaves before it is noted."""
        this, found = state.rounds[-1], self._standings(state)
        self.reserve = 2 * max((one.seconds for one in found.values()), default=0.0)  # not on 0.6 of the rows
        if this.draws is not None:
            return self._longer(state, this, found)
        gone = {family: reason_of(self.trials, family) for family in this.families if family not in found}
        budget = self._budget(state, found) if len(state.rounds) == 1 and found else this.budget
        if budget == this.budget:  # what was tuned is judged
            gone |= dropped(found, len({one.restarts for one in state.rounds}))
        for family, why in gone.items():
            self.console.print(f"dropped: {family} ({why})", markup=False, highlight=False)
        state.dropped |= gone
        left = {family: standing for family, standing in found.items() if family not in gone}
        if PLAIN not in left or len(left) < 2:
            return None
        following = dataclasses.replace(this, families=list(left), budget=budget)
        if budget > this.budget:
            return following
        draws = finalists(left)
        final = dataclasses.replace(following, families=list(draws), draws=draws)
        return self._longer(state, following, left) or self._longer(state, final, left)

    def _budget(self, state: State, found: Mapping[str, Standing]) -> int:
        """Configurations per family, by what the first one took."""
        trials = trials_of(found)
        return max(1, min(MOST_CONFIGURATIONS, int((self._room(state, trials) + len(trials)) / len(found) / AIM)))

    def _longer(self, state: State, this: Round, found: Mapping[str, Standing]) -> Round | None:
        """The round with twice the restarts, or as many as the limit allows; None where it allows no more."""
        trials = [trial for family in this.draws for trial in found[family].chosen] if this.draws else trials_of(found)
        each = len(this.families) * (1 if this.draws else this.budget)
        more = min(this.restarts, int(self._room(state, trials) / each))
        return dataclasses.replace(this, restarts=this.restarts + more) if more > 0 else None


def trials_of(found: Mapping[str, Standing]) -> list[TrialRow]:
    """All trials of the standings but those of a final."""
    return [trial for standing in found.values() for row in standing.trials for trial in row]
