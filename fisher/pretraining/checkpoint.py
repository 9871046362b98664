"""A checkpoint on disk or hub: its tensors, their hash, and the model with the head that an objective needs."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError, safe_open
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_MASKED_LM_MAPPING_NAMES
from transformers.utils import cached_file, logging

from fisher.common.errors import InputError, first_line
from fisher.pretraining.fit import check_attention, check_fit
from fisher.pretraining.objectives import OBJECTIVES, choose

INDEX = "model.safetensors.index.json"


def weights_hash(tensors: Iterable[tuple[str, torch.Tensor]]) -> str:
    """SHA-256 over name, dtype, shape and bytes of each tensor, in the order that they come in."""
    digest = hashlib.sha256()
    for name, tensor in tensors:
        digest.update(f"{name} {str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def checkpoint_hash(model: str | Path) -> str:
    """`weights_hash` of what the checkpoint's safetensors files hold, by name, read one at a time.

    Buffers are included, and nothing that a head class adds at random: so the hash does not depend on the class that a
    checkpoint is loaded into.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(open_weights(file)) for file in weight_files(model)]
        held_by = {name: file for file in files for name in file.keys()}  # noqa: SIM118 (safetensors has no iterator)
        return weights_hash((name, held_by[name].get_tensor(name)) for name in sorted(held_by))


def require_whole(model: str | Path) -> None:
    """Raise InputError unless every weight file of the checkpoint is there and whole."""
    for file in weight_files(model):
        with open_weights(file):
            pass


@contextmanager
def open_weights(file: Path) -> Iterator[Any]:
    """The open safetensors file; InputError for one that is damaged, or only the pointer to one."""
    try:
        with safe_open(str(file), framework="pt") as tensors:
            yield tensors
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{file} must be a whole safetensors file, but it cannot be read ({first_line(error)}): "
            "fetch it again (of a git clone: git lfs pull)"
        ) from None


def weight_files(model: str | Path) -> list[Path]:
    """The safetensors files of a folder or hub id (one file, or the shards that the index names)."""
    single = find_file(model, "model.safetensors")
    if single is not None:
        return [single]
    index = find_file(model, INDEX)
    if index is None:
        raise InputError(
            f"{model} must have its weights as safetensors (model.safetensors), and has none: convert them"
        )
    shards = {name: find_file(model, name) for name in shard_names(index)}
    if lost := [name for name, file in shards.items() if file is None]:
        raise InputError(f"{index} names {', '.join(lost[:3])}, which must be next to it: fetch the missing files")
    return [file for file in shards.values() if file is not None]


def shard_names(index: Path) -> list[str]:
    """The files that an index of shards names; InputError unless it is such an index."""
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        return [str(name) for name in names]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{index} must be a whole index of safetensors files, and is none: fetch it again") from None


def find_file(model: str | Path, name: str) -> Path | None:
    found = cached_file(str(model), name, _raise_exceptions_for_missing_entries=False)
    return None if found is None else Path(found)


def load_pretrained(model: str | Path, objective: str) -> tuple[Any, Any]:
    """(model with the head that the objective needs, tokenizer), in evaluation mode; remote code is never run.

    Weights are read in float32, whatever they are stored in: squares of gradients vanish in half precision.

    Raises:
        InputError: the checkpoint cannot be loaded, is of a kind that the objective makes no sense for, or lacks the
            weights of the pretraining head.
    """
    choose("objective", objective, OBJECTIVES)
    try:
        config = transformers.AutoConfig.from_pretrained(model)
        check_kind(model, config, objective)
        tokenizer = transformers.AutoTokenizer.from_pretrained(model)
        require_whole(model)
        with quiet_loading():
            loaded, info = head_class(objective).from_pretrained(
                model,
                config=config,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                use_safetensors=True,
                dtype=torch.float32,
            )
    except InputError:
        raise
    except Exception as error:  # whatever the readers of configs, tokenizers and weights raise
        raise InputError(f"model {model} cannot be loaded from a folder or the hub: {first_line(error)}") from error
    check_fit(model, loaded, info)
    check_head(model, objective, loaded, set(info["missing_keys"]))
    return loaded.eval(), tokenizer


def require_device(device: str) -> None:
    """Raise InputError unless torch can compute on the device here, before anything is loaded."""
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError):
        raise InputError(f"--device must be one that torch can use here (cpu, cuda, ...), got {device!r}") from None


@contextmanager
def quiet_loading() -> Iterator[None]:
    """No load report and no progress bar: what matters of them is checked and said in one sentence."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def head_class(objective: str) -> Any:
    return {
        "mlm": transformers.AutoModelForMaskedLM,
        "mlm-tied": transformers.AutoModel,
        "causal": transformers.AutoModelForCausalLM,
        "seq2seq": transformers.AutoModelForSeq2SeqLM,
    }[objective]


def check_kind(model: str | Path, config: Any, objective: str) -> None:
    """Refuse an objective that the architecture would compute without a word, but that means nothing there."""
    masked = config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not config.is_encoder_decoder
    causal = config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and not config.is_encoder_decoder
    causal = causal and (not masked or bool(getattr(config, "is_decoder", False)))
    fits = {"mlm": masked, "mlm-tied": masked, "causal": causal, "seq2seq": config.is_encoder_decoder}
    if not fits[objective]:
        possible = [name for name, fit in fits.items() if fit]
        raise InputError(
            f"objective {objective} does not fit {model} ({config.model_type}): "
            + (f"use {' or '.join(possible)}" if possible else "no pretraining objective is known for it")
        )
    check_attention(model, config, causal=objective == "causal")


def check_head(model: str | Path, objective: str, loaded: Any, missing: set[str]) -> None:
    """Every parameter must come from the checkpoint; for mlm-tied a pooler may be new, and is frozen (no score)."""
    new = sorted(name for name, _ in loaded.named_parameters() if name in missing)
    if objective == "mlm-tied":
        for name in new:
            loaded.get_parameter(name).requires_grad_(not name.startswith("pooler."))
        new = [name for name in new if not name.startswith("pooler.")]
    if new:
        advice = ": use mlm-tied" if objective == "mlm" else ""
        raise InputError(
            f"objective {objective} needs weights that {model} does not have ({', '.join(new[:3])} ...){advice}"
        )
