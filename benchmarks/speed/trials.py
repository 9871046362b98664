"""Whole trials: against the Hugging Face Trainer on the same split, batches and epochs, and several at a time."""

from __future__ import annotations

import copy
import functools
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch._dynamo.utils import calculate_time_spent
from transformers import DataCollatorWithPadding, PrinterCallback, Trainer, TrainingArguments, set_seed

from benchmarks.executors import variables
from benchmarks.executors.local import LocalExecutor, find_devices
from benchmarks.executors.outcome import Outcome, Status, Work
from benchmarks.speed.bench import Bench
from benchmarks.trial import models
from benchmarks.trial.config import TrialConfig
from benchmarks.trial.evaluation import EVALUATION_BATCH
from benchmarks.trial.inputs import Part, load_inputs
from benchmarks.trial.tokenizer import load_tokenizer
from benchmarks.trial.trial import execute
from fisher.common.errors import InputError
from fisher.common.measure import in_turn, ratios, summary

STRATEGY = "dropout(0.1) + wdecay(0, 0.01)"
COMPILED = ("first", "second")  # trials with torch.compile
PER_WORKER = 2  # trials that throughput is measured on
WARM_UP = {"steps": 2, "evaluate": "last"}  # settings of a short trial


def labelled(part: Part, tokenizer: Any, length: int) -> Any:
    """Token ids with their labels, padded to `length` (0: not at all), as the usual scripts make them."""
    rows = part.rows
    if length:
        rows = [dict(tokenizer.pad(dict(row), padding="max_length", max_length=length)) for row in rows]
    return [{**row, "label": label} for row, label in zip(rows, part.labels, strict=True)]


