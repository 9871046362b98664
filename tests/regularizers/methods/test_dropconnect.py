"""Dropconnect: independent masks per weight, as a special case of mixconnect."""

import torch


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
