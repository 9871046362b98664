"""Scores from a Fisher diagonal: of tensors, of sites, as files, and the ranking that was published for BERT-base.

    tensor score = mean of F over one parameter tensor
    site score   = plain mean of the scores of its tensors                      [Sharma et al. 2024, section 3]

A file is safetensors with its metadata inside. Parameter names in files are those of the base model (no leading
"bert." or "transformer."), so that scores serve every head; a pretraining head's own parameters keep their names.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from fisher.common.errors import InputError, require
from fisher.common.files import write_file

FORMAT = 1
REQUIRED = ("format", "tensors", "kind", "objective", "reduction", "samples", "seed", "corpus_hash", "model", "weights")


@dataclass(frozen=True)
class Scores:
    """What a score file holds: a diagonal (tensors of the parameters' shapes) or tensor scores (0-d tensors).

    `metadata` has at least: format, kind (empirical, mc, exact), objective, reduction (mean, sum), samples, seed,
    corpus_hash, model (label), weights (SHA-256 as of `checkpoint_hash`), and, added on writing, tensors
    (names, in the model's order).
    """

    values: dict[str, torch.Tensor]
    metadata: dict[str, Any] = field(default_factory=dict)

    def tensor_scores(self) -> dict[str, float]:
        return tensor_scores(self.values)


def tensor_scores(diagonal: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """{parameter name: mean of F over the tensor}; 0-d tensors are taken as scores already."""
    return {name: value.double().mean().item() for name, value in diagonal.items()}


def site_scores(scores: Mapping[str, float], sites: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """{site: plain mean of its tensors' scores}, in the order of `sites`.

    Raises:
        InputError: a site is empty or names a tensor that has no score.
    """
    for site, names in sites.items():
        missing = [name for name in names if name not in scores]
        if missing or not names:
            lack = f"no score of {', '.join(missing)}" if names else "no tensor at all"
            raise InputError(f"site {site} must have a score for each of its tensors, but there is {lack}")
    return {site: sum(scores[name] for name in names) / len(names) for site, names in sites.items()}


def layers_of(names: Iterable[str]) -> dict[str, list[str]]:
    """{layer: its parameter tensors}: a layer is the module that holds a parameter's module.

    "encoder.layer.3.attention.self.query.weight" belongs to "encoder.layer.3.attention.self". For BERT these are the
    sites of guided dropout, and the intermediate layers and the pooler besides.
    """
    layers: dict[str, list[str]] = {}
    for name in names:
        parts = name.split(".")
        layers.setdefault(".".join(parts[:-2]) or parts[0], []).append(name)
    return layers


def base_names(diagonal: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The same tensors under the base model's names: `prefix` is a model class's `base_model_prefix`."""
    return {name.removeprefix(f"{prefix}."): value for name, value in diagonal.items()}


def save_scores(path: Path | str, values: Mapping[str, torch.Tensor], metadata: Mapping[str, Any]) -> None:
    """Write a diagonal or tensor scores (floats as 0-d tensors) with their metadata, whole or not at all.

    Raises:
        InputError: metadata lacks a required field, or the file cannot be written.
    """
    known = {**metadata, "format": FORMAT, "tensors": list(values)}
    missing = [name for name in REQUIRED if name not in known]
    require(not missing, f"the metadata of scores must have {', '.join(REQUIRED)}: {', '.join(missing)} missing")
    tensors = {name: value.detach().cpu().contiguous() for name, value in values.items()}
    write_file(Path(path), save(tensors, metadata={"fisher": json.dumps(known, sort_keys=True)}))


def load_scores(path: Path | str, *, weights: str | None = None) -> Scores:
    """Read what `save_scores` wrote; with `weights`, insist that the scores belong to the weights of this hash.

    Raises:
        InputError: the file is absent, no score file, of another format, damaged, or of other weights.
    """
    require(os.path.isfile(path), f"there is no score file {path}: estimate one with `regbench fisher estimate`")
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = parse_metadata(path, file.metadata() or {})
            values = {name: file.get_tensor(name) for name in metadata["tensors"]}
    except (SafetensorError, OSError, UnicodeError) as error:
        raise InputError(
            f"{path} must be a safetensors file of Fisher scores, but it cannot be read: {error}"
        ) from error
    broken = [name for name, value in values.items() if not (torch.isfinite(value).all() and (value >= 0).all())]
    if broken:
        raise InputError(
            f"scores must be finite and not negative, but {path} has others in {broken[0]}: estimate again"
        )
    if weights is not None and metadata["weights"] != weights:
        raise InputError(
            f"{path} holds scores of other weights ({metadata['model']}, {metadata['weights'][:12]}) than the model in "
            f"use ({weights[:12]}): estimate scores of this model"
        )
    return Scores(values, metadata)


def parse_metadata(path: Path | str, stored: Mapping[str, str]) -> dict[str, Any]:
    try:
        metadata = dict(json.loads(stored["fisher"]))
        missing = [name for name in REQUIRED if name not in metadata]
        if not all(isinstance(text, str) for text in (*metadata.get("tensors", ()), metadata.get("weights", ""))):
            raise TypeError
    except (KeyError, TypeError, ValueError, RecursionError):
        raise InputError(
            f"{path} is a safetensors file but holds no Fisher scores: its metadata says nothing of them"
        ) from None
    require(
        not missing and metadata["format"] == FORMAT,
        f"{path} must hold Fisher scores of format {FORMAT}, but it is of format {metadata.get('format')} without "
        f"{', '.join(missing) or 'nothing'}: estimate them again",
    )
    return metadata


PUBLISHED = (
    "7S 10S 9S 8S 1S 6S 11S 2S 0S 5S 3S 4S 11A 0A 9A 10A 7A 1A 6A 8A 2A 5A 4A 3A "
    "11O 9O 6O 5O 2O 0O 10O 8O 7O 1O 4O 3O E"
)


def published_ranking() -> tuple[str, ...]:
    """The 37 sites of bert-base-uncased from least to most informative [Sharma et al. 2024].

    Site names: "embeddings", and for each encoder layer from 0 "layer.0.attention.self" (query, key, value),
    "layer.0.attention.output" (dense, LayerNorm), "layer.0.output" (dense, LayerNorm).
    """
    parts = {"S": "attention.self", "A": "attention.output", "O": "output"}
    return tuple("embeddings" if code == "E" else f"layer.{code[:-1]}.{parts[code[-1]]}" for code in PUBLISHED.split())
