"""Pretrained models: loaded once per process, copied per trial, with a head drawn anew for every restart."""

import copy
import dataclasses
import functools
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification

from benchmarks.pocket import MODEL_DIR
from fisher.common.errors import InputError, first_line, require
from fisher.pretraining.checkpoint import checkpoint_hash, require_whole
from fisher.pretraining.fit import check_attention, check_fit
from regularizers.surgery.sites import head_of

HEAD_STD = 0.02  # [Lee20 C.2]


@dataclass(frozen=True)
class Source:
    """Where a model comes from: `reference` is a folder or hub id, `label` what records and tables show.

    `family` is the architecture's name in transformers, such as `bert`, `layers` its number of layers.
    """

    reference: str
    label: str
    offline: bool
    family: str = "bert"
    layers: int = 12


def find_model(name: str, *, offline: bool) -> Source:
    """`pocket`, a local folder or a hub id, checked to be a model that transformers has a classifier for.

    Raises InputError when it cannot be found, has no readable config or no sequence-classification head.
    """
    folder = MODEL_DIR if name == "pocket" else Path(name)
    local = os.path.isdir(folder)
    require(
        local or (not name.startswith((".", "/", "~")) and name.count("/") <= 1),
        "--model must be a hub id or an existing folder",
        repr(name),
    )
    source = Source(str(folder.resolve()) if local else name, label(name, folder) if local else name, offline)
    config = load(AutoConfig, source)
    must = "--model must be of a family that transformers has a sequence-classification head for"
    fits = type(config) in AutoModelForSequenceClassification._model_mapping
    require(fits, must, f"{config.model_type} in {name!r}")
    check_attention(name, config)
    return dataclasses.replace(source, family=config.model_type, layers=getattr(config, "num_hidden_layers", 1))


def label(name: str, folder: Path) -> str:
    """What tables call a local model: its folder's name, with the parent's where that is just `model`."""
    if name == "pocket":
        return "pocket"
    folder = folder.resolve()
    return f"{folder.parent.name}-{folder.name}" if folder.name in ("model", "checkpoint") else folder.name


def load(auto: Any, source: Source, **options: Any) -> Any:
    """`from_pretrained` without remote code, its many errors turned into one sentence."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        return auto.from_pretrained(
            source.reference, local_files_only=source.offline, trust_remote_code=False, **options
        )
    except Exception as error:  # whatever the readers of configs, tokenizers and weights raise
        hint = "it must be in the local cache when --offline is given" if source.offline else "check the name"
        if os.path.isdir(source.reference):
            hint = "its files must be whole"
        raise InputError(f"the model {source.reference!r} could not be loaded; {hint}: {first_line(error)}") from error


class Template(NamedTuple):
    """A pretrained model, the names of its head's parameters, and those of the head that its checkpoint brought."""

    model: Any
    head: frozenset[str]
    brought: frozenset[str]


@functools.lru_cache(maxsize=4)
def load_template(source: Source, outputs: int) -> Template:
    """The pretrained model with `outputs` outputs, every tensor of its body from the checkpoint.

    The head is what lies outside the base model, whatever the checkpoint has of it, and what the checkpoint lacks (a
    pooler). Raises InputError where the weights do not fit.
    """
    require_whole(source.reference)
    with torch.random.fork_rng(devices=[]):
        model, info = load(
            AutoModelForSequenceClassification,
            source,
            num_labels=outputs,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            dtype=torch.float32,
        )
    check_fit(source.reference, model, info)
    pad_with_end_token(model.config)
    classifier = head_of(model)
    missing = {name for name, _ in model.named_parameters()} & set(info["missing_keys"])
    return Template(model, classifier | missing, classifier - missing)


def pad_with_end_token(config: Any) -> None:
    """Let the first end token pad where the checkpoint has no padding token (GPT-2, Llama, Mistral, GPT-NeoX).

    Padding is masked in attention, and a decoder's head reads the last token that is not padding: a text that ends with
    end tokens is read at the token before them, in training and in evaluation alike.
    """
    if config.pad_token_id is None:
        end = config.eos_token_id
        config.pad_token_id = end[0] if isinstance(end, list) else end


@functools.cache
def weights_of(source: Source) -> str:
    """SHA-256 of the tensors that the checkpoint holds (`checkpoint_hash`), once per process."""
    return checkpoint_hash(source.reference)


def build(source: Source, outputs: int, *, seed: int, head_init: str) -> tuple[Any, frozenset[str]]:
    """A fresh copy of the pretrained model whose head is drawn from `seed` alone.

    `normal`: weights N(0, 0.02^2) in name order, biases 0, normalisation layers at 1 and 0 [Lee20 C.2]; `model`: as the
    model's class initialises it.
    """
    template, head, _ = load_template(source, outputs)
    model = copy.deepcopy(template)
    if head_init == "model":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for module_name in sorted({name.rpartition(".")[0] for name in head}):
                model._init_weights(model.get_submodule(module_name))
        return model, head
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name in sorted(head):
            parameter = model.get_parameter(name)
            if parameter.dim() > 1:
                parameter.normal_(0.0, HEAD_STD, generator=generator)
            else:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
    return model, head


def head_hash(model: nn.Module, head: frozenset[str]) -> str:
    """SHA-256 of the head's values, so that a record shows which start it had."""
    digest = hashlib.sha256()
    for name in sorted(head):
        digest.update(name.encode() + model.get_parameter(name).detach().cpu().numpy().tobytes())
    return digest.hexdigest()
