"""Seconds and memory of a Fisher estimate against the loop over single samples: the work of `fisher.bench`."""

import argparse
import json
import resource
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
import transformers

from fisher.common.files import require_writable, write_file
from fisher.common.measure import in_turn, ratios, summary
from fisher.estimation.accumulate import batches_agree, length_of, plan
from fisher.estimation.batched import add_squares
from fisher.options import SIZES
from fisher.pretraining.objectives import IGNORE, Loss, Sample, collate, objective_loss
from fisher.seeds import generator

Diagonal = dict[str, torch.Tensor]


def random_bert(size: str) -> Any:
    layers, width, heads = SIZES[size]
    config = transformers.BertConfig(
        hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=4 * width
    )
    torch.manual_seed(0)
    return transformers.BertForMaskedLM(config).eval()


def random_samples(count: int, length: int, vocabulary: int) -> list[Sample]:
    samples: list[Sample] = []
    for number in range(count):
        rng = generator("bench", number)
        ids = torch.randint(vocabulary, (length,), generator=rng)
        positions = torch.randperm(length, generator=rng)[: max(1, round(0.15 * length))].sort().values
        mask = torch.ones(length, dtype=torch.long)
        samples.append({"input_ids": ids, "attention_mask": mask, "positions": positions, "labels": ids[positions]})
    return samples


def batched(model: Any, samples: Sequence[Sample], loss: Loss, batch_tokens: int) -> Diagonal:
    """What `fisher.estimation.accumulate` does once a first batch has been checked."""
    total = {name: torch.zeros_like(value) for name, value in model.named_parameters()}
    for numbers in plan([length_of(sample) for sample in samples], batch_tokens):
        add_squares(total, model, collate([samples[number] for number in numbers]), loss)
    return {name: value / len(samples) for name, value in total.items()}


def plain_loop(model: Any, samples: Sequence[Sample]) -> Diagonal:
    """The empirical Fisher as one writes it down: the model's loss over all positions, one sample at a time."""
    total = {name: torch.zeros_like(value) for name, value in model.named_parameters()}
    for sample in samples:
        labels = torch.full_like(sample["input_ids"], IGNORE)
        labels[sample["positions"]] = sample["labels"]
        model.zero_grad()
        inputs = {name: sample[name].unsqueeze(0) for name in ("input_ids", "attention_mask")}
        model(**inputs, labels=labels.unsqueeze(0)).loss.backward()
        for name, value in model.named_parameters():
            if value.grad is not None:
                total[name] += value.grad**2
    model.zero_grad()
    return {name: value / len(samples) for name, value in total.items()}


def backward_alone(model: Any, samples: Sequence[Sample], loss: Loss, batch_tokens: int) -> None:
    """The bound: gradients of the batches' summed losses, thrown away."""
    for numbers in plan([length_of(sample) for sample in samples], batch_tokens):
        loss(model, collate([samples[number] for number in numbers])).sum().backward()
    model.zero_grad()


def largest_difference(first: Diagonal, second: Diagonal) -> float:
    """Over tensors, of the means, relative; tensors whose score is rounding noise (a key's bias) left out."""
    means = {name: (float(first[name].mean()), float(second[name].mean())) for name in first}
    noise = 1e-9 * max(one for one, _ in means.values())
    return max(abs(one - other) / other for one, other in means.values() if other > noise)


def peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def measure(size: str, *, length: int, samples: int, rounds: int, batch_tokens: int) -> dict[str, Any]:
    """Seconds per sample of both ways and of the bound, ratios round by round, agreement and peak memory."""
    torch.set_num_threads(1)
    imported = peak_bytes()
    model = random_bert(size)
    drawn = random_samples(samples, length, model.config.vocab_size)
    loss = objective_loss("mlm")
    batches_agree(model, drawn[:2], loss)
    found = batched(model, drawn[:2], loss, batch_tokens)
    peak = peak_bytes()
    ways: dict[str, Callable[[], object]] = {
        "batched": lambda: batched(model, drawn, loss, batch_tokens),
        "loop": lambda: plain_loop(model, drawn),
        "bound": lambda: backward_alone(model, drawn, loss, batch_tokens),
    }
    parameters = sum(value.numel() for value in model.parameters())
    result: dict[str, Any] = {
        "size": size,
        "parameters": parameters,
        "length": length,
        "samples": samples,
        "rounds": rounds,
        "batch_tokens": batch_tokens,
        "threads": 1,
        "torch": torch.__version__,
        "peak_memory": peak - imported,
        "peak_memory_in_parameters": (peak - imported) / (4 * parameters),
    }
    if rounds:
        times = in_turn(ways, rounds)
        result["cpu_seconds_per_sample"] = {name: summary([s / samples for s in times[name]]) for name in ways}
        for name in ("batched", "bound"):
            result[f"loop_over_{name}"] = ratios(times, [("loop", name)])[f"loop / {name}"]
        result["largest_relative_difference"] = largest_difference(found, plain_loop(model, drawn[:2]))
    return result


def run(args: argparse.Namespace) -> None:
    """Measure, print and keep the figures."""
    if args.output:
        require_writable(args.output)
    result = measure(
        args.size, length=args.length, samples=args.samples, rounds=args.rounds, batch_tokens=args.batch_tokens
    )
    text = json.dumps(result, indent=1)
    if args.output:
        write_file(args.output, (text + "\n").encode())
    print(text)
