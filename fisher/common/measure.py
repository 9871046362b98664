"""Times of several ways to do the same work, taken in turn, so that other load on the machine meets all of them."""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

Times = Mapping[str, Sequence[float]]


def in_turn(
    ways: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.process_time
) -> dict[str, list[float]]:
    """Seconds of each way, round by round: of processor time, or as `clock` gives them."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = clock()
            way()
            times[name].append(clock() - started)
    return times


def ratios(times: Times, pairs: Iterable[tuple[str, str]]) -> dict[str, dict[str, float]]:
    """{"A / B": summary of the ratios of A to B, round by round}."""
    return {
        f"{one} / {other}": summary([a / b for a, b in zip(times[one], times[other], strict=True)])
        for one, other in pairs
    }


def summary(values: Sequence[float]) -> dict[str, float]:
    """Minimum, median and maximum."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}
