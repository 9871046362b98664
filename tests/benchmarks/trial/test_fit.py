"""Which tensors of a checkpoint may be missing or left over: those of heads, never those of the body."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmarks.pocket import MODEL_DIR
from benchmarks.trial.models import find_model, load_template
from fisher.pretraining.checkpoint import checkpoint_hash, load_pretrained

LAYER = "bert.encoder.layer.1."


@pytest.fixture
def checkpoint(tmp_path):
    """The embedded model with other tensors and another config: `change` takes name -> tensor and returns the same."""

    def make(change=dict, **config):
        folder = tmp_path / "changed"
        shutil.copytree(MODEL_DIR, folder)
        tensors = {name: value.clone() for name, value in change(load_file(folder / "model.safetensors")).items()}
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        kept = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(kept | config))
        return str(folder)

    return make


def prefixed(prefix):
    return lambda state: {prefix + name: value for name, value in state.items()}


def without(part):
    return lambda state: {name: value for name, value in state.items() if part not in name}


def more(name, *shape):
    return lambda state: state | {name: torch.ones(shape)}


MISFITS = {
    "compiled": (prefixed("_orig_mod."), {}, "names begin with '_orig_mod.'"),
    "wrapped": (prefixed("module."), {}, "names begin with 'module.': save the model inside"),
    "adapted": (prefixed("base_model.model."), {}, "names begin with 'base_model.'"),
    "another family": (dict, {"model_type": "electra"}, r"another family \(names begin with bert, cls\)"),
    "a layer missing": (without(LAYER), {}, r"16 tensors are missing \(bert.encoder.layer.1..*, \.\.\.\)"),
    "a layer too many": (dict, {"num_hidden_layers": 2}, "16 tensors are left over .*number of layers"),
    "a bias missing": (
        without(f"{LAYER}output.dense.bias"),
        {},
        "1 tensor is missing .*: check that the file is whole",
    ),
    "half a pooler": (without("pooler.dense.bias"), {}, "1 tensor is missing .*pooler.dense.bias"),
    "relative positions": (more(f"{LAYER}attention.self.distance_embedding.weight", 3, 2), {}, "relative-position"),
    "a decoder's layers": (more(f"{LAYER}crossattention.self.query.weight", 3, 2), {}, "decoder with cross-attention"),
    "another size": (more("bert.embeddings.word_embeddings.weight", 7, 2), {}, r"word_embeddings.weight: \[7, 2\] for"),
}


@pytest.mark.parametrize("change, config, sentence", MISFITS.values(), ids=MISFITS)
def test_a_body_that_does_not_fit_is_refused(checkpoint, change, config, sentence, refusal):
    folder = checkpoint(change, **config)
    said = refusal(load_template, find_model(folder, offline=True), 2)
    assert re.match(f"the weights of .*changed must fit .*{sentence}", said)
    if config.get("model_type") != "electra" and "pooler" not in sentence:
        assert re.match("the weights of .*changed must fit", refusal(load_pretrained, folder, "mlm-tied"))


HARMLESS = {
    "heads of pretraining": dict,
    "of the base model, without its prefix": lambda state: {n.removeprefix("bert."): v for n, v in state.items()},
    "no pooler": without("pooler"),
    "old names of normalization": lambda state: {n.replace("Norm.weight", "Norm.gamma"): v for n, v in state.items()},
    "a head for spans": more("qa_outputs.weight", 2, 3),
}


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_heads_may_be_left_over_and_a_pooler_may_be_missing(checkpoint, change):
    """Layer 1's weights are the proof that the body was read."""
    folder = checkpoint(change)
    template = load_template(find_model(folder, offline=True), 2)
    held = {name.removeprefix("bert."): value for name, value in load_file(f"{folder}/model.safetensors").items()}
    name = "encoder.layer.1.output.dense.weight"
    assert torch.equal(template.model.bert.get_parameter(name), held[name])
    pooler = {f"bert.pooler.dense.{kind}" for kind in ("weight", "bias")}
    lost = pooler if "pooler.dense.weight" not in held else set()
    assert template.head == {"classifier.weight", "classifier.bias"} | lost and not template.brought


READERS = {
    "hash": checkpoint_hash,
    "model": lambda folder: find_model(folder, offline=True),
    "trial": lambda folder: load_template(find_model(folder, offline=True), 2),
    "fisher": lambda folder: load_pretrained(folder, "mlm"),
}
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
WEIGHTS, INDEX, CONFIG = "model.safetensors", "model.safetensors.index.json", "config.json"
NOT_WHOLE = r"model.safetensors must be a whole safetensors file.*git lfs pull"
NO_CONFIG = {
    "model": "could not be loaded; its files must be whole",
    "fisher": "cannot be loaded from a folder or the hub",
}
GONE = b'{"weight_map": {"bert.x": "gone.safetensors"}}'
# settings of the config, files with what they hold instead (None: removed), what each reader says
DAMAGED = [
    (
        {"is_decoder": True},
        {},
        dict.fromkeys(("model", "fisher"), "must be an encoder, but its config.json says is_decoder"),
    ),
    (
        {"position_embedding_type": "relative_key"},
        {},
        dict.fromkeys(("model", "fisher"), "must have absolute positions"),
    ),
    *(
        ({}, {WEIGHTS: content}, dict.fromkeys(("hash", "trial", "fisher"), NOT_WHOLE))
        for content in (POINTER, b"", (MODEL_DIR / WEIGHTS).read_bytes()[:9000])
    ),
    *(
        ({}, {WEIGHTS: None, INDEX: index}, dict.fromkeys(("hash", "trial"), "must be a whole index"))
        for index in (b"", b"[]", b'{"weight_map": 3}')
    ),
    (
        {},
        {WEIGHTS: None, INDEX: GONE},
        dict.fromkeys(("hash", "trial"), "names gone.safetensors, which must be next to it"),
    ),
    *(({}, {CONFIG: content}, NO_CONFIG) for content in (b"", b"[]", b"{", b"3", POINTER)),
]


@pytest.mark.parametrize(("config", "files", "said"), DAMAGED)
def test_damaged_files_are_refused_wherever_they_are_read(checkpoint, config, files, said, refusal):
    folder = checkpoint(**config)
    for name, content in files.items():
        file = Path(folder, name)
        file.unlink() if content is None else file.write_bytes(content)
    for reader, sentence in said.items():
        assert re.search(sentence, refusal(READERS[reader], folder))
