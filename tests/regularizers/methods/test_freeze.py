import pytest
import torch

FROZEN = {0: ("bert.embeddings.",), 1: ("bert.embeddings.", "bert.encoder.layer.0.")}


@pytest.mark.parametrize("k", FROZEN)
def test_what_is_frozen_stays_and_all_else_has_the_full_gradient(k, lab):
    trial, plain = lab(f"freeze({k})"), lab("none")
    assert trial.touched == [name for name in trial.start if name.startswith(FROZEN[k])]
    trial.run(1), plain.run(1)
    full = dict(plain.model.named_parameters())
    for name, p in trial.model.named_parameters():
        if name.startswith(FROZEN[k]):
            assert p.grad is None and torch.equal(p, trial.start[name])
        else:
            torch.testing.assert_close(p.grad, full[name].grad, rtol=1e-10, atol=1e-14)
