"""Models: copied from one template, with a head that depends on the restart alone."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig

from benchmarks.pocket import MODEL_DIR
from benchmarks.trial import models
from benchmarks.trial.models import find_model, load_template
from fisher.pretraining.checkpoint import checkpoint_hash, load_pretrained


@pytest.mark.parametrize("head_init", ["normal", "model"])
def test_the_head_depends_on_the_seed_only_and_the_template_stays_untouched(
    source: models.Source, head_init: str
) -> None:
    def build(seed: int) -> Any:
        return models.build(source, 2, seed=seed, head_init=head_init)

    state = torch.get_rng_state()
    first, again, other = build(1), build(1), build(2)
    assert torch.equal(state, torch.get_rng_state()), "building must not consume the default generator"
    assert models.head_hash(*first) == models.head_hash(*again) != models.head_hash(*other)
    torch.nn.init.zeros_(first[0].bert.embeddings.word_embeddings.weight)
    assert build(1)[0].bert.embeddings.word_embeddings.weight.any()


def test_the_normal_head_has_the_papers_scale(source: models.Source) -> None:
    weights = [models.build(source, 2, seed=s, head_init="normal")[0].classifier.weight for s in range(40)]
    assert abs(float(torch.cat(weights).detach().std()) - 0.02) < 0.001
    assert not models.build(source, 2, seed=0, head_init="normal")[0].classifier.bias.any()


def test_a_local_folder_is_labelled_by_its_name_and_a_package_folder_by_its_parents(tmp_path: Path) -> None:
    assert models.label("x", tmp_path / "bert-mini") == "bert-mini"
    assert models.label("x", tmp_path / "bert-mini" / "model") == "bert-mini-model"


@pytest.mark.parametrize(("end", "pad"), [(5, 5), ([7, 8], 7), (None, None)])
def test_a_checkpoint_without_a_padding_token_pads_with_its_end_token(end: object, pad: object) -> None:
    for own, expected in ((None, pad), (3, 3)):
        config = LlamaConfig(eos_token_id=end, pad_token_id=own)
        models.pad_with_end_token(config)
        assert config.pad_token_id == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        *((name, "--model must be a hub id or an existing folder, got") for name in ("./absent", "/absent/m", "a/b/c")),
        ("nobody/no-such-model", "must be in the local cache when --offline is given"),
        ("./empty", "could not be loaded"),
        ("./vision", "transformers has a sequence-classification head for, got vit"),
    ],
)
def test_what_is_no_model_for_texts_is_refused(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: Any
) -> None:
    for folder, config in (("empty", None), ("vision", {"model_type": "vit"})):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "config.json").write_text(json.dumps(config)) if config else None
    monkeypatch.chdir(tmp_path)
    assert message in refusal(models.find_model, name, offline=True)


# --- which tensors of a checkpoint may be missing or left over: those of heads, never those of the body

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
