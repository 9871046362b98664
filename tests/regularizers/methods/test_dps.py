import math

import numpy as np
import pytest
import torch

from regularizers.methods.dps import top_part


def full_gradients(trial, batch):
    """Gradients of the plain loss at the trial's weights."""
    named = dict(trial.model.named_parameters())
    slopes = torch.autograd.grad(trial.context.compute(batch).loss, list(named.values()))
    return {name: slope.numpy().copy() for name, slope in zip(named, slopes, strict=True)}


@pytest.mark.parametrize(("ratio", "length"), [(0.4, 2), (0.05, 1), (0.2, 1)])
def test_gradients_equal_a_slow_reference(ratio, length, lab):
    trial = lab(f"dps(0.3, ratio={ratio})")
    scores, masks = {}, {}
    for step in range(5):
        trial.model.train()
        full = full_gradients(trial, trial.batches[step])
        trial.run(1)
        masked = (step // length) % 2 == 1
        for name, p in trial.model.named_parameters():
            expected = full[name]
            if "layer." in name and name.endswith("weight") and "LayerNorm" not in name:
                if not masked:
                    scores[name] = expected**2 + (0 if step % length == 0 else scores[name])
                elif step % length == 0:
                    threshold = np.sort(scores[name].flatten())[::-1][math.ceil(0.3 * expected.size) - 1]
                    masks[name] = scores[name] >= threshold
                expected = expected * masks[name] if masked else expected
            np.testing.assert_allclose(p.grad.numpy(), expected, rtol=1e-9, atol=1e-14, err_msg=f"{step} {name}")
    assert len(masks) == 18 and all(0.3 <= mask.mean() < 0.31 for mask in masks.values())


def test_entries_of_equal_score_stay_together():
    scores = torch.tensor([[3.0, 1.0], [1.0, 0.0]])
    assert top_part(scores, 0.5).tolist() == [[True, True], [True, False]]
    assert top_part(scores, 0.25).sum() == 1 and top_part(scores, 1).all()
