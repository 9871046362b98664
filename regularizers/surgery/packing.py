"""What packing needs of a family: which token the head reads, and the head itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


def first_token(model: Any, states: Tensor, first: Tensor, lengths: Tensor, ids: Tensor) -> Tensor:
    """(batch, width): the first token of every sequence."""
    return states[first]


def last_token(model: Any, states: Tensor, first: Tensor, lengths: Tensor, ids: Tensor) -> Tensor:
    """(batch, width): the last token of every sequence that is not the padding token, as in transformers' heads."""
    at = torch.arange(ids.shape[1], device=ids.device) * (ids != model.config.pad_token_id)
    return states[first + at.argmax(1)]


def first_or_mean(model: Any, states: Tensor, first: Tensor, lengths: Tensor, ids: Tensor) -> Tensor:
    """(batch, width): ModernBERT's first token, or the mean of all where its config says so."""
    return states[first] if model.config.classifier_pooling == "cls" else means(states, lengths)


def eurobert_features(model: Any, states: Tensor, first: Tensor, lengths: Tensor, ids: Tensor) -> Tensor:
    """(batch, width): what EuroBERT's classifier, an affine map, takes; the mean of its logits is that of its input."""
    if model.config.classifier_pooling == "late":
        return means(model.activation(model.dense(states)), lengths)
    pooled = states[first] if model.config.classifier_pooling == "bos" else means(states, lengths)
    return model.activation(model.dense(pooled))


def means(states: Tensor, lengths: Tensor) -> Tensor:
    """The mean over the tokens of every sequence of a packed row, (batch, width)."""
    return torch.stack([sequence.mean(0) for sequence in states.split(lengths.tolist())])


def as_read(model: Any, states: Tensor) -> Tensor:
    """A head that takes the states themselves."""
    return states


def bert_pooler(model: Any, states: Tensor) -> Tensor:
    """BERT's pooler, (batch, width)."""
    return model.base_model.pooler(states)


@dataclass(frozen=True)
class Packing:
    """How a family is packed.

    pool: (model, states (batch, 1, width) that the head reads, sorted by length) -> what the head takes. Its rows are
    put into the order of the batch before the head draws a dropout.
    head: (model, what it takes) -> logits (batch, classes).
    read: picks those states from a packed row. trims: whether what follows the last attention computes them alone.
    options: further arguments of the base model.
    """

    head: Callable[[Any, Tensor], Tensor]
    read: Callable[[Any, Tensor, Tensor, Tensor, Tensor], Tensor] = first_token
    trims: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    pool: Callable[[Any, Tensor], Tensor] = as_read


def pooler_head(model: Any, states: Tensor) -> Tensor:
    """BERT's, behind its pooler: dropout, classifier."""
    return model.classifier(model.dropout(states))


def classifier_head(model: Any, states: Tensor) -> Tensor:
    """RoBERTa's and ELECTRA's, which pick the first token themselves."""
    return model.classifier(states)


def distilbert_head(model: Any, states: Tensor) -> Tensor:
    """DistilBERT's: a layer with ReLU, dropout, classifier."""
    return model.classifier(model.dropout(model.pre_classifier(states[:, 0]).relu()))


def modernbert_head(model: Any, states: Tensor) -> Tensor:
    """ModernBERT's: a layer with norm, dropout, classifier."""
    return model.classifier(model.drop(model.head(states[:, 0])))


def affine_head(model: Any, states: Tensor) -> Tensor:
    """EuroBERT's last layer."""
    return model.classifier(states[:, 0])


def score_head(model: Any, states: Tensor) -> Tensor:
    """A decoder's: one linear layer."""
    return model.score(states[:, 0])


TRIMMED = Packing(classifier_head, trims=True)
DECODER = Packing(score_head, last_token, options={"use_cache": False})
PACKINGS: dict[str, Packing] = {
    "bert": Packing(pooler_head, trims=True, pool=bert_pooler),
    "distilbert": Packing(distilbert_head),
    "modernbert": Packing(modernbert_head, first_or_mean),
    **dict.fromkeys(("electra", "roberta", "xlm-roberta", "camembert", "data2vec-text"), TRIMMED),
    "eurobert": Packing(affine_head, eurobert_features),
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "smollm3"), DECODER),
    **dict.fromkeys(("gpt2", "gpt_neox", "opt"), DECODER),
}
