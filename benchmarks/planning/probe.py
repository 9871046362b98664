"""A look before the grid: whether model, tokenizer and texts go together, before anything is scheduled.

One forward pass of the longest example of each task finds what would end every trial: positions, token and type ids,
the padding token, damaged values. The remedy stands in the sentence.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import takewhile

import torch

from benchmarks.data.batches import Encoded, collate, encode
from benchmarks.data.sources import Example, TaskData
from benchmarks.trial.models import Source, Template, load_template
from benchmarks.trial.tokenizer import check_tokenizer, load_tokenizer, unknown_words
from fisher.common.errors import InputError, first_line, require
from fisher.pretraining.fit import position_limit
from regularizers.base import forward

LOOKED_AT = 64  # of a task's texts, the ones with the most characters
SPECIAL = 8  # at most so many tokens around and between the texts of an example
CHUNK = 512
Tests = Mapping[str, Sequence[Example]]


def look(
    source: Source, asked: Iterable[tuple[str, int]], load: Callable[[str], TaskData], tests: Callable[[str], Tests]
) -> tuple[list[str], list[str]]:
    """What a reader should know before the grid: (lines, warnings). Raises InputError for what cannot work.

    asked: (task, max_length) of the grid; tests: a task's unlabelled sets that are predicted as well.
    """
    lines: dict[str, None] = {}
    warnings: dict[str, None] = {}
    for name, max_length in dict.fromkeys(asked):
        data = load(name)
        warnings |= dict.fromkeys(look_at_task(source, data))
        examples = [e for part in (data.train, data.dev, *data.extra.values(), *tests(name).values()) for e in part]
        look_at_length(source, data, examples, max_length)
        lines |= dict.fromkeys(brought_head(source, data.task.outputs))
    return list(lines), list(warnings)


def look_at_task(source: Source, data: TaskData) -> list[str]:
    """Warnings about a model on a task. Raises InputError where weights or tokenizer do not fit."""
    tokenizer, template = load_tokenizer(source), load_template(source, data.task.outputs)
    warnings = [*data.warnings, *check_tokenizer(source, tokenizer, template.model)]
    if unknown := unknown_words(tokenizer, [example.texts for example in data.train]):
        warnings.append(f"{data.task.name}: {unknown}; this model was not made for such texts")
    return warnings


def look_at_length(source: Source, data: TaskData, examples: Sequence[Example], max_length: int) -> None:
    """Raise InputError where no trial with this `max_length` can work: the longest example is computed once."""
    template = load_template(source, data.task.outputs)
    examples = sorted(examples, key=_size, reverse=True)
    rows = _encode_longest(source, data.task.name, examples, template, max_length)
    short = encode(examples[-1:], load_tokenizer(source), max_length)
    _check_types(source, rows, template)
    _compute(source, data.task.name, [max(rows, key=_length), *short], template)


def _size(example: Example) -> int:
    return sum(len(text.encode()) for text in example.texts)


def _length(row: dict[str, list[int]]) -> int:
    return len(row["input_ids"])


def _encode_longest(
    source: Source, task: str, examples: Sequence[Example], template: Template, max_length: int
) -> Encoded:
    """Token ids of the largest examples; InputError if any of all is longer than the model's positions."""
    tokenizer, limit = load_tokenizer(source), position_limit(template.model.config)
    rows = encode(examples[:LOOKED_AT], tokenizer, max_length)
    if limit is None or max_length <= limit:
        return rows
    too_large = list(takewhile(lambda example: _size(example) + SPECIAL > limit, examples))
    for at in range(0, len(too_large), CHUNK):
        longest = max(map(_length, encode(too_large[at : at + CHUNK], tokenizer, max_length)))
        require(
            longest <= limit,
            f"max_length must be at most {limit}, the positions of {source.label}",
            f"{max_length}, and {task} has an example of {longest} tokens: --set max_length={limit}",
        )
    return rows


def _check_types(source: Source, rows: Encoded, template: Template) -> None:
    """Raise InputError for a segment number that the model has no embedding for."""
    types = getattr(template.model.config, "type_vocab_size", 0)
    most = max(max(row.get("token_type_ids", [0])) for row in rows)
    require(
        not types or most < types,
        f"the tokenizer of {source.reference!r} must number segments below {types}, as the model does, and gives "
        f"{most}: it is that of another model",
    )


def _compute(source: Source, task: str, rows: Encoded, template: Template) -> None:
    """One forward pass of a batch of two, the longest example and the shortest."""
    pad = template.model.config.pad_token_id
    require(
        pad is not None, f"{source.label} must have a pad_token_id or an eos_token_id in its config.json, to pad with"
    )
    batch = collate(rows, [0] * len(rows), pad)
    try:
        with torch.inference_mode():
            logits = forward(template.model.eval(), batch)
    except Exception as error:  # whatever a model raises for ids, positions and arguments that it does not take
        raise InputError(
            f"{source.label} must compute the longest example of {task} ({_length(rows[0])} tokens), but fails with "
            f"{type(error).__name__}: {first_line(error)}"
        ) from error
    require(
        torch.isfinite(logits).all(),
        f"{source.label} must give finite numbers, but its weights make NaN or infinity of {task}",
    )


def brought_head(source: Source, outputs: int) -> list[str]:
    """A line for a checkpoint that brings a head of its own."""
    brought = sorted(load_template(source, outputs).brought)
    names = ", ".join(brought[:2]) + (", ..." if len(brought) > 2 else "")
    return [f"{source.label} brings a head of its own ({names}); it is drawn anew in every restart"] if brought else []
