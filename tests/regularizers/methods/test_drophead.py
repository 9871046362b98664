import pytest
import torch

from regularizers.methods.drophead import DropHead, head_factors
from regularizers.surgery.noise import StepNoise


def test_factors_count_the_heads_that_are_left():
    kept = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]], dtype=torch.float64)
    expected = [[1, 1, 1, 1], [2, 0, 0, 2], [0, 4, 0, 0], [1, 1, 1, 1]]
    assert head_factors(kept).tolist() == expected


def test_the_mean_factor_is_1_and_examples_and_heads_differ():
    probabilities = torch.ones(4000, 3, 2, 2, dtype=torch.float64)
    term = DropHead(0.4)
    term._stream = StepNoise()
    factors = term.noise(torch.nn.Identity(), probabilities)
    assert torch.equal(factors, factors[:, :, :1, :1].expand_as(factors))
    one = factors[:, :, 0, 0]
    assert set(one.unique().tolist()) == {0.0, 1.0, 1.5, 3.0}
    torch.testing.assert_close(one.mean(0), torch.ones(3, dtype=torch.float64), rtol=0, atol=7 * 0.9 / 4000**0.5)
    dropped = ((one == 0).sum(1) / 3).mean().item()
    assert dropped == pytest.approx(0.4 - 0.4**3, abs=0.04)  # where all would go, none goes


def test_a_dropped_head_adds_nothing_to_the_layers_output(lab, monkeypatch):
    """Against the layer's own projection with the columns of the head set to 0 and the other's doubled."""
    kept = torch.tensor([[0.0, 1.0]] * 4, dtype=torch.float64)
    monkeypatch.setattr(DropHead, "noise", lambda self, module, x: x * head_factors(kept)[:, :, None, None])
    trial, plain = lab("drophead(0.5)"), lab("none")
    with torch.no_grad():
        for layer in plain.model.bert.encoder.layer:
            layer.attention.output.dense.weight[:, :8] = 0.0  # a head is 8 wide
            layer.attention.output.dense.weight[:, 8:] *= 2
    trial.model.train(), plain.model.train()
    one, two = (t.context.compute(t.batches[0]).logits for t in (trial, plain))
    torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-13)
