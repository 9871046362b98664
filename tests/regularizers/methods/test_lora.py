import importlib.util

import pytest
import torch
from torch import nn

from regularizers.context import Context, Training
from regularizers.methods.lora import merged
from regularizers.strategy import parse

pytest.importorskip("peft", reason="lora is an extra: pip install 'regbench[lora]'")
LAYERS = [f"bert.encoder.layer.{i}.attention.self.{part}" for i in range(3) for part in ("query", "value")]


def slow_correction(trial, layer, columns=1.0, rows=1.0):
    """W_0 + 3 diag(rows) B A diag(columns) of one layer, and W_0."""
    parameters = dict(trial.model.named_parameters())
    a, b = (parameters[f"{layer}.lora_{x}.default.weight"] for x in "AB")
    frozen = trial.start[f"{layer}.weight"]
    return frozen + 3.0 * (b * rows) @ (a * columns), frozen


def dense_weights(trial):
    """The weights of a model without LoRA that computes the same."""
    parameters = trial.parameters()
    plain = {name: p for name, p in parameters.items() if "lora_" not in name and "base_layer" not in name}
    for layer in LAYERS:
        plain |= {f"{layer}.weight": slow_correction(trial, layer)[0].detach()}
        plain |= {f"{layer}.bias": parameters[f"{layer}.base_layer.bias"]}
    return plain


def dense_logits(trial, lab, weights):
    model = lab("none").model.eval()
    model.load_state_dict(weights)
    return model(**{k: v for k, v in trial.batches[0].items() if k != "labels"}).logits.detach()


def test_only_corrections_and_head_train_and_the_model_starts_as_it_was(lab):
    trial = lab("lora(2, 6)")
    assert trial.touched == LAYERS
    trained = {f"{layer}.lora_{x}.default.weight" for layer in LAYERS for x in "AB"}
    assert trial.rates() == dict.fromkeys(trained | {"classifier.weight", "classifier.bias"}, 5e-4)
    assert torch.equal(trial.evaluate(), lab("none").evaluate())
    trial.run(2)
    for name, p in trial.parameters().items():
        if "lora_" not in name and not name.startswith("classifier"):
            assert torch.equal(p, trial.start[name.replace(".base_layer", "")]), name


def test_it_computes_with_the_corrected_weights(lab):
    trial = lab("lora(2, 6, lr=0.05)")
    trial.run(3)
    expected = dense_logits(trial, lab, dense_weights(trial))
    torch.testing.assert_close(trial.evaluate(), expected, rtol=1e-10, atol=1e-13)
    trial.model.eval()
    apart = trial.context.compute(trial.batches[0]).logits  # the corrections next to the frozen weights, as in training
    torch.testing.assert_close(apart.detach(), expected, rtol=1e-10, atol=1e-13)


def test_the_distance_from_w_pre_and_wise_ft_are_about_the_corrected_weights(lab):
    trial = lab("lora(2, 6, lr=0.05) + wise_ft(0.3)")
    trial.run(3)
    end = dense_weights(trial)
    start = {name: (end if name.startswith("classifier") else trial.start)[name] for name in end}
    expected = {name: 0.7 * start[name] + 0.3 * end[name] for name in end}
    torch.testing.assert_close(trial.evaluate(), dense_logits(trial, lab, expected), rtol=1e-10, atol=1e-13)
    with trial.bound.evaluation():
        for name in LAYERS:
            key, weight = f"{name}.base_layer.weight", f"{name}.weight"
            found = trial.model.get_parameter(key) - trial.context.initial[key]
            torch.testing.assert_close(found, expected[weight] - trial.start[weight], rtol=1e-9, atol=1e-13)


def test_the_start_of_the_corrections_is_noise_of_the_trial(lab):
    name = f"{LAYERS[0]}.lora_A.default.weight"
    assert not torch.equal(lab("lora", noise=8).parameters()[name], lab("lora").parameters()[name])


def test_without_peft_one_sentence_says_what_to_install(monkeypatch, refusal):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "lora must have the library peft, got none; install it with pip install" in refusal(parse, "lora")


def test_its_dropout_drops_the_input_of_the_correction_alone(lab, numbers):
    trial, x = lab("lora(2, 6, dropout=0.5)"), numbers(50, 16)
    layer = trial.model.get_submodule(LAYERS[0]).train()
    torch.nn.init.constant_(layer.lora_B["default"].weight, 0.5)
    torch.manual_seed(9)
    noisy = layer(x)
    torch.manual_seed(9)
    dropped = nn.functional.dropout(x, 0.5)
    assert 0 < (dropped == 0).sum() < dropped.numel()
    a, b = (lora["default"].weight for lora in (layer.lora_A, layer.lora_B))
    torch.testing.assert_close(noisy, layer.base_layer(x) + 3.0 * (dropped @ a.T) @ b.T, rtol=1e-12, atol=1e-12)
    assert torch.equal(trial.evaluate(), trial.evaluate())


