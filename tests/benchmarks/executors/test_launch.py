"""A launch that has an end: no further trial after it, and nothing left behind."""

import math
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from benchmarks.executors.launch import run_under_leases
from benchmarks.executors.outcome import Outcome, Status, Work, Written
from benchmarks.executors.progress import Display
from benchmarks.executors.scheduler import Job
from benchmarks.trial.config import TrialConfig


class Instant:
    """An executor whose trials end at once, with the same note."""

    capacity = 1
    closed = False

    def __init__(self) -> None:
        self.trials: list[Work] = []

    def submit(self, task: Work) -> Future[Outcome]:
        self.trials.append(task)
        future = Future[Outcome]()
        future.set_result(Outcome(Status.OK, written=Written.WORKER, notes=("it did nothing",)))
        return future

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("until", "expected"), [(-math.inf, 1), (math.inf, 3)])
def test_no_trial_begins_after_the_end_and_notes_are_said_once_over_launches(
    until: float,
    expected: int,
    tmp_path: Path,
    make_configs: Callable[..., list[TrialConfig]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    said: set[str] = set()
    for _ in range(2):
        left, engine = {f"trial-{at}": config for at, config in enumerate(make_configs("none", restarts=3))}, Instant()
        plan: Any = SimpleNamespace(left=left, known=SimpleNamespace(checksums={}))
        job = Job(resources=None, output=tmp_path, retries=0, environment={})
        with Display(len(left), Console(soft_wrap=True), said) as display:
            for config, outcome in run_under_leases(engine, plan, job, display, until):
                display.end(config, outcome)
        assert len(engine.trials) == expected and engine.closed
        assert not (tmp_path / "leases").exists(), "no trial stays claimed"
    assert capsys.readouterr().out.count("note: it did nothing") == 1
