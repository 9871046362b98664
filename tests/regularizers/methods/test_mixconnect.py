"""Mixconnect against a slow reference; its Bernoulli case is mixout, with masks of single weights dropconnect."""

import pytest
import torch

from regularizers.methods.mixconnect import gaussian_mask, mixconnect


@pytest.mark.parametrize("p", [0.1, 0.7])
def test_equals_the_matrix_form_of_equation_5(p, numbers):
    weight, target, mask = numbers(4, 3), numbers(4, 3, seed=1), numbers(3, seed=2)
    m, eye = torch.diag(mask), torch.eye(3, dtype=torch.float64)
    slow = (target @ (eye - m) + weight @ m - p * target) @ torch.linalg.inv((1 - p) * eye)
    assert ((mixconnect(weight, target, p, mask) - slow).norm() / slow.norm()).item() <= 1e-10


def test_moments_of_the_gaussian_mask():
    draws = gaussian_mask(200_000, 0.3, torch.Generator().manual_seed(0))
    assert abs(draws.mean().item() - 0.7) < 0.005
    assert abs(draws.var().item() - 0.21) < 0.005


def test_bernoulli_is_mixout_draw_for_draw(lab):
    assert lab("mixconnect(w_pre, 0.7)").run(3) == lab("mixout(w_pre, 0.7)").run(3)


def test_gaussian_masks_train_and_differ_from_mixout(lab):
    trial = lab("mixconnect(w_pre, 0.5, mask=gaussian)")
    losses = trial.run(3)
    assert losses != lab("mixout(w_pre, 0.5)").run(3)
    layer = trial.model.get_submodule(trial.touched[0])
    assert not set(layer.mix_mask.tolist()) <= {0.0, 1.0}


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
