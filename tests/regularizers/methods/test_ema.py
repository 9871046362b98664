import pytest
import torch

from regularizers.methods.ema import EMA


def test_the_average_equals_a_slow_one_and_training_does_not_see_it(lab):
    trial, plain = lab("ema(0.2)"), lab("none")
    slow = {name: 0.0 * p.numpy() for name, p in plain.start.items()}
    for rate in (0, 1 / 10, 2 / 11, 0.2, 0.2):  # 3 / 12 and 4 / 13 are more than the decay
        trial.run(1), plain.run(1)
        for name, p in plain.parameters().items():
            slow[name] = rate * slow[name] + (1 - rate) * p.numpy()
    assert all(torch.equal(p, plain.parameters()[name]) for name, p in trial.parameters().items())
    with trial.bound.evaluation():
        for name, p in trial.model.named_parameters():
            torch.testing.assert_close(p.detach(), torch.from_numpy(slow[name]), rtol=1e-10, atol=1e-15)
    assert all(torch.equal(p, plain.parameters()[name]) for name, p in trial.parameters().items())


def test_before_the_first_step_the_weights_themselves_are_evaluated(lab):
    assert torch.equal(lab("ema(0.8)").evaluate(), lab("none").evaluate())


def test_the_start_is_no_part_of_the_average(lab):
    trial = lab("ema(0.999)")
    trial.run(1)
    after = trial.parameters()
    with trial.bound.evaluation():
        assert all(torch.equal(p, after[name]) for name, p in trial.model.named_parameters())


@pytest.mark.parametrize(("steps", "rate"), [(1, 0), (10, 0.5), (91, 90 / 99), (8991, 8990 / 8999), (10**6, 0.999)])
def test_the_decay_grows_with_the_steps_up_to_its_value(steps, rate):
    method = EMA(0.999)
    method.averaged = steps - 1
    assert method.rate() == pytest.approx(rate, rel=1e-12)
