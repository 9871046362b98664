"""How a long run shows itself: a live bar on a terminal, plain lines elsewhere."""

import time
from collections import Counter
from typing import Any, Self

from rich.console import Console
from rich.markup import escape as markup
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from benchmarks.executors.outcome import Outcome, Status
from benchmarks.trial.config import TrialConfig
from fisher.common.text import escape, shorten

PLAIN_EVERY = 10.0  # seconds between plain lines


class Display:
    """Done, left, failed and errors of a run, its rate, the time left and the current trials."""

    def __init__(self, total: int, console: Console, said: set[str] | None = None) -> None:
        self.total, self.console = total, console
        self.counts: Counter[Status] = Counter()
        self.retries = self.by_others = self.peak = 0
        self.running: dict[str, None] = {}
        self.said = set[str]() if said is None else said  # notes of trials, each said once
        self.started = self.spoken = time.monotonic()
        columns = (
            SpinnerColumn(),
            BarColumn(24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[summary]}"),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[current]}"),
        )
        self.bar = Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
        self.task = self.bar.add_task("", total=total, summary="", current="")

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self.bar.stop()

    def start(self, config: TrialConfig) -> None:
        """A trial was handed to the workers."""
        self.running[config.label] = None
        self._show()

    def end(self, config: TrialConfig, outcome: Outcome) -> None:
        """A trial ended; errors are said at once, everything else in the running figures."""
        fails_by_design = outcome.status is Status.FAILED and config.floor is not None
        self.counts[Status.OK if fails_by_design else outcome.status] += 1
        self.by_others += outcome.elsewhere
        self.peak = max(self.peak, outcome.peak_memory or 0)
        self._note(config, outcome)

    def retry(self, config: TrialConfig, outcome: Outcome) -> None:
        """A trial ended in an error and will be tried again."""
        self.retries += 1
        self._note(config, outcome, ", will be tried again")

    def _note(self, config: TrialConfig, outcome: Outcome, more: str = "") -> None:
        self.running.pop(config.label, None)
        if not outcome.status.is_done:
            gpu = f" (GPU {outcome.device.gpu})" if outcome.device and outcome.device.gpu is not None else ""
            line = f"{outcome.status}{more}: {config.label}: {shorten(outcome.reason or '', 200)}{gpu}"
            self.console.print(markup(escape(line)), highlight=False)
        for note in (shorten(str(note), 300) for note in outcome.notes):
            if note not in self.said:
                self.said.add(note)
                self.console.print(markup(escape(f"note: {note} ({config.label})")), highlight=False)
        self._show()

    def _show(self) -> None:
        self.bar.update(self.task, completed=self.done, summary=markup(self.summary()), current=markup(self.current()))
        now = time.monotonic()
        if not self.console.is_terminal and self.done and (now - self.spoken > PLAIN_EVERY or self.done == self.total):
            self.spoken = now
            parts = [f"{self.done}/{self.total} {self.summary()}, {self.left()}", self.current()]
            self.console.print("; ".join(filter(None, parts)), markup=False, highlight=False)

    @property
    def done(self) -> int:
        """Trials that ended in this run."""
        return sum(self.counts.values())

    def summary(self) -> str:
        """Counts that matter and the rate."""
        errors = sum(count for status, count in self.counts.items() if not status.is_done)
        minutes = max(time.monotonic() - self.started, 1e-6) / 60
        parts = [f"failed runs {self.counts[Status.FAILED]}, errors {errors}"]
        parts += [f"retries {self.retries}"] if self.retries else []
        parts += [f"by other launchers {self.by_others}"] if self.by_others else []
        parts += [f"{self.done / minutes:.1f}/min"]
        parts += [f"{len(self.running)} at a time"] if self.running else []
        parts += [f"peak {self.peak / 2**20:.0f} MB"] if self.peak else []
        return ", ".join(parts)

    def left(self) -> str:
        """Time left at the rate so far."""
        seconds = (time.monotonic() - self.started) / max(self.done, 1) * (self.total - self.done)
        return f"{seconds / 60:.1f} min left"

    def current(self) -> str:
        """The trial that has been running longest."""
        return next(iter(self.running), "")
