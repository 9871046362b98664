"""Mixout against a slow reference, and the defects that public copies of it have."""

import re

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers.pytorch_utils import Conv1D

from regularizers.methods.mixout import mixout
from regularizers.surgery.mixing import convert_to_mixed, set_mask
from regularizers.surgery.mixing import mixconnect as mix


def slow_mixout(weight, target, p, kept):
    """[Lee20 eq. 8] entry by entry, with Python's numbers."""
    rows = [
        [((w if kept[j] else u) - p * u) / (1 - p) for j, (w, u) in enumerate(zip(ws, us, strict=True))]
        for ws, us in zip(weight.tolist(), target.tolist(), strict=True)
    ]
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.7, 0.9])
def test_equals_the_slow_reference(p, numbers):
    weight, target = numbers(5, 4), numbers(5, 4, seed=1)
    mask = torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.float64)
    ours, slow = mixout(weight, target, p, mask), slow_mixout(weight, target, p, mask.bool().tolist())
    assert ((ours - slow).norm() / slow.norm()).item() <= 1e-10


def test_ends_of_p(numbers):
    weight, target, mask = numbers(3, 2), numbers(3, 2, seed=1), torch.tensor([1.0, 0.0]).double()
    assert torch.equal(mixout(weight, target, 0, mask), weight)
    assert torch.equal(mixout(weight, target, 1, mask), target)


