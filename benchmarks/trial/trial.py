"""One trial: a config in, a record out. Everything that determines the result stands in the config."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import platform
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from benchmarks.data import batches
from benchmarks.data.sources import Example, TaskData, examples_hash, load_task_data, load_test
from benchmarks.data.tasks import Task, find_task, task_from_file
from benchmarks.grid import Split, make_split
from benchmarks.trial import metrics, models
from benchmarks.trial.checkpoints import Checkpoint, Plan
from benchmarks.trial.cost import PEAK, Clock, merge_costs, peak
from benchmarks.trial.forward import prepare
from benchmarks.trial.protocol import Protocol
from benchmarks.trial.seeds import derive
from benchmarks.trial.tokenizer import load_tokenizer
from fisher.scores import Scores, load_scores
from regularizers.base import Context, SkipTrial
from regularizers.context import History
from regularizers.loop import fit
from regularizers.registry import load_plugins
from regularizers.resume import BadState
from regularizers.strategy import BoundStrategy, parse

EVALUATION_BATCH = 64
DIGITS = 6  # predictions are rounded before they are scored, so that a stored prediction scores exactly the same
TRACE_LINES = 12


@dataclass(frozen=True)
class Resources:
    """Where this machine has what a config names; nothing here may change a score beyond rounding.

    predict_test: also predict the test set with the last weights, after the trial has been judged; micro_batch:
    examples per forward pass where the protocol's did not fit; checkpoints: where an interrupted trial goes on from.
    """

    model: models.Source
    data_dir: str | None = None
    task_file: str | None = None
    offline: bool = False
    plugins: tuple[str, ...] = ()
    fisher: Mapping[str, str] = field(default_factory=dict)  # source named by a strategy -> file of scores
    threads: int = 1
    predict_test: bool = False
    micro_batch: int | None = None
    checkpoints: Plan | None = None


def resolve_task(name: str, task_file: str | None) -> Task:
    """A task by name, or the user's own where `--task-file` defines one of that name."""
    if task_file is not None:
        own = task_from_file(Path(task_file))
        if own.name == name:
            return own
    return find_task(name)


@functools.lru_cache(maxsize=16)
def load_data(name: str, data_dir: str | None, task_file: str | None, offline: bool) -> TaskData:
    """The task's examples, read once per process."""
    folder = None if data_dir is None else Path(data_dir)
    return load_task_data(resolve_task(name, task_file), data_dir=folder, offline=offline)


@functools.lru_cache(maxsize=16)
def load_tests(name: str, data_dir: str | None, task_file: str | None, offline: bool) -> dict[str, tuple[Example, ...]]:
    """The task's unlabelled test sets by name (`test`; MNLI also `mismatched`), read once per process."""
    task, folder = resolve_task(name, task_file), None if data_dir is None else Path(data_dir)
    parts = ("test", *(part for part, _, _ in (task.glue.extra if task.glue else ())))
    return {part: load_test(task, name=part, data_dir=folder, offline=offline) for part in parts}


@functools.lru_cache(maxsize=16)
def encode_all(
    source: models.Source, name: str, data_dir: str | None, task_file: str | None, offline: bool, max_length: int
) -> dict[str, batches.Encoded]:
    """Train, dev and further dev sets as token ids, once per process."""
    data = load_data(name, data_dir, task_file, offline)
    tokenizer = load_tokenizer(source)
    parts = {"train": data.train, "dev": data.dev, **data.extra}
    return {part: batches.encode(examples, tokenizer, max_length) for part, examples in parts.items()}


@functools.lru_cache(maxsize=4)
def encode_tests(
    source: models.Source, name: str, data_dir: str | None, task_file: str | None, offline: bool, max_length: int
) -> dict[str, tuple[str, batches.Encoded]]:
    """{test set: (hash of its examples, their token ids)}, once per process."""
    tests, tokenizer = load_tests(name, data_dir, task_file, offline), load_tokenizer(source)
    return {
        part: (examples_hash(examples), batches.encode(examples, tokenizer, max_length))
        for part, examples in tests.items()
    }


