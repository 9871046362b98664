"""Trials on this machine: one slot per CPU worker, or K slots per visible GPU."""

import concurrent.futures
import math
import os
import queue
import socket
from pathlib import Path

from benchmarks.executors.outcome import Device, Outcome, Work
from benchmarks.executors.slot import Slot

CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")  # "QUOTA PERIOD" in microseconds, or "max PERIOD"


def visible_gpus() -> list[str]:
    """Names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES takes them."""
    import torch

    count = torch.cuda.device_count()
    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return named[:count] if len(named) >= count else [str(number) for number in range(count)]


def cores(limit: Path = CPU_LIMIT) -> int:
    """CPU cores that this process may run on, and no more than its container grants (control groups, version 2)."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = limit.read_text().split()
        return max(1, min(count, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError, ZeroDivisionError):  # no container, or one without a limit ("max")
        return count


def find_devices(workers: int | None, per_device: int, threads: int, *, executor: str = "local") -> list[Device]:
    """Where trials run: every GPU `per_device` times, neighbours on different GPUs; without GPUs, cores / threads.

    `workers` overrides how many there are.
    """
    gpus = visible_gpus()
    count = workers or (len(gpus) * per_device if gpus else max(1, cores() // threads))
    chosen = [gpus[slot % len(gpus)] if gpus else None for slot in range(count)]
    return [Device(executor, slot, gpu, per_device, socket.gethostname()) for slot, gpu in enumerate(chosen)]


def in_words(devices: list[Device]) -> str:
    """Workers and their devices in words."""
    gpus = list(dict.fromkeys(device.gpu for device in devices if device.gpu is not None))
    return f"{len(devices)} worker{'' if len(devices) == 1 else 's'}" + (f" on GPU {', '.join(gpus)}" if gpus else "")


class LocalExecutor:
    """Slots of this machine behind futures; every future ends with an outcome, whatever the trial does."""

    def __init__(self, devices: list[Device], *, threads: int, timeout: float | None) -> None:
        self.capacity = len(devices)
        self._slots = [Slot(device, threads, timeout) for device in devices]
        self._free: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        for slot in self._slots:
            self._free.put(slot)
        self._threads = concurrent.futures.ThreadPoolExecutor(len(devices), thread_name_prefix="slot")

    def submit(self, task: Work) -> concurrent.futures.Future[Outcome]:
        """Run one trial in a free slot."""
        return self._threads.submit(self._run, task)

    def _run(self, task: Work) -> Outcome:
        slot = self._free.get()
        try:
            return slot.run(task)
        finally:
            self._free.put(slot)

    def close(self) -> None:
        """End all processes, running trials included."""
        for slot in self._slots:
            slot.stop()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for slot in self._slots:
            slot.kill()
