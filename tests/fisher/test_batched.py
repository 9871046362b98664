"""Batched per-sample gradients against the one-sample loop, in float64."""

import pytest
import torch

from fisher.estimation import batched
from fisher.estimation.accumulate import accumulate, batches_agree, plan
from fisher.estimation.batched import Unbatchable, add_squares
from fisher.estimation.diagonal import empirical_fisher
from fisher.pretraining.objectives import collate


def batched_fisher(model, samples, loss, **options):
    return accumulate(model, samples, loss, **options).diagonal()


def assert_same(found, expected, tolerance=1e-10):
    """Relative; what is zero in exact arithmetic (a key's bias under softmax) is compared with the largest."""
    largest = max(float(value.max()) for value in expected.values())
    for name, value in expected.items():
        assert torch.allclose(found[name], value, rtol=tolerance, atol=1e-4 * tolerance * largest), name


def squares(model, batches, loss):
    """The sums over batches."""
    total = {name: torch.zeros_like(value) for name, value in model.named_parameters()}
    for batch in batches:
        add_squares(total, model, batch, loss)
    return total


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", ["bert", "gpt2", "t5"])
def test_equals_the_loop_for_any_batch_and_block_size(family, attention, case, monkeypatch):
    """In small blocks, the bias over the vocabulary is a vector longer than a block."""
    model, samples, loss = case(family, 11, attention=attention)
    expected = empirical_fisher(model, samples, loss)
    for size, block in ((1, None), (4, None), (11, None), (11, 8)):
        monkeypatch.setattr(batched, "ELEMENTS", block or batched.ELEMENTS)
        total = squares(model, [collate(samples[at : at + size]) for at in range(0, 11, size)], loss)
        assert_same({name: value / 11 for name, value in total.items()}, expected)


@pytest.mark.parametrize("family", ["bert", "gpt2", "t5"])
def test_no_sample_is_dropped_at_the_end(family, case):
    model, samples, loss = case(family, 101)
    singles = [empirical_fisher(model, [sample], loss) for sample in samples]
    for count in (1, 99, 100, 101):
        expected = {name: torch.stack([one[name] for one in singles[:count]]).mean(0) for name in singles[0]}
        assert_same(batched_fisher(model, samples[:count], loss, batch_tokens=160), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU to compare with the CPU")
@pytest.mark.parametrize("family", ["bert", "gpt2", "t5"])
def test_a_gpu_gives_what_the_cpu_gives(family, case):
    model, samples, loss = case(family, 11)
    expected = batched_fisher(model, samples, loss, batch_tokens=64)
    found = batched_fisher(model.cuda(), samples, loss, batch_tokens=64)
    tolerance = 1e-5 if family == "t5" else 1e-10  # T5's norms are computed in float32 whatever the model's type
    assert_same({name: value.cpu() for name, value in found.items()}, expected, tolerance)


class Odd(torch.nn.Module):
    """A bilinear form: no rule speaks of it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.form = torch.nn.Parameter(torch.eye(3, dtype=torch.float64) + 0.1)
        self.swapped = torch.nn.Linear(3, 3, dtype=torch.float64)

    def forward(self, x):
        return ((x @ self.form) * x).sum(1)


def test_an_unknown_use_of_a_parameter_is_refused_and_then_taken_one_by_one():
    model, loss = Odd().eval(), lambda model, batch: model(batch["x"])
    samples = [{"x": torch.randn(3, dtype=torch.float64)} for _ in range(3)]
    total = {name: torch.zeros_like(value) for name, value in model.named_parameters()}
    with pytest.raises(Unbatchable, match="form in"):
        add_squares(total, model, collate(samples), loss)
    assert not any(value.any() for value in total.values())
    assert_same(batched_fisher(model, samples, loss), empirical_fisher(model, samples, loss))


def test_a_batch_that_does_not_lead_is_noticed():
    """Sample k is no longer row k after the transpose, though every shape still fits."""
    model = Odd().eval()

    def loss(model, batch):
        return batch["scale"] * model.swapped(batch["x"].unsqueeze(0).expand(4, -1, -1)).square().sum((0, 2))

    samples = [{"x": torch.randn(3, dtype=torch.float64), "scale": torch.tensor(1.0 + k)} for k in range(4)]
    assert not batches_agree(model, samples[:2], loss)
    assert_same(batched_fisher(model, samples, loss), empirical_fisher(model, samples, loss))


def test_batches_depend_on_lengths_and_budget_alone():
    lengths = [5, 9, 3, 7, 8, 2, 6, 4, 9, 1]
    batches = plan(lengths, 16)
    assert sorted(number for batch in batches for number in batch) == list(range(10))
    assert all(len(batch) * max(lengths[number] for number in batch) <= 16 or len(batch) == 1 for batch in batches)
    done = sum(len(batch) for batch in batches[:3])
    assert plan(lengths, 16, start=done) == batches[3:]


def test_going_on_from_a_state_gives_the_same_bits(case):
    model, samples, loss = case("bert", 12)
    states = []

    def note(state):
        clone = {name: value.clone() for name, value in state.total.items()}
        states.append(type(state)(clone, state.done, state.loss, dict(state.noted)))

    whole = accumulate(model, samples, loss, batch_tokens=64, report=note)
    resumed = accumulate(model, samples, loss, batch_tokens=64, state=states[len(states) // 2])
    assert resumed.done == 12 and resumed.noted == whole.noted and resumed.loss == whole.loss
    assert all(torch.equal(resumed.total[name], value) for name, value in whole.total.items())
