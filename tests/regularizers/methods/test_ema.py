import torch


def test_the_average_equals_a_slow_one_and_training_does_not_see_it(lab):
    trial, plain = lab("ema(0.8)"), lab("none")
    slow = {name: p.numpy().copy() for name, p in plain.start.items()}
    for _ in range(5):
        trial.run(1), plain.run(1)
        for name, p in plain.parameters().items():
            slow[name] = 0.8 * slow[name] + (1 - 0.8) * p.numpy()
    assert all(torch.equal(p, plain.parameters()[name]) for name, p in trial.parameters().items())
    with trial.bound.evaluation():
        for name, p in trial.model.named_parameters():
            torch.testing.assert_close(p.detach(), torch.from_numpy(slow[name]), rtol=1e-10, atol=1e-15)
    assert all(torch.equal(p, plain.parameters()[name]) for name, p in trial.parameters().items())


def test_before_the_first_step_the_weights_themselves_are_evaluated(lab):
    assert torch.equal(lab("ema(0.8)").evaluate(), lab("none").evaluate())


def test_what_another_term_does_to_the_start_is_in_the_average(lab):
    trial = lab("ema(0.8) + noisytune(0.3)")
    before = trial.parameters()
    trial.run(1)
    after = trial.parameters()
    with trial.bound.evaluation():
        for name, p in trial.model.named_parameters():
            torch.testing.assert_close(p.detach(), 0.8 * before[name] + 0.2 * after[name], rtol=1e-10, atol=1e-15)
