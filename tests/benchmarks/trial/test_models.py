"""Models: copied from one template, with a head that depends on the restart alone."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig

from benchmarks.trial import models


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
