"""A technique in a loop of one's own: the step of trials, on models of every kind, and what is refused."""

import re
from pathlib import Path

import pytest
import torch
from transformers import (
    BertConfig,
    BertForTokenClassification,
    BloomConfig,
    BloomForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
)

import regularizers
from regularizers.applying import OwnLoss
from regularizers.testing.tiny_trial import STEPS, Trial, make_batch, tiny_bert

DATA = [make_batch(at) for at in range(STEPS)]
SMALL = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12, "vocab_size": 30}
MODELS = {
    "tokens": lambda: BertForTokenClassification(BertConfig(**SMALL, num_labels=3)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=30, n_embd=8, n_layer=2, n_head=2, n_positions=12)),
    "bloom": lambda: BloomForCausalLM(
        BloomConfig(vocab_size=30, hidden_size=8, n_layer=2, n_head=2, hidden_dropout=0.1)
    ),
}
GUIDE = Path(__file__).parents[2] / "docs" / "own-script.md"


def model_of(kind: str) -> torch.nn.Module:
    """A tiny random model in float64."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return MODELS[kind]().double()


def tokens(kind: str, seed: int = 0) -> dict[str, torch.Tensor]:
    """Three sequences of six tokens with a label each; two are padded, and what is padded has the label -100."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.ones(3, 6, dtype=torch.int64)
    mask[0, 4:], mask[1, 2:] = 0, 0
    ids = torch.randint(2, 30, (3, 6), generator=generator)
    labels = torch.randint(0, 3, (3, 6), generator=generator) if kind == "tokens" else ids
    return {"input_ids": ids, "attention_mask": mask, "labels": labels.masked_fill(mask == 0, -100)}


def seeded_steps(step) -> list[float]:
    """Losses of three steps on the fixed batches, each with torch's default generator at a seed of its own."""
    losses = []
    for at in range(3):
        torch.manual_seed(at)
        losses.append(float(step(make_batch(at))))
    return losses


def test_a_step_of_every_technique_is_the_step_of_trials(technique):
    trial = Trial(regularizers.parse(technique), dtype=torch.float64).begin(lr=1e-2)
    bound = regularizers.apply(
        tiny_bert().double(), technique, lr=1e-2, seed=2, clip=0, micro_batch=4, data=DATA, steps=STEPS
    )
    expected = seeded_steps(lambda batch: trial.step(batch, micro_batch=4))
    assert seeded_steps(bound.step) == pytest.approx(expected, abs=1e-10)
    assert len(bound.notes()) == len(trial.bound.notes()) and [*bound.touched] == str(trial.strategy).split(" + ")
    theirs = bound.fold().eval()
    with torch.no_grad():
        torch.testing.assert_close(theirs(**trial.batch(STEPS)).logits, trial.outcome()["logits"], rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", MODELS)
def test_models_of_other_kinds_train_with_what_needs_no_site(kind):
    text = "ema(0.5) + label_smoothing(0.1) + rdrop(1) + sam(0.05) + wdecay(0, 0.1)"
    model = model_of(kind)
    bound = regularizers.apply(model, text, lr=1e-2)
    losses = [float(bound.step(tokens(kind))) for _ in range(10)]
    assert losses[-1] < losses[0]
    inputs = {name: value for name, value in tokens(kind).items() if name != "labels"}
    with bound.evaluation(), torch.no_grad():
        expected = model.eval()(**inputs).logits
    with torch.no_grad():
        torch.testing.assert_close(bound.fold()(**inputs).logits, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", ["tokens", "gpt2"])
def test_models_with_a_site_table_are_mixed_and_dropped(kind):
    bound = regularizers.apply(model_of(kind), "dropout(0.1) + mixout(w_pre, 0.5)", lr=1e-2)
    touched = bound.touched["mixout(w_pre, 0.5)"]
    assert len(touched) == {"tokens": 10, "gpt2": 6}[kind] and "pooler" not in str(touched)
    assert torch.isfinite(bound.step(tokens(kind)))


@pytest.mark.parametrize("kind", MODELS)
def test_logits_and_labels_meet_and_micro_batches_weigh_by_labelled_tokens(kind):
    """The cross-entropy of the rows that techniques see is the model's own loss; parts have the gradient of all."""
    batch, gradients = tokens(kind), []
    output = OwnLoss(model_of(kind).eval()).compute(batch)
    labels = batch["labels"] if kind == "tokens" else batch["labels"][:, 1:]
    labels = labels[labels != -100]
    assert torch.isclose(torch.nn.functional.cross_entropy(output.logits.float(), labels), output.loss.float())
    for size in (0, 1):
        model = model_of(kind)
        bound = regularizers.apply(model, "none", lr=1e-2, clip=0, micro_batch=size)
        loss = bound.step(batch)
        assert torch.isclose(loss, output.loss, rtol=1e-6)
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    for name, whole in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], whole, rtol=1e-5, atol=1e-7)  # their losses are float32


