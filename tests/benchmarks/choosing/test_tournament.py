"""The rounds of a tournament: what they run, how long they take by a clock of their own, what a resumed one does."""

import json
import math
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from benchmarks.choosing import tournament as rounds
from benchmarks.choosing.rounds import FIRST, Round, State, check_limit, in_words
from benchmarks.choosing.tournament import Tournament
from benchmarks.tuning.trials import FLOOR
from leaderboard.tables.trials import TrialRow
from tests.benchmarks.choosing.test_rules import row

Pace = Callable[[float], float]  # seconds by the clock of a trial that begins at this second


class Imagined(Tournament):
    """A tournament whose trials end as `levels` say without training, and whose clock goes as fast as `pace` says."""

    levels: ClassVar = {"none": 0.5, "sam": 0.9, "ema": 0.2}
    now = 0.0

    def __init__(self, folder: Path, limit: Namespace, pace: Pace = lambda now: 10.0) -> None:
        self.args, self.folder, self.pace, self.trials = limit, folder, pace, list[TrialRow]()
        self.console = SimpleNamespace(print=lambda *words, **options: None)  # type: ignore[assignment]
        self.played: list[Round] = []
        self.started = self.reserve = 0.0
        self.families = list(self.levels)

    def score(self, family: str, draw: int, at: int) -> float:
        return self.levels[family] + 0.001 * math.sin(17 * at + draw + len(family))

    def test_score(self, family: str, at: int) -> float:
        return 0.5

    def _execute(self, this: Round, number: int, until: float) -> None:
        self.played.append(this)
        places = [(f, d, at) for at in range(this.restarts) for f in self.levels for d in range(this.budget)]
        self.grid = {str(place): config(*place) for place in places}
        known = {(trial.strategy, trial.draw, trial.restart) for trial in self.trials}
        for name, each in this.of(self.grid).items():
            place = family, draw, at = each.tuning.family, each.tuning.draw, each.restart
            if place in known:
                continue
            took = self.pace(self.now)
            self.now += took
            more: dict[str, Any] = {"id": name, "seconds": took, "score": self.test_score(family, at)}
            self.trials.append(row(family, draw, at, self.score(*place), **more))
            if self.now >= until:
                return

    def begin(self) -> State:
        return State("asked", [Round(self.families, 1, FIRST)])


def config(family: str, draw: int, restart: int, holdout: float | None = 0.25) -> Any:
    return SimpleNamespace(restart=restart, tuning=SimpleNamespace(family=family, draw=draw, holdout=holdout))


def limited(seconds: float | None = None, trials: int | None = None) -> Namespace:
    """The limit as flags."""
    return Namespace(time=seconds, trials=trials)


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Imagined]:
    """Makes tournaments; the clock is that of the last one."""

    def build(kind: type[Imagined] = Imagined, **given: Any) -> Imagined:
        made = kind(tmp_path, limited(given.pop("seconds", None), given.pop("trials", None)), **given)
        monkeypatch.setattr(rounds, "time", SimpleNamespace(monotonic=lambda: made.now))
        return made

    return build


def test_a_round_is_of_its_configurations_in_an_order_in_which_restarts_become_complete() -> None:
    places = [("none", 1, 4), ("none", 0, 3), ("sam", 1, 0), ("ema", 0, 0), ("sam", 0, 2), (FLOOR + "tfidf", 0, 0)]
    configs = {str(place): config(*place) for place in places}
    configs |= {"default": config("sam", 0, 0, holdout=None), "untuned": SimpleNamespace(tuning=None, restart=0)}
    whole = Round(["none", "sam"], 2, 5)
    expected = [("sam", 0, 2), (FLOOR + "tfidf", 0, 0), ("sam", 1, 0), ("none", 0, 3), ("none", 1, 4)]
    assert list(whole.of(configs)) == list(map(str, expected)), "draws of the first restarts, then restart by restart"
    final = Round(["none", "sam"], 2, 5, {"none": 1, "sam": 0})
    assert list(final.of(configs)) == [str(("sam", 0, 2)), str(("none", 1, 4))]


def test_rounds_use_the_trials_and_the_finalists_what_is_left(make: Callable[..., Imagined]) -> None:
    tournament = make(trials=100)
    tournament.run(tournament.begin())
    played = [(one.families, one.budget, one.restarts, one.draws is not None) for one in tournament.played]
    assert played == [
        (["none", "sam", "ema"], 1, 3, False),
        (["none", "sam", "ema"], 5, 3, False),
        (["none", "sam"], 5, 6, False),  # ema is far behind
        (["none", "sam"], 5, 8, False),
        (["none", "sam"], 5, 10, True),  # five more trials: two restarts of the chosen configurations
    ]
    assert len(tournament.trials) == 99
    assert list(tournament.found) == ["none", "sam"] and "points behind the leader" in tournament.state.dropped["ema"]
    assert [len(one.chosen) for one in tournament.found.values()] == [10, 10]
    assert [len(one.trials[0]) for one in tournament.found.values()] == [8, 8], "what chooses is the same for all"


PACES: dict[str, Pace] = {
    "steady": lambda now: 10.0,
    "slower": lambda now: 10.0 if now < 200 else 25.0,
    "faster": lambda now: 10.0 if now < 200 else 4.0,
    "uneven": lambda now: 10.0 + 6.0 * math.sin(now),
}