def execute(config: dict[str, Any], resources: Resources) -> dict[str, Any]:
    """Run one trial and return its record; an exception of the trial becomes a record with its status and reason."""
    clock, checkpoint = Clock(), None
    if resources.checkpoints is not None:
        circumstances = {**environment(resources.threads), "micro_batch": resources.micro_batch}
        checkpoint = Checkpoint(resources.checkpoints, config, circumstances)
    try:
        result = run(config, resources, clock, checkpoint)
    except SkipTrial as skip:
        result = no_result("skipped", str(skip))
    except (torch.OutOfMemoryError, MemoryError) as error:
        result = no_result("oom", f"{type(error).__name__}: {error}")
    except Exception as error:
        status = "oom" if "DefaultCPUAllocator" in str(error) else "error"
        result = no_result(status, f"{type(error).__name__}: {error}")
        result["traceback"] = traceback.format_exc().splitlines()[-TRACE_LINES:]
        if checkpoint is not None:
            checkpoint.distrust()
    before = checkpoint.before.get("total", 0.0) if checkpoint else 0.0
    result["seconds"]["total"] = round(before + clock.total(), 3)
    noted = checkpoint.noted() if checkpoint else {}
    return {"config": config, "result": result, "environment": environment(resources.threads) | noted}


def labels_of(examples: Sequence[Example]) -> list[int] | list[float]:
    """Labels of labelled examples, all class ids or all scores."""
    labels = [example.label for example in examples]
    assert None not in labels, "train and dev examples carry labels"
    return labels  # type: ignore[return-value]


def no_result(status: str, reason: str) -> dict[str, Any]:
    """The result block of a trial without a score."""
    return {"status": status, "reason": reason, "score": None, "failed": None, "failed_by": None, "seconds": {}}


def run(config: dict[str, Any], resources: Resources, clock: Clock, checkpoint: Checkpoint | None) -> dict[str, Any]:
    """The result of a trial, from its beginning where its checkpoint turns out to be of no use."""
    try:
        return train(config, resources, clock, checkpoint)
    except BadState as error:
        assert checkpoint is not None
        checkpoint.set_aside(str(error))
        return train(config, resources, clock, checkpoint)


def train(config: dict[str, Any], resources: Resources, clock: Clock, checkpoint: Checkpoint | None) -> dict[str, Any]:
    """Build, attach, train, evaluate, judge; raises whatever goes wrong."""
    load_plugins(resources.plugins)  # the launcher has said what of the installed ones is broken
    where = (config["task"], resources.data_dir, resources.task_file, resources.offline)
    protocol, data = Protocol(**config["protocol"]), load_data(*where)
    encoded = encode_all(resources.model, *where, protocol.max_length)
    split = make_split(
        data,
        protocol,
        fraction=config["fraction"],
        split_seed=config["split_seed"],
        restart=config["restart"],
    )
    rows = split_rows(split, protocol, encoded)
    clock.begin()
    with isolated(config["seeds"]["init"]):
        AcceleratorState._reset_state()  # the precision of the trial before this one
        accelerator = Accelerator(mixed_precision="bf16" if protocol.precision == "bf16" else "no")
        outputs = 1 if data.task.labels is None else len(data.task.labels)
        model, head = models.build(resources.model, outputs, seed=config["seeds"]["init"], head_init=protocol.head_init)
        head_digest = models.head_hash(model, head)
        model.to(accelerator.device)
        pad = model.config.pad_token_id or 0
        order = batches.TrainBatches(
            rows["train"],
            labels_of(split.train),
            size=protocol.batch_size,
            seed=config["seeds"]["order"],
            pad=pad,
        )
        strategy, touched = attach(config, resources, model, head, len(split.train))
        trial = Evaluation(data.task, model, split.dev, rows["dev"], strategy.context, pad)
        clock.lap("build")
        rank = accelerator.process_index  # 0 unless under `accelerate launch`
        torch.manual_seed(derive("noise", config["restart"], rank) if rank else config["seeds"]["noise"])
        recipe = protocol.recipe()
        if resources.micro_batch is not None:
            recipe = dataclasses.replace(recipe, micro_batch=resources.micro_batch)

        def booked() -> dict[str, float]:
            return {"evaluate": trial.seconds} | ({"checkpoint": checkpoint.seconds} if checkpoint else {})

        hooks = checkpoint.hooks(lambda: clock.so_far("train", booked())) if checkpoint else None
        history = fit(strategy, order, recipe, accelerator=accelerator, evaluate=trial.evaluate, checkpoints=hooks)
        clock.lap("train", less=sum(booked().values()))
        result = trial.judge(history, protocol.selection, config["metric"], derive("chance", config["restart"]))
        diverged = result["failed_by"] == "diverged"
        result["extra"] = {} if diverged else trial.score_extra(data, encoded, strategy)
        if resources.predict_test:
            tests = {} if diverged else encode_tests(resources.model, *where, protocol.max_length)
            result["test"] = trial.predict_test(tests, strategy)
        clock.lap("judge")
    result["touched"], result["micro_batch"] = touched, recipe.micro_batch
    result["train_loss"] = [round(loss, DIGITS) for loss in history.losses if math.isfinite(loss)]
    result["hashes"] = {"head": head_digest, "batches": order.fingerprint(), "split": config["split_hash"]}
    cost = merge_costs(checkpoint.before if checkpoint else {}, clock.seconds | booked() | peak())
    result["peak_memory"] = int(cost.pop(PEAK)) if PEAK in cost else None
    result["seconds"] = {phase: round(seconds, 3) for phase, seconds in cost.items() if phase != "total"}
    return result


