"""What a trial costs: seconds by phase and the peak of its memory, over all parts of one that was interrupted."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import torch

PEAK = "peak_memory"  # bytes, next to the seconds
PHASES = ("build", "train", "evaluate", "judge", "checkpoint", "total", PEAK)


class Clock:
    """Seconds by phase of the trial that runs in this process."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.started = self.last = time.perf_counter()

    def begin(self) -> None:
        """Begin the first phase, and let the peak of memory be the trial's own."""
        self.last = time.perf_counter()
        reset_peak_memory()

    def lap(self, phase: str, less: float = 0.0) -> None:
        """Book the time since the last lap, less what is booked under another name."""
        now = time.perf_counter()
        self.seconds[phase] = now - self.last - less
        self.last = now

    def total(self) -> float:
        """Seconds since the trial began in this process."""
        return time.perf_counter() - self.started

    def so_far(self, phase: str, booked: Mapping[str, float]) -> dict[str, float]:
        """The cost in the middle of a phase; `booked` seconds of it have names of their own."""
        now = {phase: time.perf_counter() - self.last - sum(booked.values()), "total": self.total()}
        return self.seconds | dict(booked) | now | peak()


def merge_costs(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    """The cost of two parts of a trial: seconds added phase by phase, of the peaks the larger one."""
    pairs = {key: (before.get(key, 0.0), now.get(key, 0.0)) for key in {**before, **now}}
    return {key: max(pair) if key == PEAK else sum(pair) for key, pair in pairs.items()}


def reset_peak_memory() -> None:
    """Let the peak be this trial's own: CUDA's counter, or Linux's high-water mark of the process."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    elif Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


def peak() -> dict[str, float]:
    """Peak bytes since the reset: on the GPU, or resident in this process; empty where the system does not say."""
    if torch.cuda.is_available():
        return {PEAK: float(torch.cuda.max_memory_allocated())}
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    found = [int(line.split()[1]) * 1024.0 for line in lines if line.startswith("VmHWM")]
    return {PEAK: found[0]} if found else {}
