"""What of a pretrained model decides a result, as hashes: weights, tokenizer, effective configuration."""

import functools
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from transformers import AutoConfig, PreTrainedTokenizerBase

from benchmarks.trial.models import Source, load, weights_of
from benchmarks.trial.tokenizer import backend, load_tokenizer

NO_MATTER = ("version", "truncation", "padding", "decoder")  # parts of a tokenizer's file that change no id
# fields of a config that change nothing that is computed here
# fmt: off
BOOKKEEPING = frozenset((
    "_name_or_path", "architectures", "dtype", "finetuning_task", "gradient_checkpointing", "id2label", "label2id",
    "num_labels", "problem_type", "task_specific_params", "torch_dtype", "transformers_version", "use_cache",
))
# fmt: on


@functools.cache
def model_identity(source: Source) -> dict[str, str]:
    """The fields of a trial's config that name its model: label and hashes."""
    return {
        "model": source.label,
        "weights": weights_of(source),
        "tokenizer": tokenizer_hash(load_tokenizer(source)),
        "model_config": config_hash(load(AutoConfig, source)),
    }


def config_hash(config: Any) -> str:
    """SHA-256 of what a model's config says of its computation; labels, versions and paths do not count.

    What is null or false is left out, so that a field that a later transformers adds changes nothing.
    """
    return json_hash({key: value for key, value in config.to_dict().items() if value and key not in BOOKKEEPING})


def tokenizer_hash(tokenizer: PreTrainedTokenizerBase) -> str:
    """SHA-256 of what decides the ids of a text: vocabulary, rules, special tokens; not of how files are laid out."""
    rules = {key: value for key, value in backend(tokenizer).items() if key not in NO_MATTER}
    special = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    content: Mapping[str, Any] = rules or {"class": type(tokenizer).__name__, **_settings(tokenizer.init_kwargs)}
    sides = [tokenizer.truncation_side, tokenizer.model_input_names]
    return json_hash([sorted(tokenizer.get_vocab().items()), content, special, sides])


def _settings(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if isinstance(value, (str, int, float)) and "path" not in key}


def json_hash(content: object) -> str:
    """SHA-256 of plain data as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
