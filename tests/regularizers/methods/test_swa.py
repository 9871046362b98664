import pytest
import torch


@pytest.mark.parametrize(("share", "first"), [(0.5, 2), (0.4, 3), (1, 0), (0.01, 4), (0, 5)])
def test_the_mean_of_the_last_steps_is_evaluated_and_training_does_not_see_it(share, first, lab):
    trial, plain = lab(f"swa({share})"), lab("none")
    after = []
    for step in range(5):
        trial.run(1), plain.run(1)
        after.append(plain.parameters())
        assert all(torch.equal(p, after[-1][name]) for name, p in trial.parameters().items())
        last = after[first:] if step >= first else after[-1:]
        with trial.bound.evaluation():
            for name, p in trial.model.named_parameters():
                mean = sum(weights[name].numpy() for weights in last) / len(last)
                torch.testing.assert_close(p.detach(), torch.from_numpy(mean), rtol=1e-10, atol=1e-15)
