"""Pretraining objectives as per-sample losses: how a text becomes a sample, and what a model's loss on it is.

A sample is a mapping of named tensors without a batch dimension; `collate` makes a batch of several. A loss is any
callable `loss(model, batch) -> (batch,)`, so a fine-tuning loss is used in the same way as the four built here:

    l(x) = 1/m sum_j -log p(y_j | x)        over the m predicted tokens of the sample (reduction "mean")
    l(x) = sum_j -log p(y_j | x)            (reduction "sum": the negative log-likelihood)

Everything random is drawn from (seed, index of the text), never from the batch a sample happens to be in.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from fisher.common.errors import InputError, require
from fisher.options import OBJECTIVES, REDUCTIONS
from fisher.pretraining.corruption import draw_single_tokens, draw_spans, mask_tokens, replace_spans

IGNORE = -100  # label of a position that is not predicted

Sample = Mapping[str, torch.Tensor]
Batch = dict[str, torch.Tensor]
Text = str | tuple[str, str]
Loss = Callable[[torch.nn.Module, Batch], torch.Tensor]


def choose(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise InputError, which names the choices, for a value that is none of them."""
    require(value in choices, f"{name} must be one of {', '.join(choices)}", repr(value))


@dataclass(frozen=True)
class TokenLoss:
    """Cross-entropy of a sample's labels under `logits(model, batch)` of shape (batch, predictions, vocabulary).

    Args:
        logits: the model's predictions at the positions that `batch["labels"]` speaks of.
        reduction: "mean" over a sample's predicted tokens (the authors' code of Sharma et al. 2024) or "sum".
    """

    logits: Callable[[torch.nn.Module, Batch], torch.Tensor]
    reduction: str = "mean"

    def __post_init__(self) -> None:
        choose("reduction", self.reduction, REDUCTIONS)

    def __call__(self, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        labels = batch["labels"]  # (batch, predictions)
        logits = self.logits(model, batch)
        losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE, reduction="none")
        totals = losses.view_as(labels).sum(1)
        return totals if self.reduction == "sum" else totals / (labels != IGNORE).sum(1)


def objective_loss(objective: str, *, reduction: str = "mean") -> TokenLoss:
    """The loss of one of the four objectives; its samples are those of `build_sample` for the same objective."""
    choose("objective", objective, OBJECTIVES)
    logits = {"mlm": mlm_logits, "mlm-tied": tied_logits, "causal": causal_logits, "seq2seq": seq2seq_logits}
    return TokenLoss(logits[objective], reduction)


