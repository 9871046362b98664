"""Fisher scores of the fine-tuning loss on a training split: the work of `benchmarks.fisher`.

F_i = 1/n sum_k (d l(x_k, y_k) / d theta_i)^2  at  theta = w_pre,  l the loss that fine-tuning minimises
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.data.origin import Origin
from benchmarks.data.sources import examples_hash
from benchmarks.data.splits import make_split, split_hash
from benchmarks.planning.suite_file import read_assignment
from benchmarks.trial import models
from benchmarks.trial.config import Seeds
from benchmarks.trial.inputs import Part, encode_all, part_of
from benchmarks.trial.protocol import Protocol, make_protocol
from fisher.common.errors import require
from fisher.common.files import require_writable
from fisher.estimation.accumulate import Report
from fisher.estimation.output import accumulate_resumably, measured_of, produce
from fisher.pretraining.checkpoint import require_device
from fisher.pretraining.corpus import subsample_order
from fisher.pretraining.objectives import Batch, Sample
from fisher.scores import Scores, base_names
from regularizers.base import criterion, forward


def task_loss(model: torch.nn.Module, batch: Batch) -> Tensor:
    """The training criterion of each example by itself, shape (batch,)."""
    pairs = zip(forward(model, batch).split(1), batch["labels"].split(1), strict=True)
    return torch.stack([criterion(logits, label) for logits, label in pairs])


def as_samples(part: Part, order: Sequence[int]) -> list[Sample]:
    """Token ids and label of each example, in the given order; labels are 0-d tensors, int64 or float32."""
    kind = torch.float32 if isinstance(part.labels[0], float) else torch.int64
    return [
        {name: torch.tensor(values) for name, values in part.rows[at].items()}
        | {"labels": torch.tensor(part.labels[at], dtype=kind)}
        for at in order
    ]


def prepare(args: argparse.Namespace, protocol: Protocol) -> tuple[Any, list[Sample], dict[str, Any]]:
    """The model with a restart's head, a task's training split, and what tells this request from others."""
    origin = Origin(args.data_dir, args.task_file, args.offline)
    source, data = find_source(args, origin), origin.load(args.task)
    split = make_split(data, protocol, fraction=args.fraction, split_seed=args.split_seed, restart=args.restart)
    train = part_of(split.train, "train", protocol, encode_all(source, data, protocol.max_length))
    seed = Seeds.of(args.restart, args.split_seed).init
    model, head = models.build(source, data.task.outputs, seed=seed, head_init=protocol.head_init)
    for name in head:
        model.get_parameter(name).requires_grad_(False)
    recipe = {
        "kind": "empirical",
        "objective": "task",
        "reduction": "mean",
        "samples": len(split.train),
        "seed": args.split_seed,
        "task": data.task.name,
        "fraction": args.fraction,
        "restart": args.restart,
        "protocol": protocol.name,
        "data": protocol.data,
        "head_init": protocol.head_init,
        "head_hash": models.head_hash(model, head),
        "max_length": protocol.max_length,
        "batch_tokens": args.batch_tokens,
        "corpus": f"{data.task.name}, training split",
        "corpus_size": len(split.train),
        "corpus_hash": examples_hash(split.train),
        "split_hash": split_hash(data.task, split.train),
        "model": source.label,
        "model_type": model.config.model_type,
        "weights": models.weights_of(source),
    }
    order = subsample_order(len(train.rows), args.split_seed)
    return model.eval(), as_samples(train, order), recipe


def find_source(args: argparse.Namespace, origin: Origin) -> models.Source:
    """The model asked for; the embedded one where the task is embedded too."""
    embedded = origin.task(args.task).kind == "embedded"
    require(
        args.model is not None or embedded,
        f"--model must be given for {args.task}: a hub id such as bert-large-uncased, or a folder",
    )
    return models.find_model(args.model or "pocket", offline=args.offline)


def run(args: argparse.Namespace) -> None:
    """Check, estimate, keep."""
    require_device(args.device)
    require_writable(args.output)
    model, samples, recipe = prepare(args, make_protocol(args.protocol, dict(map(read_assignment, args.set))))

    def estimate(partial: Path, report: Report) -> Scores:
        """The diagonal under the base model's names, in float32."""
        model.to(args.device)
        state = accumulate_resumably(model, samples, task_loss, recipe, partial=partial, report=report)
        diagonal = {name: value.float().cpu() for name, value in state.diagonal().items()}
        return Scores(base_names(diagonal, model.base_model_prefix), recipe | measured_of(state))

    scores = produce(args.output, recipe, len(samples), estimate)
    print(f"{args.output}: {len(scores.values)} tensors, {len(samples)} examples of {args.task}")
