"""ema, swa and wise_ft: what is evaluated after every step against slow references; training does not see it."""

import pytest
import torch

from regularizers.methods.wise_ft import between
from regularizers.surgery.swapping import swapped_parameters


def ema(after, rates):
    """The running average of a weight after each step, whose first rates are 0, 1/10, 2/11 and so on."""
    mean = torch.zeros_like(after[0])
    for rate, weight in zip(rates, after, strict=False):
        mean = rate * mean + (1 - rate) * weight
    return mean


def from_step(first):
    """The mean from that step on, before it the weights themselves."""
    return lambda start, after, in_head: torch.stack(after[first:] or after[-1:]).mean(0)


def nested(start, after, in_head):
    running = ema(after, (0, 1 / 10, 2 / 11, 3 / 12, 4 / 13))
    return running if in_head else 0.7 * start + 0.3 * running


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("ema(0.2)", lambda start, after, in_head: ema(after, (0, 1 / 10, 2 / 11, 0.2, 0.2))),
        *((f"swa({share})", from_step(first)) for share, first in ((0.5, 2), (0.4, 3), (1, 0), (0.01, 4), (0, 5))),
        ("wise_ft(0.3)", lambda start, after, in_head: after[-1] if in_head else 0.7 * start + 0.3 * after[-1]),
        ("ema(0.6) + wise_ft(0.3)", nested),
    ],
)
def test_the_average_equals_a_slow_one_and_training_does_not_see_it(text, reference, lab):
    trial, plain = lab(text), lab("none")
    torch.testing.assert_close(trial.evaluate(), plain.evaluate(), rtol=1e-12, atol=1e-14)
    after = []
    for _ in range(5):
        trial.run(1), plain.run(1)
        after.append(plain.parameters())
        with trial.bound.evaluation():
            for name, p in trial.model.named_parameters():
                own = [weights[name] for weights in after]
                expected = reference(trial.start[name], own, name.startswith("classifier"))
                torch.testing.assert_close(p.detach(), expected, rtol=1e-10, atol=1e-15)
        assert all(torch.equal(p, after[-1][name]) for name, p in trial.parameters().items())


def test_the_ends_are_exact():
    start, end = {"w": torch.rand(99)}, {"w": torch.rand(99) * 1e3}
    assert torch.equal(between(start, end, 0.0)["w"], start["w"])
    assert torch.equal(between(start, end, 1.0)["w"], end["w"])


def test_weights_come_back_after_an_exception():
    weight = torch.nn.Parameter(torch.rand(3))
    own = weight.detach().clone()
    with pytest.raises(KeyError), swapped_parameters({"w": weight}, {"w": torch.zeros(3)}):
        assert torch.equal(weight, torch.zeros(3))
        raise KeyError
    assert torch.equal(weight, own)