def test_the_authors_gradient_lacks_the_factor_and_only_that(numbers):
    target, mask = numbers(3, 4, seed=1), torch.tensor([1.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    grads, values = {}, {}
    for form in ("exact", "authors"):
        weight = numbers(3, 4).requires_grad_()
        values[form] = mixout(weight, target, 0.7, mask, form)
        values[form].sum().backward()
        grads[form] = weight.grad
    assert torch.allclose(values["exact"], values["authors"], rtol=1e-12, atol=0)
    assert torch.allclose(grads["authors"], grads["exact"] * 0.3, rtol=1e-12, atol=0)


@pytest.mark.parametrize("gradient", ["exact", "authors"])
@pytest.mark.parametrize("mask", [[1, 0, 0, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [0.3, -0.2, 0, 1.4, 0.7]])
@pytest.mark.parametrize("kind", ["linear", "conv1d"])
@pytest.mark.parametrize("chosen", [True, False])
def test_kept_columns_alone_give_the_plain_layers_output_and_gradients(
    monkeypatch, chosen, kind, mask, gradient, numbers
):
    """Against autograd through the whole mixed weight, for inputs of three dimensions, bias and input included."""
    monkeypatch.setattr("regularizers.surgery.mixing.WORTHWHILE", 0 if chosen else 1e9)
    p, mask, x = 0.7, torch.tensor(mask, dtype=torch.float64), numbers(2, 3, 5, seed=4).requires_grad_()
    layer = (nn.Linear(5, 4) if kind == "linear" else Conv1D(4, 5)).double()
    target, weight = numbers(*layer.weight.shape, seed=5), layer.weight.detach().clone().requires_grad_()
    bias, plain_x = numbers(4, seed=6).requires_grad_(), x.detach().clone().requires_grad_()
    with torch.no_grad():
        layer.bias.copy_(bias)
    wide = mask if kind == "linear" else mask[:, None]
    mixed = mix(weight, target, p, wide, gradient)
    expected = plain_x @ (mixed.t() if kind == "linear" else mixed) + bias
    set_mask(convert_to_mixed(layer, target, p, gradient=gradient), mask)
    assert (layer.mix_kept is not None) == (chosen and not mask.all())
    got = layer(x)
    assert torch.allclose(got, expected, rtol=1e-12, atol=1e-12)
    for out in (got, expected):
        out.pow(3).sum().backward()
    for one, other in ((layer.weight, weight), (layer.bias, bias), (x, plain_x)):
        assert torch.allclose(one.grad, other.grad, rtol=1e-12, atol=1e-12)
    columns = layer.weight.grad if kind == "linear" else layer.weight.grad.t()
    assert torch.equal(columns[:, mask == 0], torch.zeros(4, int((mask == 0).sum())).double())


def test_under_autocast_the_products_are_computed_in_its_type(monkeypatch, numbers):
    monkeypatch.setattr("regularizers.surgery.mixing.WORTHWHILE", 0)
    layer, x = nn.Linear(8, 4), numbers(3, 8).float()
    target, mask = numbers(4, 8, seed=1).float(), torch.tensor([1.0, 0, 0, 1, 0, 0, 0, 1])
    plain = nn.functional.linear(x, mix(layer.weight, target, 0.7, mask), layer.bias)
    plain.sum().backward()
    expected = layer.weight.grad.clone()
    layer.zero_grad()
    set_mask(convert_to_mixed(layer, target, 0.7), mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(x)
    out.float().sum().backward()
    assert out.dtype == torch.bfloat16 and layer.weight.grad.dtype == torch.float32
    assert torch.allclose(out.float(), plain, rtol=0.05, atol=0.1)
    assert torch.allclose(layer.weight.grad, expected, rtol=0.05, atol=0.1)


def test_the_target_is_saved_and_the_mask_is_not(numbers):
    saved, other = (convert_to_mixed(nn.Linear(3, 2), numbers(2, 3, seed=seed), 0.5) for seed in (0, 1))
    other.load_state_dict(saved.state_dict())
    assert torch.equal(other.mix_target, saved.mix_target) and "mix_mask" not in saved.state_dict()


def test_masks_come_from_one_draw_of_the_trials_generator_for_every_step(lab):
    trial, generator = lab("mixout(w_pre, 0.7)"), torch.Generator().manual_seed(31)
    layers = [trial.model.get_submodule(name) for name in trial.touched]
    for _ in range(2):
        trial.bound.draw()
        expected = torch.rand(sum(x.in_features for x in layers), generator=generator) >= 0.7
        assert torch.equal(torch.cat([layer.mix_mask for layer in layers]).bool(), expected)


ATTENTION = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")


@pytest.mark.parametrize(
    ("options", "last"),
    [
        ("", ("output.dense",)),
        (", layers=paper", ("output.dense",)),
        (", layers=fed", ("intermediate.dense",)),
        (", layers=all", ("intermediate.dense", "output.dense")),
    ],
)
def test_touches_the_layers_of_bert_that_a_reading_names(lab, options, last):
    body = [f"bert.encoder.layer.{i}.{name}" for i in range(3) for name in (*ATTENTION, *last)]
    assert lab(f"mixout(w_pre, 0.7{options})").touched == [*body, "bert.pooler.dense"]
    assert lab("head:mixout(w_0, 0.7)").touched == ["classifier"]


def stored(tmp_path, model, change=lambda name, value: value):
    """The model's own weights under base names, each shifted by 1."""
    path = tmp_path / "target.safetensors"
    values = {n.removeprefix("bert."): change(n, p.detach() + 1) for n, p in model.named_parameters()}
    save_file({name: value for name, value in values.items() if value is not None}, path)
    return path


def test_a_stored_target_is_read_by_base_model_names(lab, tmp_path):
    path = stored(tmp_path, lab("none").model)
    trial = lab(f"mixout({path}, 0.5)")
    layer = trial.model.get_submodule(trial.touched[0])
    assert torch.equal(layer.mix_target, layer.weight.detach() + 1)
    head = lab(f"head:mixout({path}, 0.5)").model.classifier
    assert torch.equal(head.mix_target, head.weight.detach() + 1)


KEY = "bert.encoder.layer.0.attention.self.key.weight"


def changed(replacement):
    """Store the target with something else for one weight, or nothing."""
    return lambda path, model: stored(path.parent, model, lambda n, value: replacement(value) if n == KEY else value)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            changed(lambda value: value[:1].clone()),
            r"must hold bert.*key.weight in the shape \(16, 16\), got \(1, 16\)",
        ),
        (changed(lambda value: None), r"a target for every mixed weight, got none for encoder.*key.weight"),
        (lambda path, model: None, r"an existing .safetensors file, got .*target.safetensors"),
        (lambda path, model: path.write_bytes(b"?"), "must be a safetensors file, but it cannot be read"),
    ],
)
def test_a_stored_target_must_fit_and_be_readable(lab, tmp_path, write, message, refusal):
    write(tmp_path / "target.safetensors", lab("none").model)
    assert re.search(message, refusal(lab, f"mixout({tmp_path / 'target.safetensors'}, 0.5)"))


@pytest.mark.parametrize("gradient", ["exact", "authors"])
def test_with_a_mask_of_single_weights_every_weight_is_kept_or_mixed(lab, gradient):
    """Against [Lee20 eq. 8] entry by entry; the gradient of a mixed weight is 0."""
    p = 0.7
    trial = lab(f"mixout(w_pre, {p}, layers=all, gradient={gradient}, mask=weight)").shift()
    layer = trial.model.get_submodule(trial.touched[0]).train()
    trial.bound.draw()
    mask, x = layer.mix_mask.clone(), torch.rand(3, 16, dtype=torch.float64)
    assert mask.shape == layer.weight.shape and 0.15 < mask.double().mean() < 0.45
    out = layer(x)
    out.sum().backward()
    for row in range(0, 16, 5):
        mixed = [
            ((float(w) if kept else float(u)) - p * float(u)) / (1 - p)
            for w, u, kept in zip(layer.weight[row].detach(), layer.mix_target[row], mask[row], strict=True)
        ]
        expected = x @ torch.tensor(mixed, dtype=torch.float64) + layer.bias[row]
        torch.testing.assert_close(out[:, row], expected, rtol=1e-12, atol=1e-12)
    factor = 1 if gradient == "authors" else 1 / (1 - p)
    torch.testing.assert_close(layer.weight.grad, factor * mask.double() * x.sum(0), rtol=1e-12, atol=1e-12)
    trial.bound.draw()
    assert not torch.equal(layer.mix_mask, mask)
