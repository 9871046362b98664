"""The device that is measured: how its time is read, and how fast it multiplies."""

from __future__ import annotations

import gc
import platform
import time
from collections.abc import Callable

import torch
from accelerate.state import AcceleratorState, PartialState

from fisher.common.errors import require
from fisher.common.measure import in_turn

SIZES = {"cpu": 1024, "cuda": 8192}  # of the square matrices whose product is timed
WARM = 3  # products that are not timed
PRODUCTS = 7


def settle(device: str) -> None:
    """Let everything of this process train on the device, steps and whole trials, ours and the Trainer's.

    Raises InputError where torch sees no GPU and one was asked for.
    """
    if device == "cuda":
        do = "leave --device out to measure the CPU"
        require(torch.cuda.is_available(), "--device cuda must have a GPU that torch can use", "none", do)
    torch.set_num_threads(1)
    AcceleratorState._reset_state(reset_partial_state=True)
    PartialState(cpu=device == "cpu")  # which every Accelerator takes its device from


def label(device: str, precision: str) -> str:
    """What the tables call it."""
    name = torch.cuda.get_device_name() if device == "cuda" else f"{platform.machine()}, one thread"
    return f"{name}, {precision}"


def clock(device: str) -> Callable[[], float]:
    """Seconds of processor time on the CPU; on a GPU those of the clock, read when its work is done."""
    return time.process_time if device == "cpu" else synchronized_clock


def synchronized_clock() -> float:
    """Seconds of the clock, once the GPU has done all that it was given."""
    torch.cuda.synchronize()
    return time.perf_counter()


def free() -> None:
    """Give back the memory of what was measured before."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def matmul_rate(device: str, precision: str) -> float:
    """Operations per second of a square matrix product in the precision: the best of several."""
    size, kind = SIZES[device], torch.bfloat16 if precision == "bf16" else torch.float32
    one, other = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
    seconds = in_turn({"product": lambda: one @ other}, WARM + PRODUCTS, clock(device))["product"]
    return 2 * size**3 / min(seconds[WARM:])
