"""Forgetting: how much worse a fine-tuned body does what it was pretrained for.

    F = l(w) - l(w_pre),    l the mean over a fixed sample of texts of the pretraining loss, in nats per predicted token

l is the objective that the checkpoint has a head for (masked or causal language model; `fisher.pretraining`), computed
with that head and the body's evaluated weights: averages are used, mixed and adapted layers folded into plain ones. A
head that is tied to the word embeddings moves with them. It is measured after a trial has been judged and changes
nothing of it, so it is no part of a trial's identity.
"""

import dataclasses
import functools
import os
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.planning.suite import FisherRecipe
from benchmarks.pocket import CORPUS, MODEL_DIR
from benchmarks.trial.models import Source, load_template
from fisher.common.errors import InputError, require
from fisher.estimation.diagonal import to_model
from fisher.estimation.estimate import draw_samples, resolve_length
from fisher.pretraining.checkpoint import load_pretrained
from fisher.pretraining.corpus import read_corpus
from fisher.pretraining.objectives import Batch, collate, objective_loss
from regularizers.strategy import BoundStrategy
from regularizers.surgery.folding import plain_weights

OBJECTIVES = ("mlm", "causal")
BATCH = 32
DIGITS = 6


class Pretrained(NamedTuple):
    """The pretrained model with its own head, the sample in batches, and its loss there."""

    model: Any
    batches: tuple[Batch, ...]
    before: float


def find_texts(source: Source, recipe: FisherRecipe) -> FisherRecipe:
    """The recipe, whose sample forgetting is measured on, with the objective that the checkpoint has a head for.

    Raises InputError for a model without a head, and for want of texts.
    """
    require(
        recipe.corpus or source.reference == str(MODEL_DIR),
        "forgetting must have texts to be measured on: give --set fisher_corpus=FILE",
        "none",
    )
    place = str(Path(recipe.corpus).resolve()) if os.path.exists(recipe.corpus) else recipe.corpus
    for objective in OBJECTIVES:
        try:
            model, tokenizer = load_pretrained(source.reference, objective)
        except InputError:  # no head for it
            continue
        if lost := sorted(_body(model) - load_template(source, 2).model.state_dict().keys()):
            raise InputError(f"forgetting must find the whole body in the classifier, which lacks {lost[0]}")
        texts = dataclasses.replace(recipe, objective=objective, corpus=place or str(CORPUS))
        _batches(model, tokenizer, texts)
        return texts
    raise InputError(
        f"forgetting must be measured with the head of the pretraining, and {source.label} has none (masked or causal "
        "language model); leave forgetting out, or take a checkpoint with its head"
    )


def has_head(source: Source, objective: str) -> bool:
    """Whether the checkpoint holds the head that an objective needs."""
    try:
        load_pretrained(source.reference, objective)
    except InputError:
        return False
    return True


def _body(model: Any) -> set[str]:
    """Names of the parameters that a classifier and the pretrained model share."""
    start = f"{model.base_model_prefix}."
    return {name for name, _ in model.named_parameters() if name.startswith(start)}


@functools.lru_cache(maxsize=1)
def load(source: Source, texts: FisherRecipe) -> Pretrained:
    """The pretrained model and its loss on the sample, once per process."""
    model, tokenizer = load_pretrained(source.reference, texts.objective)
    batches = _batches(model, tokenizer, texts)
    return Pretrained(model, batches, loss(model, batches, texts.objective))


def _batches(model: Any, tokenizer: Any, texts: FisherRecipe) -> tuple[Batch, ...]:
    """The sample. Raises InputError where the corpus has too few texts or cannot be read."""
    length = resolve_length(model.config, texts.max_length or None)
    asked: dict[str, Any] = {"samples": texts.samples, "seed": texts.seed, "max_length": length, "sentinels": "spans"}
    samples = draw_samples(tokenizer, read_corpus(texts.corpus), texts.objective, **asked).samples
    pad = model.config.pad_token_id or 0
    return tuple(collate(samples[at : at + BATCH], pad_id=pad) for at in range(0, len(samples), BATCH))


@torch.no_grad()
def loss(model: Any, batches: tuple[Batch, ...], objective: str) -> float:
    """Mean over samples of the mean loss of their predicted tokens."""
    compute = objective_loss(objective)
    each = [compute(model, to_model(batch, model)) for batch in batches]
    return float(torch.cat(each).double().mean())


def measure(source: Source, texts: FisherRecipe, strategy: BoundStrategy) -> dict[str, Any]:
    """What a record says of forgetting: the objective, the number of samples, the loss before and after."""
    pretrained = load(source, texts)
    body, weights = _body(pretrained.model), plain_weights(strategy)
    pretrained.model.to(next(strategy.context.model.parameters()).device)
    pretrained.model.load_state_dict({name: weights[name] for name in body}, strict=False)
    after = loss(pretrained.model, pretrained.batches, texts.objective)
    losses = {"before": round(pretrained.before, DIGITS), "after": round(after, DIGITS)}
    return {"objective": texts.objective, "samples": texts.samples, **losses}
