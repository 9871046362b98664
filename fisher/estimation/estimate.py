"""The Fisher diagonal of a pretrained model on a corpus, with all that identifies it: the work of `fisher.estimate`."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fisher.common.errors import InputError, require
from fisher.common.files import require_writable
from fisher.estimation.accumulate import Report, unchanged
from fisher.estimation.diagonal import draw_labels, exact_fisher
from fisher.estimation.output import accumulate_resumably, measured_of, produce
from fisher.options import BATCH_TOKENS
from fisher.pretraining.checkpoint import checkpoint_hash, load_pretrained, require_device
from fisher.pretraining.corpus import corpus_hash, read_corpus, subsample_order
from fisher.pretraining.fit import position_limit
from fisher.pretraining.objectives import (
    Batch,
    Sample,
    Text,
    build_sample,
    objective_loss,
)
from fisher.scores import Scores, base_names
from fisher.seeds import generator


@dataclass(frozen=True)
class Drawn:
    """Samples, the numbers of their documents in the corpus, and how many documents left nothing to predict."""

    samples: list[Sample]
    documents: list[int]
    skipped: int


def estimate(
    model: str | Path,
    texts: Sequence[Text],
    *,
    objective: str = "mlm",
    samples: int,
    seed: int = 0,
    max_length: int | None = None,
    kind: str = "empirical",
    reduction: str = "mean",
    sentinels: str = "spans",
    corpus: str = "",
    batch_tokens: int = BATCH_TOKENS,
    device: str = "cpu",
    partial: Path | None = None,
    report: Report = lambda state: None,
) -> Scores:
    """The diagonal of a checkpoint (folder or hub id) in float32, with the metadata that identifies it.

    Args:
        texts: the whole corpus, of which `samples` documents are drawn without replacement.
        max_length: default 512, or what the model's positions allow when that is less.
        kind: see `fisher.estimation.diagonal`.
        corpus: what the metadata calls the corpus.
        batch_tokens: padded tokens of a batch; changes speed and memory, not the definition.
        partial: where unfinished work is kept and looked for.
        report: called with the state after each batch.
    Parameters that the checkpoint does not hold (a pooler, say) are left out.
    Raises:
        InputError: anything the request lacks; see `load_pretrained`, `draw_samples`, `accumulate`.
    """
    loaded, tokenizer = load_pretrained(model, objective)
    length = resolve_length(loaded.config, max_length)
    drawn = draw_samples(
        tokenizer, texts, objective, samples=samples, seed=seed, max_length=length, sentinels=sentinels
    )
    check_vocabulary(loaded, drawn.samples)
    recipe = {
        "kind": kind,
        "objective": objective,
        "reduction": reduction,
        "sentinels": sentinels if objective == "seq2seq" else None,
        "samples": samples,
        "seed": seed,
        "max_length": length,
        "batch_tokens": batch_tokens,
        "corpus": corpus,
        "corpus_size": len(texts),
        "corpus_hash": corpus_hash(texts),
        "model": model_label(model),
        "model_type": loaded.config.model_type,
        "weights": checkpoint_hash(model),
    }
    values, found = compute(loaded.to(device), drawn, recipe, partial, report)
    metadata = {**recipe, "skipped": drawn.skipped, "predictions": predictions(drawn.samples), **found}
    diagonal = {name: value.float().cpu() for name, value in values.items()}
    return Scores(base_names(diagonal, loaded.base_model_prefix), metadata)


def compute(
    model: Any, drawn: Drawn, recipe: dict[str, Any], partial: Path | None, report: Report
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """(diagonal, what else came out of it) of the kind that the recipe asks for."""
    loss = objective_loss(recipe["objective"], reduction=recipe["reduction"])
    if recipe["kind"] == "exact":
        return exact_fisher(model, drawn.samples, loss), {}

    def relabel(batch: Batch, numbers: Sequence[int]) -> Batch:
        rngs = [generator(recipe["seed"], "labels", drawn.documents[number]) for number in numbers]
        return draw_labels(model, batch, loss, rngs)

    state = accumulate_resumably(
        model,
        drawn.samples,
        loss,
        recipe,
        partial=partial,
        report=report,
        prepare=relabel if recipe["kind"] == "mc" else unchanged,
    )
    return state.diagonal(), measured_of(state)


def resolve_length(config: Any, max_length: int | None) -> int:
    """The length of samples in tokens; a model without absolute positions has no limit of its own."""
    limit = position_limit(config)
    if max_length is None:
        return min(512, limit or 512)
    most = f"at most {limit}, the positions of the model" if limit else "no more than memory allows"
    fits = max_length >= 4 and (limit is None or max_length <= limit)
    require(fits, f"max_length must be at least 4 and {most}", max_length)
    return max_length


def draw_samples(
    tokenizer: Any, texts: Sequence[Text], objective: str, *, samples: int, seed: int, max_length: int, sentinels: str
) -> Drawn:
    """The first n documents of the seeded permutation that leave something to predict, as samples."""
    require(1 <= samples <= len(texts), f"samples must be in 1..{len(texts)}, the documents of the corpus", samples)
    drawn = Drawn([], [], 0)
    for tried, document in enumerate(subsample_order(len(texts), seed), start=1):
        rng = generator(seed, objective, document)
        sample = build_sample(
            tokenizer, texts[document], objective, max_length=max_length, rng=rng, sentinels=sentinels
        )
        if sample is not None:
            drawn.samples.append(sample)
            drawn.documents.append(document)
        if len(drawn.samples) == samples:
            return Drawn(drawn.samples, drawn.documents, tried - samples)
    raise InputError(
        f"samples must be at most {len(drawn.samples)}, the documents of the corpus that leave something to predict, "
        f"got {samples}"
    )


def predictions(samples: Sequence[Sample]) -> int:
    return sum(len(sample["labels"]) for sample in samples)


def model_label(model: str | Path) -> str:
    """A hub id as it is; of a folder the last two names of its path."""
    return "/".join(Path(model).resolve().parts[-2:]) if Path(model).is_dir() else str(model)


def check_vocabulary(model: Any, samples: Sequence[Sample]) -> None:
    rows = model.get_input_embeddings().weight.shape[0]
    largest = max(int(sample["input_ids"].max()) for sample in samples)
    require(
        largest < rows,
        f"token ids must be below {rows}, the rows of the model's embeddings, but the tokenizer gives {largest}",
    )


def number_of_samples(available: int, samples: int | None, share: float | None) -> int:
    """N itself, or the share of the corpus, rounded to the nearest document but at least 1."""
    if samples is not None:
        return samples
    part = share or 0.0
    require(0 < part <= 1, "share must be in (0, 1]", share)
    return max(1, round(part * available))


def means_of(scores: Scores) -> Scores:
    """The tensor scores alone, as 0-d tensors: all that site scores need, but no diagonal."""
    means = {name: torch.tensor(value) for name, value in scores.tensor_scores().items()}
    return Scores(means, {**scores.metadata, "values": "means"})


def run(args: argparse.Namespace) -> None:
    """Check the request, estimate or resume, and write the file."""
    require_device(args.device)
    texts = read_corpus(args.corpus)
    samples = number_of_samples(len(texts), args.samples, args.share)
    require_writable(args.output)
    settings = {name: getattr(args, name) for name in ("objective", "seed", "kind", "reduction", "batch_tokens")}
    wanted = {"samples": samples, "corpus_hash": corpus_hash(texts), **settings}
    wanted |= {"max_length": args.max_length} if args.max_length else {}
    wanted |= {"sentinels": args.sentinels} if args.objective == "seq2seq" else {}
    wanted["values"] = "means" if args.means else None
    if args.output.exists():
        wanted["weights"] = checkpoint_hash(args.model)

    def make(partial: Path, report: Report) -> Scores:
        scores = estimate(
            args.model,
            texts,
            samples=samples,
            max_length=args.max_length,
            sentinels=args.sentinels,
            corpus=Path(args.corpus).name if Path(args.corpus).is_file() else args.corpus,
            device=args.device,
            partial=partial,
            report=report,
            **settings,
        )
        return means_of(scores) if args.means else scores

    scores = produce(args.output, wanted, samples, make)
    print(f"{args.output}: {len(scores.values)} tensors, {samples} samples of {len(texts)} documents")
