import importlib.util

import pytest
import torch
from torch import nn

from fisher.common.errors import InputError
from regularizers.context import FAMILY_FREE, Context, SkipTrial
from regularizers.methods.lora import LoRA
from regularizers.strategy import parse

pytest.importorskip("peft", reason="lora is an extra: pip install 'regbench[lora]'")
LAYERS = [f"bert.encoder.layer.{i}.attention.self.{part}" for i in range(3) for part in ("query", "value")]


def dense_weights(trial, alpha_over_r):
    """The weights of a model without LoRA that computes the same: W_0 + alpha / r * B A, element by element."""
    parameters = trial.parameters()
    plain = {name: p for name, p in parameters.items() if "lora_" not in name and "base_layer" not in name}
    for layer in LAYERS:
        weight = trial.start[f"{layer}.weight"].clone()
        a, b = (parameters[f"{layer}.lora_{x}.default.weight"] for x in "AB")
        for row in range(weight.shape[0]):
            for column in range(weight.shape[1]):
                weight[row, column] += alpha_over_r * sum(b[row, k] * a[k, column] for k in range(a.shape[0]))
        plain |= {f"{layer}.weight": weight, f"{layer}.bias": parameters[f"{layer}.base_layer.bias"]}
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
    expected = dense_logits(trial, lab, dense_weights(trial, 3.0))
    torch.testing.assert_close(trial.evaluate(), expected, rtol=1e-10, atol=1e-13)
    trial.model.eval()
    apart = trial.context.compute(trial.batches[0]).logits  # the corrections next to the frozen weights, as in training
    torch.testing.assert_close(apart.detach(), expected, rtol=1e-10, atol=1e-13)


def test_the_distance_from_w_pre_and_wise_ft_are_about_the_corrected_weights(lab):
    trial = lab("lora(2, 6, lr=0.05) + wise_ft(0.3)")
    trial.run(3)
    end = dense_weights(trial, 3.0)
    start = {name: (end if name.startswith("classifier") else trial.start)[name] for name in end}
    expected = {name: 0.7 * start[name] + 0.3 * end[name] for name in end}
    torch.testing.assert_close(trial.evaluate(), dense_logits(trial, lab, expected), rtol=1e-10, atol=1e-13)
    with trial.bound.evaluation():
        initial, weights = trial.context.initial, dict(trial.model.named_parameters())
        distance = sum(
            float((weights[f"{n}.base_layer.weight"] - initial[f"{n}.base_layer.weight"]).square().sum())
            for n in LAYERS
        )
    reference = sum(float((expected[f"{n}.weight"] - trial.start[f"{n}.weight"]).square().sum()) for n in LAYERS)
    assert distance == pytest.approx(reference, rel=1e-10)


def test_the_start_depends_on_the_trials_noise_alone(lab):
    torch.manual_seed(1)
    one = lab("lora").parameters()
    torch.manual_seed(2)
    two = lab("lora").parameters()
    assert all(torch.equal(p, two[name]) for name, p in one.items())
    other = lab("none")
    parse("lora").bind(Context(other.model, other.context.head, torch.Generator().manual_seed(8))).attach()
    name = f"{LAYERS[0]}.lora_A.default.weight"
    assert not torch.equal(dict(other.model.named_parameters())[name], one[name])


def test_an_unknown_family_is_skipped():
    with pytest.raises(SkipTrial, match="lora needs a model whose family has layers to adapt"):
        LoRA().attach(Context(nn.Linear(2, 2), sites=FAMILY_FREE))


def test_without_peft_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"lora must have the library peft, got none; install it with pip install"):
        parse("lora")


def test_its_dropout_drops_the_input_of_the_correction_alone(lab):
    trial = lab("lora(2, 6, dropout=0.5)")
    layer = trial.model.get_submodule(LAYERS[0]).train()
    b = trial.model.get_parameter(f"{LAYERS[0]}.lora_B.default.weight")
    a, frozen = layer.lora_A["default"].weight, layer.base_layer
    x = torch.rand(50, 16, dtype=torch.float64)
    with torch.no_grad():
        b.fill_(0.5)
        torch.manual_seed(9)
        noisy = layer(x)
        torch.manual_seed(9)
        dropped = nn.functional.dropout(x, 0.5)
        assert 0 < (dropped == 0).sum() < dropped.numel()
        expected = x @ frozen.weight.T + frozen.bias + 3.0 * (dropped @ a.T) @ b.T
    torch.testing.assert_close(noisy, expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(trial.evaluate(), trial.evaluate())
