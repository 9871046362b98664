"""Folding: the plain model computes what was evaluated, and nothing of a technique is left in it."""

import gc
import weakref
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from transformers import BertForSequenceClassification

from regularizers import fold
from regularizers.base import Context, Regularizer
from regularizers.registry import methods, register
from regularizers.strategy import parse
from regularizers.surgery.folding import carried, plain_weights
from regularizers.testing.tiny_trial import Trial, first_difference, tiny_bert

EXAMPLES = {name: cls.example or name for name, cls in methods().items()} | {
    "head": "ema(0.9) + head:mixout(w_0, 0.5) + mixout(w_pre, 0.5)",
    "sum": "gaussian_dropout(0.1) + lora(2) + wise_ft(0.3)",
}


def trained(strategy: str) -> Trial:
    return Trial(parse(strategy), dtype=torch.float64).begin().train(3)


def kinds(model: nn.Module) -> dict[str, tuple]:
    """What a user can see of every module: class, own tensors, dropout, hooks."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return {
        name: (
            type(module),
            *(sorted(getattr(module, held)) for held in ("_parameters", "_buffers", "_non_persistent_buffers_set")),
            *(len(getattr(module, hook)) for hook in hooks),
            getattr(module, "p", None),
            sorted(vars(module)),
        )
        for name, module in model.named_modules()
    }


@pytest.mark.parametrize("strategy", EXAMPLES.values(), ids=EXAMPLES)
def test_the_folded_model_is_plain_and_computes_what_was_evaluated(strategy, tmp_path):
    trial = trained(strategy)
    expected, batch = trial.outcome()["logits"], trial.batch(4)
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    model = trial.bound.fold()
    plain = tiny_bert().to(torch.float64)
    assert model is trial.model and kinds(model) == kinds(plain)
    assert all(p.requires_grad for p in model.parameters())
    assert model.config._attn_implementation == plain.config._attn_implementation
    model.save_pretrained(tmp_path)
    loaded = BertForSequenceClassification.from_pretrained(tmp_path, dtype=torch.float64)
    with torch.no_grad():
        for way in (model, loaded):
            torch.testing.assert_close(way.eval()(**inputs).logits, expected, rtol=0, atol=1e-10)
    assert fold(model) is model  # a plain model stays as it is


@pytest.mark.parametrize("strategy", ["mixout(w_pre, 0.5)", "tuneout(0.1)", "gaussian_dropout(0.1)", "dropout(0.2)"])
def test_models_of_other_families_get_their_structure_back(family, family_model, strategy):
    model, head = family_model(family)
    before, start = kinds(model), {name: value.clone() for name, value in model.state_dict().items()}
    bound = parse(strategy).bind(Context(model, head))
    bound.attach()
    assert kinds(model) != before
    bound.fold()
    assert kinds(model) == before and first_difference(dict(model.state_dict()), start) is None


def test_plain_weights_leave_the_training_alone():
    whole, read = trained("ema(0.9) + lora(2)"), trained("ema(0.9) + lora(2)")
    weights = plain_weights(read.bound)
    assert weights.keys() == tiny_bert().state_dict().keys()
    assert read.model.training and carried(read.model) is read.bound
    assert first_difference(read.train(1).outcome(), whole.train(1).outcome()) is None
    query = "bert.encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(weights[query], tiny_bert().to(torch.float64).state_dict()[query])


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


@dataclass
class Parametrized(Regularizer):
    """A technique that parametrizes a layer, adds a module of its own, and in `start` a hook."""

    def attach(self, context):
        layer = context.model.bert.pooler.dense
        parametrize.register_parametrization(layer, "weight", Doubled())
        context.added.update(n for n, _ in context.model.named_parameters() if "parametrizations" in n)
        context.model.extra = nn.Linear(2, 2)
        context.added.update(("extra.weight", "extra.bias"))
        return ["bert.pooler.dense"]

    def start(self, batches, context):
        context.model.classifier.register_forward_hook(lambda module, args, output: None)


def test_a_parametrization_is_folded_to_what_it_computes():
    register("parametrized")(Parametrized)
    trial = Trial(parse("parametrized"), dtype=torch.float64)
    trial.bound.start(lambda: [trial.batch(0)])
    expected, start = trial.outcome()["logits"], tiny_bert().to(torch.float64)
    model = fold(trial.model)
    assert kinds(model) == kinds(start)
    torch.testing.assert_close(model.bert.pooler.dense.weight, 2 * start.bert.pooler.dense.weight, rtol=0, atol=0)
    inputs = {name: value for name, value in trial.batch(4).items() if name != "labels"}
    torch.testing.assert_close(model.eval()(**inputs).logits, expected, rtol=0, atol=1e-10)


def test_what_others_changed_after_attaching_stays():
    trial = trained("mixout(w_pre, 0.5)")
    handle = trial.model.classifier.register_forward_hook(lambda module, args, output: None)
    trial.model.to(torch.float32).eval()
    model = trial.bound.fold()
    assert handle.id in model.classifier._forward_hooks and not model.training
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_only_a_model_can_be_folded(refusal):
    assert "fold must be given a model, got str" in refusal(fold, "bert")


def test_a_model_does_not_keep_its_strategy_alive_and_says_so(refusal):
    model = tiny_bert()
    bound = parse("ema(0.9)").bind(Context(model))
    bound.attach()
    alive = weakref.ref(bound)
    gc.disable()  # a cycle would keep the memory of a whole training until the next collection
    try:
        del bound
        assert alive() is None
    finally:
        gc.enable()
    assert "the strategy of this model must still be there, got none; keep what apply" in refusal(fold, model)