def test_numbers_that_modules_drop_with_are_silenced_and_given_back():
    model, batch = model_of("bloom").train(), tokens("bloom")
    bound = regularizers.apply(model, "none", lr=1e-2)
    assert torch.equal(model(**batch).loss, model(**batch).loss)
    bound.fold()
    assert not torch.equal(model(**batch).loss, model(**batch).loss)


def test_logits_may_come_from_a_function_of_ones_own():
    def outputs(model, batch):
        result = model(**{name: value for name, value in batch.items() if name != "labels"})
        return 3 * torch.nn.functional.cross_entropy(result.logits, batch["labels"]), result

    plain = regularizers.apply(tiny_bert(), "none", lr=1e-2).step(DATA[0])
    assert torch.isclose(regularizers.apply(tiny_bert(), "none", lr=1e-2, outputs=outputs).step(DATA[0]), 3 * plain)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("mixuot(w_pre, 0.5)", "bloom", "did you mean mixout"),
        ("mixout(w_pre, 0.5)", "bloom", r"cannot act on this BloomForCausalLM: mixout\(w_pre, 0.5\) needs the dropout "
         "sites or the mixed layers of the model, and the family bloom has no site table$"),
        ("model_default", "bloom", "model_default needs the dropout sites"),
        ("reinit(5)", "tokens", r"cannot act on this BertForTokenClassification: reinit\(5\) .* 5 layers, got 2"),
        ("ewc(1)", "tokens", r"ewc\(1\) must name a file of Fisher scores, got fisher=estimate; make one with"),
        ("ewc(1, fisher=none.safetensors)", "tokens", "there is no score file none.safetensors"),
        ("variational_dropout", "tokens", "must know the number of training examples, got none; give apply its data"),
        ("child_tuning(0.3, variant=D)", "tokens", "the training data first; apply must be given data, got none"),
    ],
)  # fmt: skip
def test_a_strategy_that_cannot_act_is_refused_and_leaves_the_model_alone(text, kind, message, refusal):
    model = model_of(kind)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert re.search(message, refusal(regularizers.apply, model, text, lr=1e-2))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    regularizers.apply(model, "none", lr=1e-2)


ANSWERS = {"input_ids": DATA[0]["input_ids"], "start_positions": torch.ones(7), "end_positions": torch.ones(7)}


@pytest.mark.parametrize(
    ("misuse", "message"),
    [
        (lambda bound: regularizers.apply("bert", "none", lr=1e-2), "apply must be given a model, got str"),
        (lambda bound: regularizers.apply(tiny_bert(), "none", lr=0), "lr must be > 0, got 0"),
        (
            lambda bound: regularizers.apply(bound.strategy.context.model, "none", lr=1e-2),
            r"must have one strategy, got none after sam\(0.05\); call",
        ),
        (lambda bound: bound.strategy.context.compute({"input_ids": 0}), "a batch must have labels, got input_ids$"),
        (lambda bound: bound.step(ANSWERS), "got input_ids, start_.*; question answering has a start and an end inste"),
        (lambda bound: (bound.fold(), bound.step(DATA[0])), "step must come before fold"),
        (
            lambda bound: regularizers.apply(
                tiny_bert(), "none", lr=1e-2, outputs=lambda model, batch: (None, "no logits")
            ).step(DATA[0]),
            "BertForSequenceClassification must return logits, got none",
        ),
        (
            lambda bound: regularizers.apply(tiny_bert(), "swa(0.5)", lr=1e-2).step(DATA[0]),
            r"must know how many steps are planned, got none; give apply steps=\.\.\.",
        ),
    ],
)
def test_misuse_is_refused_in_a_sentence(misuse, message, refusal):
    assert re.search(message, refusal(misuse, regularizers.apply(tiny_bert(), "sam(0.05)", lr=1e-2)))


def test_the_loop_of_the_guide_runs():
    code = re.search(r"```python\n(import regularizers\n.*?)```", GUIDE.read_text(encoding="utf-8"), re.S)
    assert code is not None and len(code[1].splitlines()) <= 10
    scope = {"model": tiny_bert(), "loader": DATA, "evaluate": lambda model: None}
    exec(code[1].replace('model.save_pretrained("model")', ""), scope)
    assert torch.isfinite(scope["loss"])
