import math

import pytest
import torch

from regularizers.methods.sam import ascent


def test_ascent_has_length_rho_and_the_gradients_direction():
    gradients = [torch.tensor([[3.0, 0.0]], dtype=torch.float64), torch.tensor([4.0], dtype=torch.float64)]
    first, second = ascent(gradients, 0.5)
    assert first.tolist() == [[pytest.approx(0.3), 0.0]] and second.tolist() == [pytest.approx(0.4)]
    assert all(torch.equal(e, torch.zeros(2)) for e in ascent([torch.zeros(2)], 0.5))


def reference_gradients(trial, rho):
    """The gradient at w + e, with e from plain autograd and the moved weights put in as a functional call."""
    batch, names = trial.batches[0], [name for name, _ in trial.model.named_parameters()]
    weights = {name: p.detach().clone().requires_grad_() for name, p in trial.model.named_parameters()}

    def gradient(at):
        inputs = {k: v for k, v in batch.items() if k != "labels"}
        out = torch.func.functional_call(trial.model, at, kwargs=inputs).logits
        loss = torch.nn.functional.cross_entropy(out, batch["labels"])
        return dict(zip(names, torch.autograd.grad(loss, [at[name] for name in names]), strict=True))

    g = gradient(weights)
    norm = math.sqrt(sum(float(x.square().sum()) for x in g.values()))
    moved = {name: (w + rho * g[name] / norm).detach().requires_grad_() for name, w in weights.items()}
    return gradient(moved)


@pytest.mark.parametrize("micro_batch", [0, 2])
def test_the_gradient_is_that_of_the_worst_point_and_the_weights_come_back(micro_batch, lab):
    trial = lab("sam(0.3)", lr=0.0, micro_batch=micro_batch)
    expected = reference_gradients(trial, 0.3)
    trial.run(1)
    weights = dict(trial.model.named_parameters())
    apart = math.sqrt(sum(float((weights[name].grad - g).square().sum()) for name, g in expected.items()))
    assert apart < 1e-12 * math.sqrt(sum(float(g.square().sum()) for g in expected.values()))
    assert all(torch.equal(p, trial.start[name]) for name, p in weights.items())
