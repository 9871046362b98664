"""Times of several ways to do the same work, taken in turn, so that other load on the machine meets all of them."""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

Times = Mapping[str, Sequence[float]]


def in_turn(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of processor time of each way, round by round."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.process_time()
            way()
            times[name].append(time.process_time() - started)
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
