import numpy as np
import torch
from torch import nn

from regularizers.base import Context
from regularizers.methods.noisytune import NoisyTune


def test_every_tensor_is_shaken_in_proportion_to_its_spread(lab):
    trial, generator = lab("noisytune(0.3)"), torch.Generator().manual_seed(31)
    for name, p in trial.model.named_parameters():
        if name.startswith("classifier"):
            assert torch.equal(p, trial.start[name]) and name not in trial.touched
            continue
        w = trial.start[name].numpy()
        uniform = torch.rand(w.shape, dtype=torch.float64, generator=generator).numpy()
        expected = torch.from_numpy(w + (uniform - 0.5) * 0.3 * np.std(w, ddof=1))
        torch.testing.assert_close(p.detach(), expected, rtol=1e-10, atol=1e-15)
        assert torch.equal(trial.context.initial[name], trial.start[name])  # w_pre stays the checkpoint


def test_a_tensor_of_one_element_is_left_alone():
    model = nn.Linear(3, 1)
    bias = model.bias.detach().clone()
    assert NoisyTune(0.5).attach(Context(model)) == ["weight"]
    assert torch.equal(model.bias, bias) and torch.isfinite(model.weight).all()
