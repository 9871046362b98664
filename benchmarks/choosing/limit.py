"""How long a tournament may last, and what it will do with it in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fisher.common.errors import InputError, require

FIRST = 3  # restarts of the first round, fewer than which say nothing of a spread


@dataclass(frozen=True)
class Limit:
    """How long a tournament may last: seconds on this machine, or a number of trials."""

    seconds: float | None = None
    trials: int | None = None


def check_limit(limit: Limit, families: int, trial: float, workers: int) -> None:
    """Raise InputError for a limit that has no room for the first round; `trial`: seconds of one."""
    fewest = families * FIRST
    if limit.trials is not None:
        require(
            limit.trials >= fewest,
            f"--trials must be at least {fewest} for {families} families (a configuration each, in {FIRST} restarts)",
            limit.trials,
            "allow more or name fewer --families",
        )
        return
    assert limit.seconds is not None
    require(limit.seconds >= trial, f"--time must be enough for one trial, about {trial:.0f} s", f"{limit.seconds:g} s")
    if limit.seconds * workers < fewest * trial:
        raise InputError(
            f"--time must be at least {_as_time(fewest * trial / workers)} for {families} families here, got "
            f"{_as_time(limit.seconds)}; allow more, or name fewer --families or --epochs"
        )


def _as_time(seconds: float) -> str:
    """A time as --time takes it, rounded up."""
    return f"{math.ceil(seconds)}s" if seconds < 120 else f"{math.ceil(seconds / 60)}m"


def in_words(families: Sequence[str], limit: Limit, trial: float, workers: int) -> list[str]:
    """What a tournament will do, for `--dry-run`."""
    trials = len(families) * FIRST
    end = f"{limit.trials} trials" if limit.trials is not None else f"{(limit.seconds or 0) / 60:g} min"
    return [
        f"families: {', '.join(families)}",
        f"round 1: {len(families)} families x 1 configuration x {FIRST} restarts = {trials} trials, about "
        f"{trials * trial / workers / 60:.1f} min on {workers} workers (a trial about {trial:.1f} s, by one training "
        "step measured now)",
        f"then, by the time that these take: more configurations of all families, more restarts of those that are not "
        f"far behind on holdout, and of the two finalists, until {end} are used",
    ]
