"""What a trial costs: seconds by phase and the peak of its memory, over all parts of one that was interrupted."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

PEAK = "peak_memory"  # bytes, next to the seconds
PHASES = ("build", "train", "evaluate", "judge", "checkpoint", "total", PEAK)


Cost = dict[str, float]  # by phase


class Clock:
    """Seconds by phase of the trial that runs in this process; `before`: the cost of the parts that it goes on from."""

    def __init__(self) -> None:
        self.before: Cost = {}
        self.seconds: Cost = {}
        self.started = self.last = time.perf_counter()

    def begin(self) -> None:
        """Begin the first phase, and let the peak of memory be the trial's own."""
        self.last = time.perf_counter()
        reset_peak_memory()

    def lap(self, phase: str) -> None:
        """Book the time since the last lap, but for what is booked under another name."""
        now = time.perf_counter()
        self.seconds[phase] = now - self.last
        self.last = now

    @contextmanager
    def apart(self, name: str) -> Iterator[None]:
        """Book what happens within under its own name, and not in the phase that goes on around it."""
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            self.seconds[name] = self.seconds.get(name, 0.0) + spent
            self.last += spent

    def total(self) -> float:
        """Seconds since the trial began in this process, and those of earlier parts."""
        return self.before.get("total", 0.0) + time.perf_counter() - self.started

    def cost(self, phase: str | None = None) -> Cost:
        """The cost of all parts; in the middle of a phase that phase is named."""
        now = {} if phase is None else {phase: time.perf_counter() - self.last}
        return merge_costs(self.before, self.seconds | now | peak()) | {"total": self.total()}


def merge_costs(before: Mapping[str, float], now: Mapping[str, float]) -> Cost:
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
