"""Dropconnect: independent masks per weight, as a special case of mixconnect."""

import pytest
import torch

from fisher.common.errors import InputError
from regularizers.methods.dropconnect import dropconnect
from regularizers.strategy import parse


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_equals_the_slow_reference():
    weight, kept, p = numbers(4, 3), torch.rand(4, 3, generator=torch.Generator().manual_seed(1)) >= 0.4, 0.4
    rows = [[w / (1 - p) * k for w, k in zip(ws, ks, strict=True)] for ws, ks in zip(weight.tolist(), kept.tolist(),
                                                                                      strict=True)]  # fmt: skip
    slow = torch.tensor(rows, dtype=torch.float64)
    assert ((dropconnect(weight, p, kept) - slow).norm() / slow.norm()).item() <= 1e-10


def test_gradient_is_exact():
    mask = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]).double()
    assert torch.autograd.gradcheck(lambda w: dropconnect(w, 0.4, mask), numbers(3, 2).requires_grad_())


def test_every_weight_has_an_entry_of_its_own_and_p_is_the_share_dropped(lab):
    trial = lab("dropconnect(0.3)")
    trial.bound.draw()
    masks = [trial.model.get_submodule(name).mix_mask for name in trial.touched]
    assert all(
        mask.shape == trial.model.get_submodule(n).weight.shape for n, mask in zip(trial.touched, masks, strict=True)
    )
    kept = torch.cat([mask.flatten().double() for mask in masks])
    assert abs(kept.mean().item() - 0.7) < 0.03
    assert not masks[0].all(0).any()  # no whole column is kept: the entries of a column differ


def test_masks_are_fresh_every_step_and_the_same_within_it(lab):
    trial, seen = lab("dropconnect(0.5)", micro_batch=2), []
    layer = trial.model.get_submodule(trial.touched[0])
    layer.register_forward_pre_hook(lambda module, inputs: seen.append(module.mix_mask.tolist()))
    trial.run(2)
    assert seen[0] == seen[1] and seen[2] == seen[3] and seen[0] != seen[2]


def test_two_trials_of_one_seed_agree_and_dropping_matters(lab):
    assert lab("dropconnect(0.5)").run(2) == lab("dropconnect(0.5)").run(2) != lab("none").run(2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dropconnect(1)", r"p of dropconnect must be in \[0, 1\), got 1"),
        ("dropconnect(0.1, layers=few)", "layers of dropconnect must be paper, fed or all, got few"),
        ("dropconnect(0.1) + mixout(0, 0.1)", "one sum must set the mixed weights once"),
    ],
)
def test_what_it_refuses(text, message):
    with pytest.raises(InputError, match=message):
        parse(text)
