import torch


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
