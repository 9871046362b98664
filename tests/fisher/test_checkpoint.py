"""Hashes of weights, and which checkpoint an objective accepts."""

import hashlib
import json
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from fisher.pretraining import checkpoint
from fisher.pretraining.checkpoint import checkpoint_hash, load_pretrained


def weights_hash(state):
    return checkpoint.weights_hash(sorted(state.items()))


def test_the_hash_is_over_name_dtype_shape_and_bytes_in_name_order():
    state = {"b": torch.tensor([1, 2]), "a": torch.tensor([[0.5]])}
    text = b"a float32 [1, 1]\n" + state["a"].numpy().tobytes() + b"b int64 [2]\n" + state["b"].numpy().tobytes()
    assert weights_hash(state) == hashlib.sha256(text).hexdigest()
    for other in (
        {**state, "a": torch.tensor([[0.25]])},
        {**state, "a": torch.tensor([0.5])},
        {"b": state["b"], "c": state["a"]},
        {**state, "a": state["a"].double()},
    ):
        assert weights_hash(other) != weights_hash(state)
    assert weights_hash({"h": torch.ones(2, dtype=torch.bfloat16)})


def test_a_checkpoint_is_hashed_as_its_files_hold_it(model_folder, tmp_path):
    folder = model_folder("bert")
    state = load_file(f"{folder}/model.safetensors")
    assert checkpoint_hash(folder) == weights_hash(state)
    names = sorted(state)
    for shard, part in (("one.safetensors", names[:5]), ("two.safetensors", names[5:])):
        save_file({name: state[name] for name in part}, tmp_path / shard)
    places = {name: "one.safetensors" if name in names[:5] else "two.safetensors" for name in names}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    assert checkpoint_hash(tmp_path) == weights_hash(state)


def test_models_come_in_evaluation_mode_with_the_head_of_the_objective(model_folder):
    model, tokenizer = load_pretrained(model_folder("bert"), "mlm")
    assert type(model).__name__ == "BertForMaskedLM" and not model.training and tokenizer.mask_token == "[MASK]"


def test_a_checkpoint_in_half_precision_is_scored_in_float32(model_folder, tmp_path):
    """In fp16 squares of small gradients are 0, and in bf16 sums of them stop growing."""
    folder = tmp_path / "half"
    shutil.copytree(model_folder("bert"), folder)
    state = load_file(folder / "model.safetensors")
    half = {name: value.half() for name, value in state.items()}
    save_file(half, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "float16"}))
    model, _ = load_pretrained(folder, "mlm")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert all(
        torch.equal(dict(model.named_parameters())[n], v.float()) for n, v in half.items() if n.startswith("bert.")
    )


def test_a_pooler_that_the_checkpoint_lacks_gets_no_score(model_folder):
    model, _ = load_pretrained(model_folder("bert"), "mlm-tied")
    assert not model.pooler.dense.weight.requires_grad
    assert model.embeddings.word_embeddings.weight.requires_grad


@pytest.mark.parametrize(
    ("objective", "lost", "message"),
    [
        ("mlm", "cls.", r"objective mlm needs weights that .*less does not have \(cls.*: use mlm-tied"),
        (
            "mlm-tied",
            "bert.encoder.layer.1.output.dense.weight",
            r"1 tensor is missing \(encoder.layer.1.output.dense.weight\)",
        ),
    ],
)
def test_a_checkpoint_without_what_the_objective_needs_is_refused(
    objective, lost, message, model_folder, tmp_path, capsys, refusal
):
    folder = shutil.copytree(model_folder("bert"), tmp_path / "less")
    kept = {k: v for k, v in load_file(folder / "model.safetensors").items() if not k.startswith(lost)}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    assert re.search(message, refusal(load_pretrained, folder, objective))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "family, objective, advice",
    [
        ("bert", "causal", "use mlm or mlm-tied"),
        ("bert", "seq2seq", "use mlm or mlm-tied"),
        ("gpt2", "mlm", "use causal"),
        ("gpt2", "mlm-tied", "use causal"),
        ("t5", "mlm", "use seq2seq"),
        ("t5", "causal", "use seq2seq"),
    ],
)
def test_an_objective_that_does_not_fit_is_refused(family, objective, advice, model_folder, refusal):
    assert re.search(
        rf"objective {objective} does not fit .* \({family}\): {advice}",
        refusal(load_pretrained, model_folder(family), objective),
    )


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda folder: load_pretrained(folder, "mlm"), "cannot be loaded from a folder or the hub"),
        (checkpoint_hash, "must have its weights as safetensors"),
    ],
)
def test_what_is_no_checkpoint_is_refused(read, message, tmp_path, refusal):
    assert re.search(message, refusal(read, tmp_path))
