"""Models: copied from one template, with a head that depends on the restart alone."""

import json
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig

from benchmarks.trial import models
from fisher.common.errors import InputError


def test_the_head_is_what_the_checkpoint_did_not_provide(source: models.Source) -> None:
    _, head = models.build(source, 3, seed=1, head_init="normal")
    assert head == {"classifier.weight", "classifier.bias"}


def test_the_head_depends_on_the_seed_only_and_the_template_stays_untouched(source: models.Source) -> None:
    first, head = models.build(source, 2, seed=1, head_init="normal")
    torch.rand(3)
    again, _ = models.build(source, 2, seed=1, head_init="normal")
    other, _ = models.build(source, 2, seed=2, head_init="normal")
    assert models.head_hash(first, head) == models.head_hash(again, head) != models.head_hash(other, head)
    with torch.no_grad():
        first.bert.embeddings.word_embeddings.weight.zero_()
    fresh, _ = models.build(source, 2, seed=1, head_init="normal")
    assert torch.equal(fresh.bert.embeddings.word_embeddings.weight, again.bert.embeddings.word_embeddings.weight)


def test_the_normal_head_has_the_papers_scale(source: models.Source) -> None:
    weights = [models.build(source, 2, seed=s, head_init="normal")[0].classifier.weight for s in range(40)]
    assert abs(float(torch.cat(weights).detach().std()) - 0.02) < 0.001
    assert not models.build(source, 2, seed=0, head_init="normal")[0].classifier.bias.any()


def test_the_models_own_head_is_paired_as_well(source: models.Source) -> None:
    state = torch.get_rng_state()
    one, head = models.build(source, 2, seed=3, head_init="model")
    two, _ = models.build(source, 2, seed=3, head_init="model")
    assert models.head_hash(one, head) == models.head_hash(two, head)
    assert torch.equal(state, torch.get_rng_state()), "building must not consume the default generator"


def test_a_local_folder_is_labelled_by_its_name_and_a_package_folder_by_its_parents(tmp_path: Path) -> None:
    assert models.label("x", tmp_path / "bert-mini") == "bert-mini"
    assert models.label("x", tmp_path / "bert-mini" / "model") == "bert-mini-model"


@pytest.mark.parametrize(("end", "pad"), [(5, 5), ([7, 8], 7), (None, None)])
def test_a_checkpoint_without_a_padding_token_pads_with_its_end_token(end: object, pad: object) -> None:
    config = LlamaConfig(eos_token_id=end)
    models.pad_with_end_token(config)
    assert config.pad_token_id == pad
    config = LlamaConfig(eos_token_id=end, pad_token_id=3)
    models.pad_with_end_token(config)
    assert config.pad_token_id == 3


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
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, config in (("empty", None), ("vision", {"model_type": "vit"})):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "config.json").write_text(json.dumps(config)) if config else None
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        models.find_model(name, offline=True)
