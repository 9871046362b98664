"""A checkpoint of every family, saved and loaded as a user's would be, trains with a strategy of several terms."""

import pytest
import torch
from accelerate import Accelerator

from benchmarks.trial import models
from regularizers.base import Context
from regularizers.loop import Recipe, fit
from regularizers.strategy import parse

UNPADDED = ("gpt2", "gpt_neox", "llama")
RECIPE = Recipe(
    epochs=2, lr=5e-3, beta1=0.9, beta2=0.999, eps=1e-6, warmup=0.1, schedule="linear", clip=1.0, bias_correction=True,
    micro_batch=2,
)  # fmt: skip


@pytest.fixture
def source(family, family_model, tmp_path):
    """A pretrained checkpoint without a classifier, and without a padding token where published ones lack it."""
    model, _ = family_model(family)
    if family in UNPADDED:
        model.config.pad_token_id = None
    model.base_model.save_pretrained(tmp_path)
    return models.find_model(str(tmp_path), offline=True)


def test_it_trains_from_checkpoint_to_evaluation(family, family_model, source, batch):
    model, head = models.build(source, 2, seed=5, head_init="normal")
    assert head == family_model(family)[1]
    context = Context(model, head, torch.Generator().manual_seed(1), examples=8)
    bound = parse("gaussian_dropout(0.1) + mixout(w_pre, 0.5) + wdecay(w_pre, 0.1) + head:wdecay(0, 0.01)").bind(
        context
    )
    touched = bound.attach()
    assert all(touched.values())
    state = torch.get_rng_state()
    answers = []

    def evaluate():
        with torch.no_grad():
            answers.append([context.compute(batch).logits for _ in range(2)])

    history = fit(bound, lambda epoch: [batch, batch], RECIPE, accelerator=Accelerator(cpu=True), evaluate=evaluate)
    assert history.diverged_at is None and len(history.losses) == 4
    assert all(torch.equal(first, second) for first, second in answers)
    assert torch.equal(state, torch.get_rng_state())
    moved = [n for n, p in model.named_parameters() if not torch.equal(p.detach(), context.initial[n])]
    assert set(head) <= {*moved, *(n for n in head if n.endswith("bias"))}
    assert any(name not in head for name in moved)


def test_padding_changes_nothing(family, source, batch):
    model, _ = models.build(source, 2, seed=5, head_init="normal")
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
