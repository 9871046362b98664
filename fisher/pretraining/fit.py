"""Whether the tensors of a checkpoint fit the model that its config describes: every one of the body, or a refusal.

The *body* is the base model. What lies outside it is a head: heads of pretraining may be left over, the classifier may
be missing. A pooler that one of both lacks as a whole is no fault either.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from fisher.common.errors import InputError, require

SHOWN = 3
OFFSET_POSITIONS = ("roberta", "xlm-roberta", "camembert", "data2vec-text", "mpnet", "roberta-prelayernorm")
WRAPPERS = ("_orig_mod.", "module.", "model.", "base_model.", "_fsdp_wrapped_module.", "encoder_model.", "0.")


def check_fit(name: str | Path, model: Any, info: Mapping[str, Any]) -> None:
    """Raise InputError unless every tensor of the body came from the checkpoint, and all of its body were taken.

    info: the loading info of `from_pretrained`, asked for with `ignore_mismatched_sizes`.
    """
    in_body = body_test(model)
    missing = _without_pooler(model, sorted(filter(in_body, info["missing_keys"])))
    left_over = sorted(key for key in info["unexpected_keys"] if in_body(key) and "pooler" not in key.split("."))
    shapes = sorted((key, list(held), list(wanted)) for key, held, wanted in info["mismatched_keys"] if in_body(key))
    if not missing and not left_over and not shapes:
        return
    faults = [_count(missing, "missing"), _count(left_over, "left over")]
    faults += [_count([f"{key}: {held} for {wanted}" for key, held, wanted in shapes], "of another shape")]
    raise InputError(
        f"the weights of {name} must fit {type(model).__name__} as its config.json describes it, but of the body "
        f"{', '.join(filter(None, faults))}: {_cause(model, missing, left_over, sorted(info['unexpected_keys']))}"
    )


def body_test(model: Any) -> Callable[[str], bool]:
    """Whether the name of a tensor, of the model or of a file, is one of the base model."""
    base = model.base_model
    prefix = f"{model.base_model_prefix}."
    parts = {name for name, _ in base.named_children()} | {name for name, _ in base.named_parameters(recurse=False)}
    return lambda name: name.startswith(prefix) or name.split(".")[0] in parts


def check_attention(name: str | Path, config: Any, *, causal: bool = False) -> None:
    """Raise InputError for a config that asks for attention that is not computed, or (unless `causal`) not meant."""
    kind = getattr(config, "position_embedding_type", None)
    require(
        kind in (None, "absolute"),
        f"{name} must have absolute positions, but its config.json says position_embedding_type = {kind!r}, which "
        "this version of transformers does not compute",
    )
    require(
        causal or not getattr(config, "is_decoder", False) or config.is_encoder_decoder,
        f"{name} must be an encoder, but its config.json says is_decoder = true, so that no token would see those "
        "after it: set it to false if it was trained as an encoder",
    )


def position_limit(config: Any) -> int | None:
    """The most tokens that the model has positions for; None where its positions are relative (T5, DeBERTa-v3)."""
    if config.is_encoder_decoder or not getattr(config, "position_biased_input", True):
        return None
    limit = getattr(config, "max_position_embeddings", None)
    if limit is None or limit < 0:  # below 0: XLNet's way of saying that there is none
        return None
    return int(limit) - first_position(config)


def first_position(config: Any) -> int:
    """The position of a text's first token: RoBERTa and its relatives count from the one after the padding's number."""
    return int(config.pad_token_id) + 1 if config.model_type in OFFSET_POSITIONS else 0


def _without_pooler(model: Any, missing: list[str]) -> list[str]:
    """The missing tensors without the pooler's, where all of the pooler is missing."""
    pooler = [name for name, _ in model.base_model.named_parameters() if name.startswith("pooler.")]
    lost = [name for name in missing if "pooler" in name.split(".")]
    return [name for name in missing if name not in lost] if len(lost) == len(pooler) else missing


def _count(names: Collection[str], what: str) -> str:
    if not names:
        return ""
    shown = ", ".join(list(names)[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    return f"{len(names)} tensor{'s are' if len(names) > 1 else ' is'} {what} ({shown})"


def _cause(model: Any, missing: Sequence[str], left_over: Sequence[str], unexpected: list[str]) -> str:
    """The likeliest reason, and what to do."""
    wrapper = next((prefix for prefix in WRAPPERS if any(name.startswith(prefix) for name in unexpected)), None)
    everything = " ".join((*missing, *left_over))
    if wrapper is not None and missing:
        return f"names begin with {wrapper!r}: save the model inside the compiled or wrapped one"
    if "distance_embedding" in everything:
        return "it has relative-position tables, which this version of transformers does not compute"
    if "crossattention" in everything or "EncDecAttention" in everything:
        return "its config.json is that of a decoder with cross-attention, or its file is"
    most = 2 * len(missing) > sum(1 for _ in model.base_model.named_parameters())
    if most and unexpected and not any(map(body_test(model), unexpected)):
        others = sorted({name.split(".")[0] for name in unexpected})
        return f"it looks like another family (names begin with {', '.join(others[:SHOWN])}): check model_type"
    if missing or left_over:
        return "check that the file is whole and that config.json (number of layers, model_type) belongs to it"
    return "check that config.json belongs to it"
