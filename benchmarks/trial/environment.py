"""What runs a trial: versions, device and commit for its record, and torch's global state while it runs."""

import functools
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from fisher.common.packages import version_of

PACKAGES = ("torch", "transformers", "datasets", "accelerate", "numpy", "regbench")


@functools.cache
def environment(threads: int) -> dict[str, Any]:
    """What ran the trial; no part of its identity."""
    return {
        "python": platform.python_version(),
        **{name: version_of(name) for name in PACKAGES},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": threads,
        "platform": f"{sys.platform}-{platform.machine()}",
        "git": git_state(),
    }


def git_state() -> dict[str, Any] | None:
    """Commit of the project's checkout and whether it was modified; None outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    ask = functools.partial(subprocess.run, cwd=root, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    try:
        commit, changes = ask(["git", "rev-parse", "HEAD"]), ask(["git", "status", "--porcelain", "-uno"])
    except OSError:
        return None
    return {"commit": commit.stdout.strip(), "dirty": bool(changes.stdout.strip())} if commit.returncode == 0 else None


@contextmanager
def isolated(seed: int) -> Iterator[None]:
    """A fork of torch's generators, seeded; deterministic kernels inside; everything as before afterwards."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a costly debug aid
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic)
            torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
