"""How a long run shows itself: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from rich.console import Console
from rich.markup import escape as markup
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from leaderboard.render.text import escape, shorten

PLAIN_EVERY = 10.0  # seconds between plain lines


class Display:
    """Done, left, failed and errors of a run, its rate, the time left and the current trials."""

    def __init__(self, total: int, console: Console) -> None:
        self.total, self.console = total, console
        self.counts: Counter[str] = Counter()
        self.retries = self.elsewhere = self.peak = 0
        self.running: dict[str, None] = {}
        self.told: set[str] = set()  # notes of trials, each said once
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

    def __enter__(self) -> Display:
        self.bar.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self.bar.stop()

    def start(self, config: dict[str, Any]) -> None:
        """A trial was handed to the workers."""
        self.running[name_of(config)] = None
        self._show()

    def end(self, config: dict[str, Any], outcome: dict[str, Any]) -> None:
        """A trial ended; errors are said at once, everything else in the running figures."""
        self.counts[outcome["status"]] += 1
        self.elsewhere += "elsewhere" in outcome
        self.peak = max(self.peak, outcome.get("peak_memory") or 0)
        self._note(config, outcome)

    def retry(self, config: dict[str, Any], outcome: dict[str, Any]) -> None:
        """A trial ended in an error and will be tried again."""
        self.retries += 1
        self._note(config, outcome, ", will be tried again")

    def _note(self, config: dict[str, Any], outcome: dict[str, Any], more: str = "") -> None:
        self.running.pop(name_of(config), None)
        if outcome["status"] not in ("ok", "failed", "skipped"):
            reason = shorten(outcome["reason"] or "", 200)
            line = f"{outcome['status']}{more}: {name_of(config)}: {reason}{_where(outcome)}"
            self.console.print(markup(escape(line)), highlight=False)
        for note in (shorten(str(note), 300) for note in outcome.get("notes") or ()):
            if note not in self.told:
                self.told.add(note)
                self.console.print(markup(escape(f"note: {note} ({name_of(config)})")), highlight=False)
        self._show()

    def _show(self) -> None:
        self.bar.update(self.task, completed=self.done, summary=markup(self.summary()), current=markup(self.current()))
        now = time.monotonic()
        if not self.console.is_terminal and self.done and (now - self.spoken > PLAIN_EVERY or self.done == self.total):
            self.spoken = now
            print(f"{self.done}/{self.total} {self.summary()}, {self.left()}; {self.current()}", flush=True)

    @property
    def done(self) -> int:
        """Trials that ended in this run."""
        return sum(self.counts.values())

    def summary(self) -> str:
        """Counts that matter and the rate."""
        errors = self.done - sum(self.counts[s] for s in ("ok", "failed", "skipped"))
        minutes = max(time.monotonic() - self.started, 1e-6) / 60
        parts = [f"failed runs {self.counts['failed']}, errors {errors}"]
        parts += [f"retries {self.retries}"] if self.retries else []
        parts += [f"by other launchers {self.elsewhere}"] if self.elsewhere else []
        parts += [f"{self.done / minutes:.1f}/min, {len(self.running)} at a time"]
        parts += [f"peak {self.peak / 2**20:.0f} MB"] if self.peak else []
        return ", ".join(parts)

    def left(self) -> str:
        """Time left at the rate so far."""
        seconds = (time.monotonic() - self.started) / max(self.done, 1) * (self.total - self.done)
        return f"{seconds / 60:.1f} min left"

    def current(self) -> str:
        """The trial that has been running longest."""
        return next(iter(self.running), "")


def name_of(config: dict[str, Any]) -> str:
    """A trial as people call it."""
    return f"{config['task']} {config['fraction']:g} {config['strategy']} restart {config['restart']}"


def _where(outcome: dict[str, Any]) -> str:
    """The GPU of a trial, where it had one."""
    gpu = outcome.get("place", {}).get("gpu")
    return "" if gpu is None else f" (GPU {gpu})"
