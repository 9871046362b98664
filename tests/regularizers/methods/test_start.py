"""noisytune and reinit: the weights at the start, entry by entry; w_pre stays the checkpoint."""

import numpy as np
import pytest
import torch
from torch import nn

from regularizers.base import Context
from regularizers.methods.noisytune import NoisyTune

FRESH = ("bert.encoder.layer.1.", "bert.encoder.layer.2.", "bert.pooler.")


def noisy(name, weight, generator):
    """In proportion to the tensor's spread; None for what stays."""
    if name.startswith("classifier"):
        return None
    uniform = torch.rand(weight.shape, dtype=torch.float64, generator=generator).numpy()
    return torch.from_numpy(weight.numpy() + (uniform - 0.5) * 0.3 * np.std(weight.numpy(), ddof=1))


def fresh(name, weight, generator):
    """The top layers and the pooler as at the beginning of pretraining; None for what stays."""
    if not name.startswith(FRESH):
        return None
    if name.endswith("bias") or "LayerNorm" in name:
        return torch.full_like(weight, not name.endswith("bias"))
    return torch.empty_like(weight).normal_(0, 0.02, generator=generator)


@pytest.mark.parametrize(("text", "expected"), [("noisytune(0.3)", noisy), ("reinit(2)", fresh)])
def test_what_is_touched_starts_elsewhere_and_the_rest_stays(text, expected, lab):
    trial, generator = lab(text), torch.Generator().manual_seed(31)
    for name, p in trial.model.named_parameters():
        wanted = expected(name, trial.start[name], generator)
        assert (name in trial.touched) == (wanted is not None), name
        wanted = trial.start[name] if wanted is None else wanted
        torch.testing.assert_close(p.detach(), wanted, rtol=1e-10, atol=1e-15)
        assert torch.equal(trial.context.initial[name], trial.start[name]), name


def test_a_tensor_of_one_element_is_left_alone():
    model = nn.Linear(3, 1)
    bias = model.bias.detach().clone()
    assert NoisyTune(0.5).attach(Context(model)) == ["weight"]
    assert torch.equal(model.bias, bias) and torch.isfinite(model.weight).all()
