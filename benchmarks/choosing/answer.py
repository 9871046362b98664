"""The answer of a tournament in plain sentences: what to use, what it gains, how often it failed, what it costs.

The family is the one whose best configuration has the best mean holdout score; the test part only reports. The test
parts of several restarts share rows, and so do the parts fitted on, so that the spread over restarts says too little:

    SE^2 = s^2 (1 / J + n_test / n_fit)             test parts cut anew [Nadeau and Bengio 2003, Mach. Learn. 52]
    SE^2 = s^2 / J + jackknife over the dev rows    one dev file, the same rows in every restart

s is the standard deviation of the J paired differences; the interval takes Student's t with J - 1 degrees of freedom.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from benchmarks.choosing.rounds import PLAIN, Standing, finalists, strategy_of
from benchmarks.tuning.trials import FLOOR
from leaderboard.render.wording import few_fit, trains_too_short
from leaderboard.stats.significance import ALPHA, POWER
from leaderboard.tables.cells import few_fitted
from leaderboard.tables.rows import FITTED

FOLDS = 20
WITHOUT_TRAINING = {
    "tfidf": "a linear model of words",
    "probe": "a linear model of the pretrained model's states",
    "constant": "always the same prediction",
}
Score = Callable[[Sequence[Any], Sequence[Any]], float]


@dataclass(frozen=True)
class Gain:
    """A paired difference on the test part, with its 95 % interval."""

    difference: float
    low: float
    high: float
    detectable: float  # the smallest true difference that is found with a power of 80 %

    def rows_needed(self, rows: int, difference: float = 0.01) -> int:
        """Rows to be labelled in addition until such a difference is found, the variance falling as 1 / rows."""
        wanted = rows * (self.detectable / difference) ** 2 - rows
        return max(0, round_up(wanted)) if math.isfinite(wanted) else 0


def round_up(value: float) -> int:
    """A number rounded up to two digits."""
    if value <= 0:
        return 0
    unit = 10 ** max(0, math.floor(math.log10(value)) - 1)
    return math.ceil(value / unit) * unit


def gain(differences: Sequence[float], *, shared: float, rows: float = 0.0) -> Gain:
    """The mean of paired differences over restarts.

    shared: n_test / n_fit where every restart cuts its own test part, else 0; rows: variance by the choice of dev rows.
    With fewer than two restarts, or with the same difference in all of them, nothing is known.
    """
    values, count = np.asarray(differences, dtype=np.float64), len(differences)
    mean = float(values.mean())
    if count < 2 or np.ptp(values) == 0:
        return Gain(mean, -math.inf, math.inf, math.inf)
    error = math.sqrt(float(values.var(ddof=1)) * (1 / count + shared) + rows)
    half = float(stdtrit(count - 1, 1 - ALPHA / 2))
    power = float(stdtrit(count - 1, POWER))
    return Gain(mean, mean - half * error, mean + half * error, (half + power) * error)


def dev_variance(
    ones: Sequence[NDArray[Any]], others: Sequence[NDArray[Any]], labels: Sequence[Any], score: Score
) -> float:
    """Variance of the mean difference of two configurations by the choice of dev rows: a delete-a-group jackknife.

    ones, others: predictions per restart. Group g is every row whose number is g modulo FOLDS.
    """
    truth, folds = np.asarray(labels), min(FOLDS, len(labels) // 2)
    if folds < 2:
        return 0.0
    means = []
    for fold in range(folds):
        kept = np.arange(len(truth)) % folds != fold
        found = [score(a[kept], truth[kept]) - score(b[kept], truth[kept]) for a, b in zip(ones, others, strict=True)]
        means.append(np.mean(found))
    return float((folds - 1) * np.var(means))


@dataclass(frozen=True)
class Answer:
    """What to use: the family whose configuration is refitted, and how it compares with plain fine-tuning."""

    standing: Standing
    rival: str  # the best family but plain fine-tuning, empty where none is left
    gain: Gain | None  # of the rival over plain fine-tuning


def choose(found: Mapping[str, Standing], compare: Callable[[Standing, Standing], Gain]) -> Answer:
    """The family to use: the best by holdout, if the test part finds it better than plain fine-tuning."""
    plain = found[PLAIN]
    if len(found) < 2:
        return Answer(plain, "", None)
    [rival] = [found[family] for family in finalists(found) if family != PLAIN]
    difference = compare(rival, plain)
    better = rival.mean > plain.mean and difference.low > 0
    return Answer(rival if better else plain, rival.family, difference)


def sentences(
    answer: Answer,
    found: Mapping[str, Standing],
    dropped: Mapping[str, str],
    rows: int,
    floor: Sequence[str] = (),
) -> list[str]:
    """The answer in words; floor: what `next_to_floor` says."""
    plain, family, lines = found[PLAIN], answer.standing.family, []
    strategy, fields = strategy_of(answer.standing)
    settings = ", ".join(f"{key} {value:g}".replace("e-0", "e-") for key, value in fields.items())
    if family != PLAIN and answer.gain is not None:
        lines.append(f"Use `{strategy}` with {settings}.")
        lines.append(f"It gains {points(answer.gain)} over plain fine-tuning tuned with the same effort.")
    elif plain.failed * 2 > len(plain.chosen):
        lines.append(
            "Nothing can be judged here: most runs of plain fine-tuning failed. Allow more epochs (--epochs) or other "
            "rates (--lr), or label more rows."
        )
    elif answer.gain is None:
        lines.append(f"No regularizer was left to compare; use `{PLAIN}` with {settings}.")
    else:
        lines.append(_not_better(answer.gain, strategy_of(found[answer.rival])[0], settings, rows))
    if few_fitted(plain.chosen):
        why = few_fit(sum(trial.fit >= FITTED for trial in plain.chosen), len(plain.chosen))
        lines.append(trains_too_short(why, "allow more epochs (--epochs) or higher rates (--lr)"))
    lines += floor
    named = [found[name] for name in dict.fromkeys((family, answer.rival, PLAIN)) if name]
    lines += [f"`{strategy_of(one)[0]}` failed in {one.failed} of {len(one.chosen)} restarts." for one in named]
    if family != PLAIN:
        lines.append(f"A training run takes {cost(answer.standing, plain)} plain fine-tuning's time.")
    if len(plain.trials) == 1:
        lines.append("Every family had one configuration only, its default; with more --time they are tuned.")
    if dropped:
        listed = "; ".join(f"{family} ({why})" for family, why in dropped.items())
        lines.append(f"No longer ranked: {listed}.")
    return lines


def next_to_floor(chosen: Standing, floors: Mapping[str, Standing], compare: Callable[..., Gain]) -> list[str]:
    """How the configuration stands next to the best by holdout of what is not fine-tuned; nothing without one."""
    floor = max(floors.values(), key=lambda standing: standing.mean, default=None)
    if floor is None:
        return []
    name = f"`{strategy_of(floor)[0]}`, {WITHOUT_TRAINING[floor.family.removeprefix(FLOOR)]}"
    gained = compare(chosen, floor)
    if gained.low > 0:
        return [f"The best without fine-tuning is {name}; fine-tuning gains {points(gained)} over it."]
    if gained.high < 0:
        told, then = "behind", "use that instead, or allow more epochs (--epochs) or other rates (--lr)"
    else:
        told = "not distinguishable from"
        then = "more epochs (--epochs), other rates (--lr) or more rows may change that"
    return [f"Fine-tuning is {told} {name}, which costs next to nothing: {points(gained)}; {then}."]


def _not_better(gained: Gain, strategy: str, settings: str, rows: int) -> str:
    use = f"use `{PLAIN}` with {settings}"
    rival = f"the best regularizer by holdout, `{strategy}`, differs by {points(gained)}"
    if gained.high < 0:
        return f"Plain fine-tuning is better than every regularizer tried; {use} ({rival})."
    if gained.low > 0:
        return f"Plain fine-tuning has the best holdout score; {use} ({rival})."
    if more := gained.rows_needed(rows):
        use += f", and label about {more} more examples to see a difference of 1 point"
        rival += f"; here about {100 * gained.detectable:.1f} points would be seen"
    return f"No regularizer is distinguishable from plain fine-tuning on this data; {use} ({rival})."


def points(difference: Gain) -> str:
    """A difference in points with its interval."""
    text = f"{100 * difference.difference:+.1f} points"
    if not math.isfinite(difference.low):
        return f"{text} in every restart, which gives no interval"
    return f"{text} [95 % interval {100 * difference.low:+.1f} to {100 * difference.high:+.1f}]"


def cost(standing: Standing, plain: Standing) -> str:
    """The time of a training run next to plain fine-tuning's."""
    return f"{standing.seconds / max(plain.seconds, 1e-9):.1f} times"


def table(
    found: Mapping[str, Standing],
    compare: Callable[[Standing, Standing], Gain],
    floors: Mapping[str, Standing] | None = None,
) -> list[str]:
    """All families that are left as a Markdown table, best holdout first, and below them the floors."""
    plain = found[PLAIN]
    lines = [
        "| family | best configuration | holdout | test | gain | failed | cost |",
        "|---|---|---|---|---|---|---|",
    ]
    rows = [sorted(part.values(), key=lambda standing: -standing.mean) for part in (found, floors or {})]
    for standing in itertools.chain(*rows):
        strategy, fields = strategy_of(standing)
        settings = " ".join(f"{key}={value:g}".replace("e-0", "e-") for key, value in fields.items())
        test = float(np.mean([trial.score for trial in standing.chosen]))
        gained = "" if standing.family == PLAIN else points(compare(standing, plain))
        cells = (
            f"`{standing.family}`",
            f"`{strategy}` {settings}".strip(),
            f"{100 * standing.mean:.1f}",
            f"{100 * test:.1f}",
            gained,
            f"{standing.failed} of {len(standing.chosen)}",
            cost(standing, plain),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return lines
