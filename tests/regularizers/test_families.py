"""A checkpoint of every family, saved and loaded as a user's would be, computes the same whatever its padding."""

import pytest
import torch

from benchmarks.trial import models

UNPADDED = ("gpt2", "gpt_neox", "llama")


@pytest.fixture
def source(family, family_model, tmp_path):
    """A pretrained checkpoint without a classifier, and without a padding token where published ones lack it."""
    model, _ = family_model(family)
    if family in UNPADDED:
        model.config.pad_token_id = None
    model.base_model.save_pretrained(tmp_path)
    return models.find_model(str(tmp_path), offline=True)


def test_padding_changes_nothing(family, family_model, source, batch):
    model, head = models.build(source, 2, seed=5, head_init="normal")
    assert head == family_model(family)[1]
    model.eval()
    ids, mask, pad = batch["input_ids"], batch["attention_mask"], model.config.pad_token_id
    assert pad is not None
    if family in UNPADDED:  # padded with the end token, which does not end these texts
        assert pad == model.config.eos_token_id
        ids = torch.where(mask == 0, pad, torch.where(ids == pad, 5, ids))
    with torch.no_grad():
        together = model(input_ids=ids, attention_mask=mask).logits
        for row, length in enumerate(mask.sum(1).tolist()):
            alone = model(input_ids=ids[row : row + 1, :length], attention_mask=torch.ones(1, length).long()).logits
            assert torch.allclose(alone[0], together[row], atol=1e-5)