def test_dora_trains_the_length_of_every_row_apart_from_its_direction(lab):
    trial = lab("lora(2, 6, lr=0.05, dora=true)")
    assert torch.allclose(trial.evaluate(), lab("none").evaluate(), rtol=1e-12, atol=1e-14)
    trial.run(3)
    for name in LAYERS:
        direction, frozen = (weight.detach() for weight in slow_correction(trial, name))
        length = trial.parameters()[f"{name}.lora_magnitude_vector.default.weight"]
        rows = [row / sum(float(v) ** 2 for v in row) ** 0.5 for row in direction]
        expected = length.unsqueeze(1) * torch.stack(rows)
        assert not torch.isclose(length, torch.linalg.vector_norm(frozen, dim=1), rtol=1e-4).any()
        torch.testing.assert_close(merged(trial.model.get_submodule(name)), expected, rtol=1e-12, atol=1e-14)


def test_doras_gradient_takes_the_norm_as_given(lab, numbers):
    trial = lab("lora(2, 6, dora=true)")
    layer = trial.model.get_submodule(LAYERS[0]).train()
    trained = [layer.lora_A["default"].weight, layer.lora_B["default"].weight]
    length = layer.lora_magnitude_vector["default"].weight
    with torch.no_grad():
        trained[1].copy_(numbers(*trained[1].shape, seed=4))
        length.mul_(1.5)
    x, weight = numbers(5, 16, seed=5), slow_correction(trial, LAYERS[0])[0]
    got = torch.autograd.grad(layer(x).square().sum(), (*trained, length))
    weight = length.unsqueeze(1) * weight / torch.linalg.vector_norm(weight.detach(), dim=1, keepdim=True)
    expected = torch.autograd.grad((x @ weight.T + layer.base_layer.bias).square().sum(), (*trained, length))
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("family", ["gpt2", "bert", "llama"])
def test_dora_evaluates_the_weights_it_trains_with(family, family_model, batch):
    model, head = family_model(family)
    model.double()
    context = Context(model, head, torch.Generator().manual_seed(1), training=Training(steps=2))
    bound = parse("lora(2, 6, dora=true)").bind(context)
    bound.attach()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.add_(0.1 * torch.rand(parameter.shape, generator=context.generator))
    model.eval()
    apart = context.compute(batch).logits
    with bound.evaluation():
        torch.testing.assert_close(context.compute(batch).logits, apart, rtol=1e-10, atol=1e-12)


def test_a_mask_drops_whole_features_of_the_correction(lab):
    trial = lab("lora(2, 6, mask=0.5)")
    trial.context.training.optimizer.param_groups[0]["lr"] = 0.05
    trial.run(2)
    trial.model.train()
    x = torch.rand(5, 16, dtype=torch.float64)
    seen = set()
    for _ in range(3):
        trial.bound.draw()
        for at, name in enumerate(LAYERS):
            layer = trial.model.get_submodule(name)
            columns, rows = (mask.kept.double() for mask in trial.term._masks[2 * at : 2 * at + 2])
            weight = slow_correction(trial, name, columns, rows.unsqueeze(1))[0]
            torch.testing.assert_close(layer(x), x @ weight.T + layer.base_layer.bias, rtol=1e-12, atol=1e-12)
            assert torch.equal(layer(x), layer(x))  # micro-batches of a step share a mask
            seen |= {tuple(columns.tolist()), tuple(rows.tolist())}
    assert len(seen) == 3 * 2 * len(LAYERS)
    drawn = torch.tensor(sorted(seen))
    assert set(drawn.unique().tolist()) == {0.0, 1.0} and 0.4 < drawn.mean() < 0.6


def test_a_mask_evaluates_the_mean_of_its_weights(lab):
    trial = lab("lora(2, 6, lr=0.05, mask=0.5)")
    trial.run(2)
    weight, frozen = slow_correction(trial, LAYERS[0])
    with trial.bound.evaluation():
        evaluated = trial.model.get_submodule(LAYERS[0]).base_layer.weight
        torch.testing.assert_close(evaluated, frozen + 0.25 * (weight - frozen), rtol=1e-12, atol=1e-14)