def mlm_logits(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """The model's own masked-LM head, evaluated only where something is predicted: a head acts on single positions."""

    def select(_: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (at_positions(args[0], batch["positions"]), *args[1:])

    handle = prediction_head(model).register_forward_pre_hook(select)
    try:
        return model(**model_inputs(batch)).logits
    finally:
        handle.remove()


def tied_logits(model: Any, batch: Batch) -> torch.Tensor:
    """Last hidden state times the word embeddings, no transform and no bias: for a model without a head."""
    hidden = model(**model_inputs(batch)).last_hidden_state
    return F.linear(at_positions(hidden, batch["positions"]), model.get_input_embeddings().weight)


def causal_logits(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Each next token from those before it: `labels` are the inputs moved by one, so the last position is cut off."""
    return model(**model_inputs(batch)).logits[:, :-1]


def seq2seq_logits(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """The decoder's predictions under teacher forcing."""
    return model(**model_inputs(batch)).logits


def model_inputs(batch: Batch) -> Batch:
    return {name: value for name, value in batch.items() if name not in ("labels", "positions")}


def at_positions(hidden: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """(batch, length, width) at (batch, predictions) -> (batch, predictions, width)."""
    return hidden.gather(1, positions.unsqueeze(-1).expand(-1, -1, hidden.shape[-1]))


def prediction_head(model: Any) -> torch.nn.Module:
    """The direct child of a model that holds its output embeddings, e.g. `cls` of BERT, `lm_head` of RoBERTa."""
    output = model.get_output_embeddings()
    for child in model.children():
        if output is not None and any(module is output for module in child.modules()):
            return child
    raise InputError(f"objective mlm needs a masked-LM head, and {type(model).__name__} has none: use mlm-tied")


def collate(samples: Sequence[Sample], *, pad_id: int = 0) -> Batch:
    """Samples of different lengths as one batch, padded on the right.

    Labels are padded with -100, token ids with `pad_id`, everything else (attention mask, positions) with 0.
    """
    batch = {}
    for name in samples[0]:
        fill = IGNORE if name == "labels" else pad_id if name.endswith("input_ids") else 0
        values = [sample[name] for sample in samples]
        if values[0].ndim == 0:
            batch[name] = torch.stack(list(values))
        else:
            batch[name] = torch.nn.utils.rnn.pad_sequence(list(values), batch_first=True, padding_value=fill)
    return batch


def build_sample(
    tokenizer: Any, text: Text, objective: str, *, max_length: int, rng: torch.Generator, sentinels: str = "spans"
) -> Sample | None:
    """The sample of one text, cut to `max_length` tokens, or None when it has too few of them to predict any.

    Args:
        tokenizer: of `transformers`; masks and sentinels are its own tokens.
        text: a string, or a pair of strings that the tokenizer joins as it joins sentence pairs.
        rng: what is drawn comes from: the seed and the text's place in the corpus.
        sentinels: "spans" (T5) or "single-token" (the authors' code of Sharma et al. 2024), for seq2seq only.
    Raises:
        InputError: the tokenizer lacks the tokens that the objective needs.
    """
    if objective == "seq2seq":
        return seq2seq_sample(tokenizer, text, max_length, rng, sentinels)
    pair = (text,) if isinstance(text, str) else text
    encoded = dict(tokenizer(*pair, truncation=True, max_length=max_length, padding=False))
    inputs = {name: torch.tensor(values) for name, values in encoded.items()}
    if objective == "causal":
        labels = inputs["input_ids"][1:]
        return {**inputs, "labels": labels} if len(labels) else None
    return masked_sample(tokenizer, inputs, rng)


def masked_sample(tokenizer: Any, inputs: Batch, rng: torch.Generator) -> Sample | None:
    """BERT's masking; special tokens (unknown ones included) are never chosen."""
    require(
        tokenizer.mask_token_id is not None,
        "a masked-LM objective needs a tokenizer with a mask token, and this one has none",
    )
    ids = inputs["input_ids"]
    maskable = ~torch.isin(ids, torch.tensor(tokenizer.all_special_ids))
    if not maskable.any():
        return None
    corrupted, positions = mask_tokens(ids, maskable, tokenizer.mask_token_id, len(tokenizer), rng)
    return {**inputs, "input_ids": corrupted, "positions": positions, "labels": ids[positions]}


def seq2seq_sample(tokenizer: Any, text: Text, max_length: int, rng: torch.Generator, sentinels: str) -> Sample | None:
    """T5's span corruption: both sides end with the end-of-sequence token, the decoder starts from the pad token."""
    draw = {"spans": draw_spans, "single-token": draw_single_tokens}[sentinels]
    available = sentinel_ids(tokenizer)
    words = text if isinstance(text, str) else " ".join(text)
    ids = tokenizer(words, truncation=True, max_length=max_length - 1, padding=False, add_special_tokens=False)
    if len(ids["input_ids"]) < 2:
        return None
    inputs, targets = replace_spans(ids["input_ids"], draw(len(ids["input_ids"]), rng), available)
    end, start = tokenizer.eos_token_id, tokenizer.pad_token_id
    return {
        "input_ids": torch.tensor([*inputs, end]),
        "attention_mask": torch.ones(len(inputs) + 1, dtype=torch.long),
        "decoder_input_ids": torch.tensor([start, *targets]),
        "labels": torch.tensor([*targets, end]),
    }


def sentinel_ids(tokenizer: Any) -> list[int]:
    """Ids of <extra_id_0>, <extra_id_1> ... in this order."""
    vocabulary = tokenizer.get_vocab()
    found: list[int] = []
    while f"<extra_id_{len(found)}>" in vocabulary:
        found.append(vocabulary[f"<extra_id_{len(found)}>"])
    require(found, "objective seq2seq needs a tokenizer with sentinel tokens <extra_id_0> ..., and this one has none")
    return found
