"""Dropconnect: independent masks per weight, as a special case of mixconnect."""

import torch

from regularizers.methods.dropconnect import dropconnect


def test_equals_the_slow_reference(numbers):
    weight, kept, p = numbers(4, 3), torch.rand(4, 3, generator=torch.Generator().manual_seed(1)) >= 0.4, 0.4
    rows = [[w / (1 - p) * k for w, k in zip(ws, ks, strict=True)] for ws, ks in zip(weight.tolist(), kept.tolist(),
                                                                                      strict=True)]  # fmt: skip
    slow = torch.tensor(rows, dtype=torch.float64)
    assert ((dropconnect(weight, p, kept) - slow).norm() / slow.norm()).item() <= 1e-10


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
