"""What leaves a tournament, and how often it is the one that should have stayed."""

import numpy as np
import pytest

from benchmarks.choosing.rounds import ERROR, behind, dropped, finalists, standings, with_final
from leaderboard.tables.trials import TrialRow

ROUNDS = (3, 6, 12)
SIMULATIONS = 400


def row(family: str, draw: int, restart: int, held_out: float, **more: object) -> TrialRow:
    """A trial that was tuned; what the rules do not look at is left empty."""
    names = ("id", "checksum", "model", "weights", "protocol", "task", "metric", "data", "variant", "split", "key")
    values: dict[str, object] = dict.fromkeys((*names, "reason", "about"), "")
    values |= {"status": "ok", "rule": "holdout", "score": 0.5, "floor": 0.4, "seconds": 1.0} | more
    place = {"strategy": family, "draw": draw, "restart": restart, "planned": 0, "split_seed": restart}
    return TrialRow(fraction=1.0, versions={}, held_out=held_out, **place, **values)  # type: ignore[arg-type]


def test_a_family_stands_by_its_best_configuration_s_mean_holdout() -> None:
    trials = [
        row("none", draw, at, score)
        for draw, pair in enumerate([(0.6, 0.8), (0.9, 0.6)])
        for at, score in enumerate(pair)
    ]
    standing = standings(trials, ["none"], 2, 2)["none"]
    assert standing.best == 1 and standing.mean == pytest.approx(0.75)
    assert [trial.draw for trial in standing.chosen] == [1, 1]


def test_ties_go_to_the_lower_draw_and_a_diverged_run_counts_as_the_floor() -> None:
    trials = [row("none", 0, 0, float("nan")), row("none", 1, 0, 0.4), row("none", 2, 0, 0.3)]
    assert standings(trials, ["none"], 1, 3)["none"].best == 0


def test_a_family_that_lacks_a_trial_has_no_standing() -> None:
    trials = [row("none", 0, 0, 0.5), row("sam", 0, 0, 0.5, status="error"), row("ema", 0, 0, 0.5, rule="default")]
    assert list(standings(trials, ["none", "sam", "ema"], 1, 1)) == ["none"]


def test_a_final_adds_restarts_in_which_both_have_a_result_and_chooses_nothing() -> None:
    levels = {"none": (0.5, 0.6), "sam": (0.7, 0.4), "ema": (0.3, 0.2)}
    trials = [row(f, draw, at, levels[f][draw]) for f in levels for draw in (0, 1) for at in range(3)]
    found = standings(trials, list(levels), 3, 2)
    draws = finalists(found)
    assert draws == {"none": 1, "sam": 0}
    more = [row(family, draw, at, 0.0, score=0.9) for family, draw in draws.items() for at in (3, 4, 5)]
    more[1] = row("none", 1, 4, float("nan"), status="error")
    ended = with_final(found, [*trials, *more], draws, 6)
    assert {family: [t.restart for t in one.chosen] for family, one in ended.items()} == {
        "none": [0, 1, 2, 3, 5],
        "sam": [0, 1, 2, 3, 5],
        "ema": [0, 1, 2],
    }
    assert [one.mean for one in ended.values()] == [one.mean for one in found.values()]
    assert with_final(found, trials, draws, 3) == found


def test_what_is_far_behind_is_dropped_and_plain_fine_tuning_never() -> None:
    levels = {"none": 0.3, "sam": 0.8, "ema": 0.4, "rdrop": 0.8}
    noise = np.random.default_rng(0).normal(0, 0.01, (4, 4))
    noise -= noise.mean(axis=1, keepdims=True)
    trials = [row(f, 0, at, levels[f] + noise[n, at]) for n, f in enumerate(levels) for at in range(4)]
    found = dropped(standings(trials, list(levels), 4, 1), 1)
    assert list(found) == ["ema"]
    assert found["ema"].endswith("points behind the leader on holdout after 4 restarts")


@pytest.mark.parametrize("scores", [{"none": [0.5, 0.9]}, {"none": [0.5], "sam": [0.9]}])
def test_without_two_families_and_two_restarts_nothing_is_dropped(scores: dict[str, list[float]]) -> None:
    assert behind(scores, 1) == {}


def tournament(generator: np.random.Generator, levels: np.ndarray, spread: np.ndarray) -> set[int]:
    """The families dropped over all rounds; a restart's own mean is shared by all of them."""
    scores = generator.normal(levels[:, None], spread[:, None], (len(levels), ROUNDS[-1]))
    scores += generator.normal(0, 0.05, ROUNDS[-1])
    left, gone = list(range(len(levels))), set[int]()
    for number, restarts in enumerate(ROUNDS, start=1):
        gone |= {int(name) for name in behind({str(f): scores[f, :restarts].tolist() for f in left}, number)}
        left = [family for family in left if family not in gone]
    best = int(scores.mean(axis=1).argmax())
    return gone | ({-1} if best in gone else set())


@pytest.mark.parametrize(
    ("levels", "spread"),
    [
        (np.zeros(9), np.full(9, 0.02)),  # no family is better: whichever leads in the end, leads by luck
        (np.array([0.01] + [0.0] * 8), np.full(9, 0.02)),
        (np.zeros(9), np.linspace(0.01, 0.05, 9)),  # families of different variance
        (np.zeros(2), np.full(2, 0.02)),
    ],
)
def test_the_family_that_leads_in_the_end_is_seldom_dropped(levels: np.ndarray, spread: np.ndarray) -> None:
    generator = np.random.default_rng(1)
    wrong = sum(-1 in tournament(generator, levels, spread) for _ in range(SIMULATIONS))
    assert wrong / SIMULATIONS <= ERROR + 2 * np.sqrt(ERROR * (1 - ERROR) / SIMULATIONS)


def test_a_family_clearly_behind_is_mostly_dropped() -> None:
    generator = np.random.default_rng(2)
    levels = np.array([0.0] * 8 + [-0.1])
    assert sum(8 in tournament(generator, levels, np.full(9, 0.02)) for _ in range(100)) >= 95