def trainer_trial(bench: Bench, length: int, *, compiled: bool = False) -> None:
    """Fine-tune and evaluate after every epoch with the stock Trainer; `length` 0 pads to the longest of a batch.

    `compiled`: with torch.compile, but without the TF32 products that the Trainer then turns on.
    """
    config = bench.config(STRATEGY)
    protocol = config.protocol
    tokenizer = load_tokenizer(bench.source)
    inputs = load_inputs(config, bench.resources)
    template = models.load_template(bench.source, bench.task.outputs).model
    set_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=protocol.epochs,
            per_device_train_batch_size=protocol.batch_size,
            per_device_eval_batch_size=EVALUATION_BATCH,
            learning_rate=protocol.lr,
            warmup_steps=0,
            weight_decay=0.01,
            eval_strategy="epoch",
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            use_cpu=bench.device == "cpu",
            bf16=protocol.precision == "bf16",
            torch_compile=compiled,
            tf32=False if compiled else None,
            disable_tqdm=True,
        )
        trainer = Trainer(
            model=copy.deepcopy(template),
            args=arguments,
            train_dataset=labelled(inputs.train, tokenizer, length),
            eval_dataset=labelled(inputs.dev, tokenizer, length),
            data_collator=DataCollatorWithPadding(tokenizer),
            compute_metrics=lambda found: {"mean": float(np.mean(found.predictions))},
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()


def measure(bench: Bench, rounds: int) -> dict[str, Any]:
    """Seconds of each kind of trial, in turn, after a short one of ours that warms up.

    `fixed` is what a warm trial of ours takes besides training and evaluating: model, batches, metrics, verdict;
    `evaluation_share` what evaluating takes of one that evaluates after every epoch, and after the last alone. The
    Trainer pads to max_length on the CPU only. Raises InputError for a trial of ours without a result.
    """
    configs = {"ours": bench.config(STRATEGY), "ours, evaluated once": bench.config(STRATEGY, evaluate="last")}
    fixed: list[float] = []
    shares: dict[str, list[float]] = {name: [] for name in configs}
    longest = configs["ours"].protocol.max_length

    def ours(name: str = "ours") -> None:
        started = time.perf_counter()
        seconds = seconds_of(configs[name], bench)
        shares[name].append(seconds["evaluate"] / seconds["total"])
        if name == "ours":
            fixed.append(time.perf_counter() - started - seconds["train"] - seconds["evaluate"])

    ways: dict[str, Callable[[], None]] = {
        "ours": ours,
        "ours, evaluated once": functools.partial(ours, "ours, evaluated once"),
        "trainer, padded to the batch": functools.partial(trainer_trial, bench, 0),
    }
    if bench.device == "cpu":
        ways["trainer, padded to max_length"] = functools.partial(trainer_trial, bench, longest)
    seconds_of(bench.config(STRATEGY, **WARM_UP), bench)
    times = in_turn({name: told(bench, name, way) for name, way in ways.items()}, rounds, bench.clock)
    return {
        "seconds": {name: summary(values) for name, values in times.items()},
        "ratios": ratios(times, [(name, "ours") for name in ways if name not in configs]),
        "fixed_seconds": summary(fixed),
        "evaluation_share": {name: summary(values) for name, values in shares.items()},
    }


def measure_compiled(bench: Bench) -> dict[str, Any]:
    """Seconds of two trials of the Trainer with torch.compile, and how many of them compiling takes by its own count.

    Both compile, for a first length, for lengths as a variable and for evaluation: the second has another model, but
    finds the generated code on disk.
    """
    compiling = [compile_seconds()]

    def compiled(name: str) -> None:
        told(bench, f"trainer, compiled, {name}", functools.partial(trainer_trial, bench, 0, compiled=True))()
        compiling.append(compile_seconds())

    try:
        times = in_turn({name: functools.partial(compiled, name) for name in COMPILED}, 1, bench.clock)
    finally:
        variables.clean()  # the Trainer asks for the compiler by a variable, and the next one would read it
        torch.compiler.reset()
    return {
        "seconds": {f"trainer, compiled, {name}": summary(values) for name, values in times.items()},
        "compile_seconds": {name: compiling[at + 1] - compiling[at] for at, name in enumerate(COMPILED)},
    }


def compile_seconds() -> float:
    """Seconds that torch.compile has taken in this process."""
    return calculate_time_spent().get("total_wall_time", 0.0)


def seconds_of(config: TrialConfig, bench: Bench) -> dict[str, float]:
    """Seconds by phase of one trial of ours."""
    result = execute(config, bench.resources)["result"]
    if not Status(result["status"]).is_done:
        raise InputError(f"a trial must have a result, got {result['status']}: {result['reason']}")
    return result["seconds"]


def told(bench: Bench, name: str, way: Callable[[], None]) -> Callable[[], None]:
    """The same, which says on stderr how long it took."""

    def tell() -> None:
        started = bench.clock()
        way()
        print(f"{bench.task.name}: {name} {bench.clock() - started:.1f} s", file=sys.stderr, flush=True)

    return tell


def throughput(
    bench: Bench, count: int, folder: Path, *, clock: Callable[[], float] = time.perf_counter
) -> dict[str, dict[str, Any]]:
    """{number of workers: what they did}: `count` workers on the one device, each started and warmed by a short trial.

    seconds: from submitting `PER_WORKER` trials per worker, equal but for their restart, to the last outcome;
    trials_per_hour: of those with a result; without_result: how many of the others ended how; reasons: of these, trials
    that warm up included; start_seconds: until the workers were warm; peak_memory: bytes, the most that one trial took.
    """
    folder = folder / f"throughput-{bench.task.name}-{count}"
    executor = LocalExecutor(find_devices(count, count, threads=1), threads=1, timeout=None)
    try:
        begun = clock()
        warmed = run_all(executor, bench, bench.configs(STRATEGY, count, **WARM_UP), folder)
        started = clock()
        outcomes = run_all(executor, bench, bench.configs(STRATEGY, PER_WORKER * count), folder)
        seconds = clock() - started
    finally:
        executor.close()
    done = sum(outcome.status.is_done for outcome in outcomes)
    rate = 3600 * done / seconds
    print(f"{bench.task.name}: {count} at a time, {rate:.1f} trials per hour", file=sys.stderr, flush=True)
    found = {
        "seconds": seconds,
        "trials_per_hour": rate,
        "without_result": dict(Counter(str(outcome.status) for outcome in outcomes if not outcome.status.is_done)),
        "reasons": sorted({f"{o.status}: {o.reason}" for o in [*warmed, *outcomes] if not o.status.is_done}),
        "start_seconds": started - begun,
        "peak_memory": max((outcome.peak_memory or 0 for outcome in outcomes), default=0),
    }
    return {str(count): found}


def run_all(executor: LocalExecutor, bench: Bench, configs: Sequence[TrialConfig], folder: Path) -> list[Outcome]:
    """The outcomes of all trials, as many at a time as there are workers."""
    work = [Work(config.to_json(), bench.resources, str(folder), attempt=1) for config in configs]
    return [future.result() for future in [executor.submit(one) for one in work]]