def split_rows(split: Split, protocol: Protocol, encoded: dict[str, batches.Encoded]) -> dict[str, batches.Encoded]:
    """Token ids of a split's two parts; pooled ids count train and then dev."""
    if protocol.data == "official":
        return {
            "train": [encoded["train"][e.id] for e in split.train],
            "dev": [encoded["dev"][e.id] for e in split.dev],
        }
    pool = encoded["train"] + encoded["dev"]
    return {"train": [pool[e.id] for e in split.train], "dev": [pool[e.id] for e in split.dev]}


@functools.lru_cache(maxsize=2)
def read_scores(path: str) -> Scores:
    """A file of Fisher scores, read once per process."""
    return load_scores(path)


def attach(
    config: dict[str, Any], resources: Resources, model: torch.nn.Module, head: frozenset[str], examples: int
) -> tuple[BoundStrategy, dict[str, list[str]]]:
    """Bind the strategy to the model; raises if a term that promises to act touched nothing."""
    strategy = parse(config["strategy"])
    sources = [source for source in strategy.fisher_sources() if source in resources.fisher]
    fisher = {source: read_scores(resources.fisher[source]) for source in sources}
    generator = torch.Generator().manual_seed(config["seeds"]["noise"])
    forward = prepare(model, config["protocol"]["forward"])
    context = Context(model, head, generator, fisher=fisher, examples=examples, forward=forward)
    bound = strategy.bind(context)
    touched = bound.attach()
    for term, names in touched.items():
        if not names and term.removeprefix("head:") != "none":
            raise SkipTrial(f"{term} touched no module of this model")
    return bound, touched


