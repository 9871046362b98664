"""The checkpoint of a trial: one file, replaced every so many optimizer steps, gone when the trial's record is written.

`OUTPUT/checkpoints/<record's name>.safetensors` holds the state of the training (`regularizers.resume`), what the parts
of the trial have cost so far, and what it belongs to: the hash of the config, and the software, device and micro-batch
that made it, because on others the rest of the training would not end bit for bit like the first part. A trial without
`Plan` neither reads nor writes one.
"""

import contextlib
import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

from benchmarks.trial.config import TrialConfig
from benchmarks.trial.cost import PHASES, Clock
from fisher.common.files import write_atomic
from fisher.common.flatten import flatten, unflatten
from leaderboard.records.schema import RecordError
from leaderboard.records.store import set_aside
from regularizers.resume import CannotSave, Checkpoints, State

FOLDER, SUFFIX = "checkpoints", ".safetensors"
SCHEMA = 2
MICRO_BATCH = "micro_batch"  # also in the file's metadata, to be read without the tensors
MOST = 1e15  # seconds or bytes; more is no cost


@dataclass(frozen=True)
class Plan:
    """The output folder of a run, and how many optimizer steps a trial does between two checkpoints."""

    output: str
    every: int

    def path(self, trial: str) -> Path:
        """Where the checkpoint of a trial lies, by the trial's id."""
        return Path(self.output) / FOLDER / f"{trial}{SUFFIX}"

    def micro_batch(self, trial: str) -> int | None:
        """The micro-batch that a trial's checkpoint was made with, None where it names no number."""
        try:
            path = self.path(trial)
            with safe_open(path if path.is_file() else "", "pt") as file:
                return int(file.metadata()[MICRO_BATCH])
        except Exception:  # whatever a file from strangers leads to: `Checkpoint.load` says what is wrong
            return None


class Checkpoint:
    """The checkpoint of the trial that runs, and what there is to say about it afterwards.

    clock: what the trial costs, of which the checkpoint holds the earlier parts; resumed: the steps at which the trial
    went on; unusable: the file was set aside.
    """

    def __init__(self, plan: Plan, config: TrialConfig, circumstances: Mapping[str, Any], clock: Clock) -> None:
        self.plan, self.path, self.clock = plan, plan.path(config.id), clock
        self.of = {"schema": SCHEMA, "trial": config.id, **circumstances, "processor": processor()}
        self.resumed: list[int] = []
        self.notes: list[str] = []
        self.refused = self.kept = self.unusable = False

    def hooks(self) -> Checkpoints:
        """What the training loop calls."""
        return Checkpoints(self.plan.every, self.load, self.keep)

    def load(self) -> State | None:
        """The state to go on from, None where the trial begins anew."""
        remove_unfinished(self.path)
        if self.unusable or not os.path.lexists(self.path):
            return None
        try:
            content = read(self.path)
            of, steps = content["of"], [*content["resumed"], content["state"]["step"]]
            if not all(isinstance(key, str) for key in of):
                raise ValueError("what it belongs to must be told by names")
            if of.get("trial") != self.of["trial"]:
                raise ValueError("it is of another trial")
            if not all(type(step) is int for step in steps):
                raise ValueError("its steps must be whole numbers")
            before = {key: min(max(0.0, content["cost"][key]), MOST) for key in PHASES if key in content["cost"]}
            different = sorted(key for key in {**of, **self.of} if of.get(key) != self.of.get(key))
        except Exception as error:  # whatever a file from strangers leads to
            self.set_aside(str(error))
            return None
        if different:
            self.say(f"the checkpoint was made with another {', '.join(different)}; the trial starts anew")
            return None
        self.clock.before, self.resumed = before, steps
        return content["state"]

    def keep(self, take: Callable[[], State]) -> None:
        """Replace the checkpoint; a training that cannot be saved, and a disk that is full, go on without."""
        if not self.refused:
            with self.clock.apart("checkpoint"):
                self._write(take)

    def _write(self, take: Callable[[], State]) -> None:
        try:
            cost = self.clock.cost("train")
            content = {"of": self.of, "state": take(), "cost": cost, "resumed": self.resumed}
            data = save(flatten(content), {MICRO_BATCH: str(self.of.get(MICRO_BATCH))})
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self.path, data)
            self.kept = True
        except (OSError, MemoryError) as error:
            problem = getattr(error, "strerror", None) or "out of memory"
            self.say(f"a checkpoint could not be written ({problem}); the trial goes on without it")
        except Exception as error:  # of a plugin's state_dict
            self.refused = True
            why = str(error) if isinstance(error, CannotSave) else f"no checkpoint: {type(error).__name__}: {error}"
            self.say(f"{why}; the trial runs without checkpoints")

    def discard_after_failed_resume(self) -> None:
        """After an exception: what led to it without a single further checkpoint is not gone on from once more."""
        if self.resumed and not self.kept:
            self.set_aside(f"the trial went on at step {self.resumed[-1]} and ended in an error")

    def set_aside(self, reason: str) -> None:
        """Move the file out of the way, say so, and forget what was read of it."""
        self.clock.before, self.resumed, self.unusable = {}, [], True
        said = set_aside([RecordError(reason, self.path)], Path(self.plan.output) / "set_aside")
        print("\n".join(said), file=sys.stderr)
        self.say(f"the checkpoint cannot be used ({reason[:200]}) and was set aside; its trial starts anew")

    def say(self, sentence: str) -> None:
        """Note a sentence, once, for whoever looks at the record or at the output of a trial that ends badly."""
        if sentence not in self.notes:
            self.notes.append(sentence)
            print(sentence, file=sys.stderr)

    def noted(self) -> dict[str, Any]:
        """What the record's environment says: the steps at which the trial went on, and the sentences."""
        found = {"resumed": self.resumed, "notes": self.notes}
        return {key: value for key, value in found.items() if value}


def read(path: Path) -> dict[str, Any]:
    """What a file holds; an exception of any kind where it holds no checkpoint."""
    if not path.is_file():
        raise ValueError("it must be a regular file")
    return unflatten(load_file(path))


def processor() -> str:
    """The instructions that torch uses and the processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{torch.backends.cpu.get_cpu_capability()} {next(named, platform.processor())}"


def remove_unfinished(path: Path) -> None:
    """Remove what a process that was killed while it wrote this file left behind; what cannot be removed stays."""
    with contextlib.suppress(OSError):
        for rest in path.parent.glob(f".{path.name}.*.tmp") if path.parent.is_dir() else []:
            rest.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Remove a checkpoint that nothing needs any more, and what is left of unfinished ones, as far as that can be."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
    remove_unfinished(path)


def remove_done(output: Path, names: Iterable[str]) -> None:
    """Remove checkpoints of trials, by name, whose records are written: their process ended just after that."""
    there: set[str] = set()
    with contextlib.suppress(OSError):
        there = {name.removesuffix(SUFFIX) for name in os.listdir(output / FOLDER)}
    for name in there.intersection(names):
        remove(output / FOLDER / f"{name}{SUFFIX}")