@pytest.mark.parametrize("pace", PACES)
@pytest.mark.parametrize("seconds", [600.0, 1800.0, 7200.0])
def test_time_is_kept_to_within_ten_percent(make: Callable[..., Imagined], seconds: float, pace: str) -> None:
    tournament = make(seconds=seconds, pace=PACES[pace])
    tournament.run(tournament.begin())
    fit = 2 * tournament.pace(tournament.now)
    assert 0.9 * seconds <= tournament.now + fit <= 1.1 * seconds
    assert tournament.now == pytest.approx(tournament.state.seconds)


def test_a_round_ends_where_the_machine_slows_down_and_what_is_complete_counts(make: Callable[..., Imagined]) -> None:
    tournament = make(seconds=1800.0, pace=lambda now: 10.0 if now < 400 else 60.0)
    tournament.run(tournament.begin())
    assert tournament.now <= 1800
    ranked = tournament.state.ranked
    assert tournament.played[1].budget == 8 and ranked.budget == 7
    assert {len(one.trials) for one in tournament.found.values()} == {7}, "as many for every family"
    assert {len(draw) for one in tournament.found.values() for draw in one.trials} == {FIRST}


def test_time_that_is_up_in_the_first_round_is_said_and_more_resumes(
    make: Callable[..., Imagined], tmp_path: Path, refusal: Callable[..., str]
) -> None:
    tournament = make(seconds=300.0, pace=lambda now: 70.0)
    assert refusal(tournament.run, tournament.begin()) == (
        "--time must be enough for one configuration of 3 families in 3 restarts, but after 6 min 5 of 9 trials are "
        "done; run the same command with more, what is done is kept, or name fewer --families or --epochs"
    )
    state = State.read(tmp_path, "asked")
    assert state is not None and state.seconds == 350
    tournament.args = limited(1800.0)
    tournament.run(state)
    assert len(tournament.trials) >= 9 and tournament.now <= 1800


def test_neither_the_test_part_nor_the_pace_decides_who_leaves_and_who_is_chosen(make: Callable[..., Imagined]) -> None:
    class Lucky(Imagined):
        def test_score(self, family: str, at: int) -> float:
            return {"none": 0.9, "sam": 0.1, "ema": 1.0}[family]

    runs = [make(trials=100), make(Lucky, trials=100), make(trials=100, pace=PACES["slower"])]
    for one in runs:
        one.run(one.begin())
    assert runs[0].played == runs[1].played == runs[2].played
    assert runs[0].state.dropped == runs[1].state.dropped == runs[2].state.dropped


@pytest.mark.parametrize("limit", [{"trials": 100}, {"seconds": 900.0}])
def test_a_resumed_tournament_decides_the_same(
    make: Callable[..., Imagined], tmp_path: Path, limit: dict[str, Any]
) -> None:
    first = make(**limit)
    first.run(first.begin())
    state = State.read(tmp_path, "asked")
    assert state is not None and state == first.state
    again = make(**limit)
    again.trials = list(first.trials)
    again.run(state)
    assert again.state.rounds == first.state.rounds and len(again.trials) == len(first.trials)
    assert State.read(tmp_path, "something else") is None, "another request begins anew"
    (tmp_path / "tournament.json").write_text(json.dumps({"asked": "asked", "rounds": [{"restarts": 3}]}))
    assert State.read(tmp_path, "asked") is None, "so does one whose state is damaged"


def test_an_interrupted_round_has_taken_its_time(make: Callable[..., Imagined], tmp_path: Path) -> None:
    class Interrupted(Imagined):
        def _execute(self, this: Round, number: int, until: float) -> None:
            super()._execute(this, number, until)
            if number == 2:
                raise KeyboardInterrupt

    tournament = make(Interrupted, seconds=900.0)
    with pytest.raises(KeyboardInterrupt):
        tournament.run(tournament.begin())
    state = State.read(tmp_path, "asked")
    assert state is not None and state.seconds == tournament.now > 90


def test_a_family_whose_trials_end_in_errors_leaves_with_its_reason(make: Callable[..., Imagined]) -> None:
    class Broken(Imagined):
        def _execute(self, this: Round, number: int, until: float) -> None:
            super()._execute(this, number, until)
            self.trials = [
                row("sam", t.draw, t.restart, math.nan, status="error", reason="too large")
                if t.strategy == "sam"
                else t
                for t in self.trials
            ]

    tournament = make(Broken, trials=100)
    tournament.run(tournament.begin())
    assert tournament.state.dropped["sam"] == "too large" and not tournament.complete


@pytest.mark.parametrize(
    ("seconds", "trial", "message"),
    [
        (240, 10.0, "--time must be at least 5m for 9 families here, got 4m; allow"),
        (2, 1.0, "--time must be at least 27s for 9 families here, got 2s"),
        (2, 10.0, "--time must be enough for one trial, about 10 s, got 2 s"),
    ],
)
def test_a_limit_must_have_room_for_the_first_round(
    seconds: float, trial: float, message: str, refusal: Callable[..., str]
) -> None:
    check_limit(limited(trials=6), 2, 1.0, 2)
    assert message in refusal(check_limit, limited(seconds=seconds), 9, trial, 1)


def test_what_is_planned_is_said_in_minutes_too() -> None:
    lines = in_words(["none", "sam"], limited(1800), 10.0, 2)
    assert "6 trials, about 0.5 min on 2 workers" in lines[1] and "until 30 min are used" in lines[2]