class Evaluation:
    """Scores a model on dev after each epoch and, at the end, judges the run."""

    def __init__(
        self,
        task: Task,
        model: torch.nn.Module,
        dev: Sequence[Example],
        rows: batches.Encoded,
        context: Context,
        pad: int,
    ) -> None:
        self.task, self.model, self.context, self.pad = task, model, context, pad
        self.labels = labels_of(dev)
        self.batches = batches.evaluation_batches(rows, EVALUATION_BATCH, pad)
        self.seconds = 0.0

    def evaluate(self) -> dict[str, Any]:
        """Predictions, all scores and the distance from w_pre with the weights as they are."""
        started = time.perf_counter()
        predictions = self.predict(self.batches, len(self.labels))
        finite = all(math.isfinite(value) for value in predictions)
        scores = metrics.scores(self.task, predictions, self.labels) if finite else None
        deviation = self.deviation()
        self.seconds += time.perf_counter() - started
        return {"predictions": predictions, "scores": scores, "deviation": deviation}

    @torch.inference_mode()
    def predict(self, groups: list[tuple[list[int], dict[str, torch.Tensor]]], count: int) -> list[int] | list[float]:
        """Class ids, or rounded values, in the order of the examples."""
        device = next(self.model.parameters()).device
        answers: list[Any] = [0] * count
        for positions, batch in groups:
            logits = self.context.forward(self.model, {k: v.to(device) for k, v in batch.items()}).float()
            values = logits.squeeze(-1).tolist() if self.task.labels is None else logits.argmax(-1).tolist()
            if not torch.isfinite(logits).all():
                values = [math.nan] * len(positions)
            for position, value in zip(positions, values, strict=True):
                answers[position] = value if self.task.labels is not None else round(value, DIGITS)
        return answers

    def deviation(self) -> float:
        """||w - w_pre||^2 over the parameters that have a w_pre."""
        initial = self.context.initial
        pairs = [
            (p, initial[n]) for n, p in self.model.named_parameters() if n in initial and n not in self.context.head
        ]
        return float(sum((p.detach() - start).double().square().sum() for p, start in pairs))

    def judge(self, history: History, selection: str, metric: str, seed: int) -> dict[str, Any]:
        """The result block: the selected epoch's score and the failed-run rule on it."""
        diverged = history.diverged_at is not None or any(epoch["scores"] is None for epoch in history.epochs)
        numbered = ({"epoch": at} | epoch for at, epoch in enumerate(history.epochs, start=1))
        kept = [epoch for epoch in numbered if epoch["scores"] is not None]
        chosen = None
        if not diverged:
            best = max(kept, key=lambda epoch: epoch["scores"][metric])
            chosen = best if selection == "best_dev" else kept[-1]
        predictions = chosen["predictions"] if chosen else []
        verdict = metrics.judge(self.task, metric, predictions, self.labels, diverged=diverged, seed=seed)
        return {
            "status": "failed" if verdict.failed else "ok",
            "reason": None,
            **dataclasses.asdict(verdict),
            "epochs": [{"epoch": epoch["epoch"], "scores": epoch["scores"]} for epoch in kept],
            "predictions": predictions,
            "deviation": chosen["deviation"] if chosen else None,
            "diverged_at": history.diverged_at,
        }

    def score_extra(
        self, data: TaskData, encoded: dict[str, batches.Encoded], strategy: BoundStrategy
    ) -> dict[str, Any]:
        """Scores on the task's further dev sets (MNLI's mismatched one) with the last weights."""
        self.model.eval()
        answer = {}
        with strategy.evaluation():
            for name, examples in data.extra.items():
                groups = batches.evaluation_batches(encoded[name], EVALUATION_BATCH, self.pad)
                labels = labels_of(examples)
                answer[name] = metrics.scores(self.task, self.predict(groups, len(labels)), labels)
        return answer

    def predict_test(
        self, tests: Mapping[str, tuple[str, batches.Encoded]], strategy: BoundStrategy
    ) -> dict[str, dict[str, Any]]:
        """{test set: its predictions and the hash of its examples}, with the last weights."""
        self.model.eval()
        answer = {}
        with strategy.evaluation():
            for name, (digest, rows) in tests.items():
                groups = batches.evaluation_batches(rows, EVALUATION_BATCH, self.pad)
                answer[name] = {"predictions": self.predict(groups, len(rows)), "hash": digest}
        return answer


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


@functools.cache
def environment(threads: int) -> dict[str, Any]:
    """What ran the trial; no part of its identity."""
    packages = ("torch", "transformers", "datasets", "accelerate", "numpy")
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "regbench": version("regbench"),
        "device": device,
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
