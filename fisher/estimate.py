"""Estimate the Fisher diagonal of a checkpoint on a corpus.

One sample is one document of the corpus, cut to `max_length` tokens. The n samples are the first n documents of a
seeded permutation of the corpus that leave something to predict; those that do not are counted as `skipped`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fisher.checkpoint import checkpoint_hash, load_pretrained
from fisher.corpus import corpus_hash, subsample_order
from fisher.diagonal import empirical_fisher
from fisher.errors import InputError
from fisher.objectives import Sample, Text, build_sample, objective_loss
from fisher.scores import Scores
from fisher.seeds import generator


def estimate(
    model: str | Path,
    texts: Sequence[Text],
    *,
    objective: str = "mlm",
    samples: int,
    seed: int = 0,
    max_length: int | None = None,
    reduction: str = "mean",
    sentinels: str = "spans",
    corpus: str = "",
) -> Scores:
    """The diagonal of a checkpoint (folder or hub id), with the metadata that identifies it.

    Args:
        texts: the whole corpus, of which `samples` documents are drawn without replacement.
        max_length: default 512, or what the model's positions allow when that is less.
        corpus: what the metadata calls the corpus.
    Parameters that the checkpoint does not hold (a pooler, say) are left out.
    Raises:
        InputError: anything the request lacks; see `load_pretrained`, `draw_samples`, `empirical_fisher`.
    """
    loaded, tokenizer = load_pretrained(model, objective)
    length = resolve_length(loaded.config, max_length)
    drawn, skipped = draw_samples(
        tokenizer, texts, objective, samples=samples, seed=seed, max_length=length, sentinels=sentinels
    )
    check_vocabulary(loaded, drawn)
    diagonal = empirical_fisher(loaded, drawn, objective_loss(objective, reduction=reduction))
    metadata = {
        "kind": "empirical",
        "objective": objective,
        "reduction": reduction,
        "sentinels": sentinels if objective == "seq2seq" else None,
        "samples": samples,
        "skipped": skipped,
        "predictions": sum(len(sample["labels"]) for sample in drawn),
        "seed": seed,
        "max_length": length,
        "corpus": corpus,
        "corpus_size": len(texts),
        "corpus_hash": corpus_hash(texts),
        "model": Path(model).resolve().name if Path(model).is_dir() else str(model),
        "model_type": loaded.config.model_type,
        "weights": checkpoint_hash(model),
    }
    return Scores({name: value.float().cpu() for name, value in diagonal.items()}, metadata)


def resolve_length(config: Any, max_length: int | None) -> int:
    """The length of samples in tokens; a model without absolute positions (T5) has no limit of its own."""
    limit = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    if limit is not None and config.model_type in ("roberta", "xlm-roberta", "camembert"):
        limit -= config.pad_token_id + 1  # their positions start after the padding index
    if max_length is None:
        return min(512, limit or 512)
    if max_length < 4 or (limit is not None and max_length > limit and not config.is_encoder_decoder):
        raise InputError(
            f"max_length must be in 4..{limit or 'any'}, what the model has positions for, got {max_length}"
        )
    return max_length


def draw_samples(
    tokenizer: Any, texts: Sequence[Text], objective: str, *, samples: int, seed: int, max_length: int, sentinels: str
) -> tuple[list[Sample], int]:
    """(n samples, number of documents passed over because they leave nothing to predict)."""
    if not 1 <= samples <= len(texts):
        raise InputError(f"samples must be in 1..{len(texts)}, the documents of the corpus, got {samples}")
    drawn: list[Sample] = []
    for skipped, index in enumerate(subsample_order(len(texts), seed)):
        rng = generator(seed, objective, index)
        sample = build_sample(tokenizer, texts[index], objective, max_length=max_length, rng=rng, sentinels=sentinels)
        drawn += [sample] if sample is not None else []
        if len(drawn) == samples:
            return drawn, skipped + 1 - samples
    raise InputError(f"the corpus has only {len(drawn)} documents with something to predict, {samples} were asked for")


def check_vocabulary(model: Any, samples: Sequence[Sample]) -> None:
    rows = model.get_input_embeddings().weight.shape[0]
    largest = max(int(sample["input_ids"].max()) for sample in samples)
    if largest >= rows:
        raise InputError(
            f"token ids must be below {rows}, the rows of the model's embeddings, but the tokenizer gives {largest}"
        )
