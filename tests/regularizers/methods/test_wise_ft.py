import pytest
import torch

from regularizers.methods.wise_ft import between
from regularizers.surgery.swapping import swapped_parameters


def test_the_body_is_evaluated_between_start_and_end_and_the_head_as_it_is(lab):
    trial = lab("wise_ft(0.3)")
    trial.run(3)
    end = trial.parameters()
    with trial.bound.evaluation():
        for name, p in trial.model.named_parameters():
            start = end if name.startswith("classifier") else trial.start
            expected = 0.7 * start[name].numpy() + 0.3 * end[name].numpy()
            torch.testing.assert_close(p.detach(), torch.from_numpy(expected), rtol=1e-10, atol=1e-15)
    assert all(torch.equal(p, end[name]) for name, p in trial.parameters().items())


def test_the_ends_are_exact():
    start, end = {"w": torch.rand(99)}, {"w": torch.rand(99) * 1e3}
    assert torch.equal(between(start, end, 0.0)["w"], start["w"])
    assert torch.equal(between(start, end, 1.0)["w"], end["w"])


def test_averages_nest(lab):
    trial = lab("ema(0.6) + wise_ft(0.3)")
    trial.run(2)
    end, running = trial.parameters(), {name: p.clone() for name, p in trial.term.mean.items()}
    with trial.bound.evaluation():
        for name, p in trial.model.named_parameters():
            start = running if name.startswith("classifier") else trial.start
            torch.testing.assert_close(p.detach(), 0.7 * start[name] + 0.3 * running[name], rtol=1e-10, atol=1e-15)
    assert all(torch.equal(p, end[name]) for name, p in trial.parameters().items())


def test_weights_come_back_after_an_exception():
    weight = torch.nn.Parameter(torch.rand(3))
    own = weight.detach().clone()
    with pytest.raises(KeyError), swapped_parameters({"w": weight}, {"w": torch.zeros(3)}):
        assert torch.equal(weight, torch.zeros(3))
        raise KeyError
    assert torch.equal(weight, own)
