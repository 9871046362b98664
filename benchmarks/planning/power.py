"""Whether a request can find anything: how many comparisons it makes, and how many independent restarts those take."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from benchmarks.trial.config import TrialConfig
from leaderboard.render.wording import counted, needed
from leaderboard.stats.significance import attainable
from leaderboard.tables.sections import choose_baseline
from leaderboard.tables.trials import CUT_ANEW

Cell = dict[str, list[TrialConfig]]  # by strategy or family


class Asked(NamedTuple):
    """What a cell asks of its restarts: strategies to compare with the baseline, and independent units to do so."""

    strategies: int
    units: int
    restarts: int


def limits(grid: Iterable[TrialConfig]) -> list[str]:
    """Sentences about what no result of these trials could show: a difference to the baseline, or tiers."""
    asked = {found for cell in _cells(grid) if (found := _asked(cell)) and found.strategies}
    none = [one for one in asked if not attainable(one.strategies, one.units)]
    if none:
        return [_sentence("Nothing can be significant", "comparison", none)]
    pairs = {Asked(one.strategies * (one.strategies + 1) // 2, one.units, one.restarts) for one in asked}
    apart = [one for one in pairs if not attainable(one.strategies, one.units)]
    return [_sentence("No tiers among the best can be found", "pair", apart)] if apart else []


def _cells(grid: Iterable[TrialConfig]) -> Iterable[Cell]:
    cells: dict[tuple[Any, ...], Cell] = defaultdict(lambda: defaultdict(list))
    for config in grid:
        protocol = config.protocol if config.tuning is None else config.protocol.name
        place = config.task, config.dev_hash, str(config.amount), config.weights, protocol, config.tuning is None
        cells[place][str(config.strategy) if config.tuning is None else config.tuning.family].append(config)
    return cells.values()


def _asked(cell: Cell) -> Asked | None:
    """The comparisons of a cell with its baseline; None where it has none."""
    baseline = choose_baseline(cell, None)
    if baseline is None:
        return None
    units = {_unit(config) for config in cell[baseline]}
    return Asked(len(cell) - 1, len(units), len({config.restart for config in cell[baseline]}))


def _unit(config: TrialConfig) -> object:
    """What is drawn independently: the split, or the restart where all restarts train on the whole pool."""
    whole = config.fraction == 1 and config.protocol.data not in CUT_ANEW
    return config.restart if whole else config.split_hash


def _sentence(start: str, kind: str, asked: Iterable[Asked]) -> str:
    worst = max(asked, key=lambda one: (one.strategies, -one.units))
    with_what = " with the baseline" if kind == "comparison" else ""
    tests = f"{worst.strategies} {kind}{'s' * (worst.strategies > 1)}{with_what}"
    return f"{start}: {tests} at {counted(worst.units, worst.restarts)}; {needed(worst.strategies)}."
