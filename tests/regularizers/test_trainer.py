"""The Trainer with a strategy: its step is the loop's, it resumes bit for bit, saves plain weights, and says no."""

import inspect
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import transformers
from accelerate import Accelerator
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    Trainer,
    TrainerCallback,
)
from transformers import TrainingArguments as Arguments

from regularizers.base import Context, Regularizer
from regularizers.loop import Recipe, fit
from regularizers.registry import register
from regularizers.strategy import parse
from regularizers.surgery.folding import carried
from regularizers.testing.tiny_trial import HEAD, example_scores, first_difference, make_batch, tiny_bert
from regularizers.trainer import STATE, RegularizedTrainer, check_arguments

GUIDE = Path(__file__).parents[2] / "docs" / "own-script.md"
SIZE, BATCHES, EPOCHS = 6, 4, 2
BATCH_LIST = [make_batch(at, size=SIZE) for at in range(BATCHES)]
EXAMPLES = [{name: value[row] for name, value in batch.items()} for batch in BATCH_LIST for row in range(SIZE)]


@pytest.fixture(autouse=True)
def no_collections(monkeypatch):
    """Accelerate collects garbage when a training begins, which takes longer than these trainings."""
    monkeypatch.setattr("accelerate.utils.memory.gc.collect", lambda: 0)


class Seeded(TrainerCallback):
    """Stock dropout draws from torch's default generator, which each step begins with a seed of its own."""

    def on_step_begin(self, args, state, control, **options):
        torch.manual_seed(state.global_step)


class SeededBatches(list):
    """The same for our own loop, which takes a batch right before its step."""

    def __iter__(self):
        for step, batch in self.numbered:
            torch.manual_seed(step)
            yield batch


def batches(epoch):
    found = SeededBatches(BATCH_LIST)
    found.numbered = [(epoch * BATCHES + at, batch) for at, batch in enumerate(BATCH_LIST)]
    return found


def arguments(folder, **changes):
    usual = {
        "use_cpu": True, "report_to": "none", "disable_tqdm": True, "dataloader_pin_memory": False, "seed": 5,
        "train_sampling_strategy": "sequential", "learning_rate": 1e-2, "num_train_epochs": EPOCHS,
        "per_device_train_batch_size": SIZE, "logging_steps": 1, "save_strategy": "no", "warmup_steps": 2,
    }  # fmt: skip
    return Arguments(output_dir=str(folder), **usual | changes)


def trainer(folder, strategy, *, model=None, callbacks=(), kind=RegularizedTrainer, **changes):
    options = {"strategy": strategy} if kind is RegularizedTrainer else {}
    return kind(
        model=tiny_bert().double() if model is None else model,
        args=arguments(folder, **changes),
        train_dataset=EXAMPLES,
        eval_dataset=EXAMPLES,
        callbacks=[*callbacks],
        **options,
    )


def losses(run):
    return [entry["loss"] for entry in run.state.log_history if "loss" in entry]


def test_the_step_of_every_technique_is_that_of_our_own_loop(tmp_path, technique):
    strategy, parts = parse(technique), 1 if "head:" in technique else 3
    model = tiny_bert().double()
    context = Context(model, HEAD, torch.Generator().manual_seed(5), examples=SIZE * BATCHES)
    context.fisher = {source: example_scores(model, strategy)[source] for source in strategy.fisher_sources()}
    bound = strategy.bind(context)
    bound.attach()
    recipe = Recipe(
        epochs=EPOCHS, lr=1e-2, beta1=0.9, beta2=0.999, eps=1e-8, warmup=2 / (EPOCHS * BATCHES), schedule="linear",
        clip=1.0, bias_correction=True, micro_batch=SIZE // parts, evaluate="last",
    )  # fmt: skip
    bound.start(lambda: batches(0))
    history = fit(bound, batches, recipe, accelerator=Accelerator(cpu=True))
    ours = dict(bound.fold().state_dict())

    run = trainer(
        tmp_path, str(strategy), callbacks=[Seeded()],
        per_device_train_batch_size=SIZE // parts, gradient_accumulation_steps=parts,
    )  # fmt: skip
    run.train()
    theirs = dict(run.model.state_dict())
    assert losses(run) == pytest.approx(history.losses, rel=1e-6)  # it adds them up in float32
    assert theirs.keys() == ours.keys() == tiny_bert().state_dict().keys()
    for name, value in ours.items():
        torch.testing.assert_close(theirs[name], value, rtol=0, atol=1e-10)
    assert carried(run.model) is None and run.bound is None
    assert [*run.touched] == str(strategy).split(" + ") and len(run.notes) == len(bound.notes())


def test_resuming_is_exact_and_checkpoints_are_plain(tmp_path, technique):
    """Five steps and three equal eight, bit for bit, whatever model the second script begins with."""
    saving = {"save_strategy": "steps", "save_steps": 5}
    whole = trainer(tmp_path / "whole", technique, train_sampling_strategy="random", **saving)
    whole.train()
    checkpoint = tmp_path / "whole" / "checkpoint-5"
    again = trainer(
        tmp_path / "again", technique, model=tiny_bert(body=8, head=9).double(), train_sampling_strategy="random"
    )
    again.train(resume_from_checkpoint=str(checkpoint))
    assert first_difference(dict(again.model.state_dict()), dict(whole.model.state_dict())) is None
    assert losses(again) == losses(whole)

    saved = BertForSequenceClassification.from_pretrained(checkpoint, dtype=torch.float64, output_loading_info=True)
    assert not any(saved[1][key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    ended = trainer(tmp_path / "ended", technique, model=saved[0], max_steps=5)
    ended.train(resume_from_checkpoint=str(checkpoint))  # nothing is left to train
    assert first_difference(dict(ended.model.state_dict()), dict(saved[0].state_dict())) is None


def test_with_the_models_own_dropout_it_is_the_trainer_itself(tmp_path):
    """`model_default` is what everybody's script does; without decay nothing else is left to differ."""
    plain = trainer(tmp_path, "", kind=Trainer, callbacks=[Seeded()], weight_decay=0.0)
    ours = trainer(tmp_path, "model_default", callbacks=[Seeded()])
    plain.train(), ours.train()
    assert first_difference(dict(ours.model.state_dict()), dict(plain.model.state_dict())) is None
    assert losses(ours) == losses(plain) and ours.evaluate()["eval_loss"] == plain.evaluate()["eval_loss"]


def test_evaluation_saving_and_the_best_model_are_of_the_evaluated_weights(tmp_path):
    class Watch(TrainerCallback):
        def on_evaluate(self, args, state, control, model, metrics, **options):
            seen.append((carried(model) is run.bound, metrics["eval_loss"]))

        def on_train_end(self, args, state, control, model, **options):
            seen.append((carried(model), None))

    seen = []
    run = trainer(
        tmp_path, "ema(0.9) + lora(2)", callbacks=[Watch()], eval_strategy="epoch", save_strategy="epoch",
        load_best_model_at_end=True, metric_for_best_model="loss",
    )  # fmt: skip
    run.train()
    assert [at for at, _ in seen] == [True, True, None]
    for (_, expected), step in zip(seen[:2], (4, 8), strict=True):
        folder = tmp_path / f"checkpoint-{step}"
        saved = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float64)
        assert trainer(tmp_path, "none", model=saved).evaluate()["eval_loss"] == pytest.approx(expected, abs=1e-9)
    assert run.evaluate()["eval_loss"] == pytest.approx(min(loss for _, loss in seen[:2]), abs=1e-9)
    run.save_model(tmp_path / "model")
    final = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model", dtype=torch.float64)
    assert first_difference(dict(final.state_dict()), dict(run.model.state_dict())) is None


def test_a_second_training_goes_on_from_the_folded_model(tmp_path):
    run = trainer(tmp_path, "lora(2) + neftune(5)", max_steps=1, warmup_steps=0)
    run.train()
    start = {name: value.clone() for name, value in run.model.state_dict().items()}
    run.train()
    assert run.model.state_dict().keys() == start.keys() and run.state.global_step == 1
    assert first_difference(dict(run.model.state_dict()), start) is not None


def test_noise_depends_on_the_seed_of_the_arguments_alone(tmp_path):
    ends = [trainer(tmp_path, "mixout(w_pre, 0.7)", seed=seed, max_steps=2) for seed in (5, 5, 6)]
    for run in ends:
        run.train()
    first, same, other = (dict(run.model.state_dict()) for run in ends)
    assert first_difference(first, same) is None and first_difference(first, other) is not None
    assert all(run.bound is None for run in ends)


def test_bf16_trains_and_saves_full_weights(tmp_path):
    run = trainer(tmp_path, "mixout(w_pre, 0.5) + sam(0.05)", model=tiny_bert(), bf16=True, max_steps=2)
    run.train()
    assert {value.dtype for value in run.model.state_dict().values()} == {torch.float32}
    assert first_difference(dict(run.model.state_dict()), dict(tiny_bert().state_dict())) is not None


def test_a_loss_of_ones_own_and_other_optimizers(tmp_path):
    run = trainer(tmp_path, "rdrop(1) + wdecay(0, 0.1)", optim="sgd", max_steps=2)
    run.compute_loss_func = lambda outputs, labels, num_items_in_batch: 0 * outputs.logits.sum()
    run.train()
    weight, start = run.model.bert.pooler.dense.weight, tiny_bert().double().bert.pooler.dense.weight
    torch.testing.assert_close(weight, start * (1 - 0.1 * 0) * (1 - 0.1 * 0.005))  # rates 0 and lr / 2: the decay alone
    assert type(run.optimizer.optimizer) is torch.optim.SGD


def after(folder, change):
    """Train in a script that changes the trainer before."""
    run = trainer(folder, "none")
    change(run)
    run.train()


def in_parts(name):
    """Set after the arguments are made: they would load the engine, which need not be installed to be refused."""
    return lambda run: (object.__setattr__(run.args, name, {"a": "configuration"}), check_arguments(run.args))


@pytest.mark.parametrize(
    ("begin", "message"),
    [
        (lambda at: trainer(at, "none", weight_decay=0.01), r"weight_decay must be 0, got 0.01; .* wdecay\(0, 0.01\)"),
        (
            lambda at: trainer(at, "none", label_smoothing_factor=0.1),
            r"factor must be 0, .* term label_smoothing\(0.1\)",
        ),
        (lambda at: trainer(at, "none", neftune_noise_alpha=5), r"must be None, got 5.*; write the term neftune\(5"),
        (lambda at: trainer(at, "none", gradient_checkpointing=True), "checkpointing must be off, got True; layers"),
        (
            lambda at: trainer(at, "none", auto_find_batch_size=True),
            "batch_size must be off, got True; a second attempt",
        ),
        (lambda at: trainer(at, "none", fp16=True), "fp16 must be off, got True; techniques see scaled .*; use bf16"),
        (lambda at: trainer(at, "mixuot(w_pre, 0.7)"), "did you mean mixout"),
        (lambda at: trainer(at, "reinit(9)").train(), r"reinit\(9\) cannot act on this BertForSequenceC.* at least 9"),
        (
            lambda at: trainer(at, "guided_dropout").train(),
            r"guided_dropout\(0, 0.1\) must name a file of Fisher scores",
        ),
        (
            lambda at: after(
                at, lambda run: setattr(run, "optimizer_cls_and_kwargs", (torch.optim.Adam, {"params": 0}))
            ),
            "takes groups of parameters, such as adamw_torch, got Adam",
        ),
        (
            lambda at: after(at, lambda run: run.model.gradient_checkpointing_enable()),
            "gradient checkpointing of the model must be off, got on",
        ),
        (
            lambda at: after(at, in_parts("deepspeed")),
            "deepspeed must be off, got .*; a strategy acts on whole weights",
        ),
        (lambda at: after(at, in_parts("fsdp")), "fsdp must be off, got .*; a strategy acts on whole weights in one"),
        (
            lambda at: RegularizedTrainer(
                model=tiny_bert(),
                args=arguments(at),
                strategy="none",
                optimizers=(torch.optim.SGD([torch.ones(1)]), None),
            ),
            "optimizers must be left out, got one; choose one with optim",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_with_its_reason(tmp_path, begin, message, refusal):
    assert re.search(message, refusal(begin, tmp_path))


@pytest.mark.parametrize("strategy", ["rdrop(1)", "child_tuning(0.3, variant=D)"])
def test_question_answering_is_refused_with_its_reason(tmp_path, strategy, refusal):
    """It has two labels for each example, a start and an end, and logits of two kinds."""
    small = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12}
    model = BertForQuestionAnswering(BertConfig(vocab_size=30, **small))
    examples = [{"input_ids": [1, 2, 3, 4], "start_positions": 1, "end_positions": 2}] * 4
    run = RegularizedTrainer(model=model, args=arguments(tmp_path), train_dataset=examples, strategy=strategy)
    assert re.search(r"a batch must have labels, got .*; question answering has a start and an end", refusal(run.train))


@pytest.mark.parametrize(("processes", "devices"), [(2, 1), (1, 2)])
def test_several_devices_are_refused(tmp_path, monkeypatch, processes, devices, refusal):
    monkeypatch.setattr(Arguments, "world_size", processes)
    monkeypatch.setattr(Arguments, "n_gpu", devices)
    assert "must run on one device, got 2; set CUDA_VISIBLE_DEVICES" in refusal(check_arguments, arguments(tmp_path))


@pytest.mark.parametrize(
    ("strategy", "damage", "message"),
    [
        ("none", lambda state: None, r"must be with the strategy of the checkpoint, ema\(0.5\), got none"),
        (
            "ema(0.5)",
            lambda state: state.write_bytes(b"damaged"),
            r"strategy.safetensors must be as RegularizedTrainer wrote it, but",
        ),
        (
            "ema(0.5)",
            lambda state: state.unlink(),
            r"must be a checkpoint of RegularizedTrainer, got no .*strategy.safetensors",
        ),
    ],
)
def test_a_checkpoint_that_is_not_of_this_training_is_refused(tmp_path, strategy, damage, message, refusal):
    saving = {"max_steps": 1, "save_strategy": "steps", "save_steps": 1}
    trainer(tmp_path, "ema(0.5)", **saving).train()
    damage(tmp_path / "checkpoint-1" / STATE)
    assert re.search(message, refusal(lambda: trainer(tmp_path, strategy, **saving).train(resume_from_checkpoint=True)))


def test_a_technique_whose_state_cannot_be_saved_says_so(tmp_path, refusal):
    @dataclass
    class Counts(Regularizer):
        """A technique with state that no checkpoint sees."""

        def update(self, apply, context):
            apply()
            self._seen = getattr(self, "_seen", 0) + 1

    register("counts")(Counts)
    assert re.search(
        r"counts cannot be saved in a checkpoint: .*; or set save_only_model=True",
        refusal(lambda: trainer(tmp_path, "counts", max_steps=1, save_strategy="steps", save_steps=1).train()),
    )
    trainer(tmp_path, "counts", max_steps=1, save_strategy="steps", save_steps=1, save_only_model=True).train()
    assert not (tmp_path / "checkpoint-1" / STATE).exists()


def test_the_trainer_of_the_guide_runs(tmp_path):
    code = re.search(r"```python\n(from regularizers.trainer.*?)```", GUIDE.read_text(encoding="utf-8"), re.S)
    scope = {"model": tiny_bert(), "args": arguments(tmp_path, max_steps=1), "train": EXAMPLES, "dev": EXAMPLES}
    exec(code[1].replace('"model"', "folder"), scope | {"compute_metrics": None, "folder": tmp_path / "model"})
    assert BertForSequenceClassification.from_pretrained(tmp_path / "model").num_labels == 3


PRIVATE = {  # what has no public way: {name of the Trainer's: (its first parameters, what it is for here)}
    "_save": (("output_dir", "state_dict"), "save_model and checkpoints hold the weights it is given"),
    "_load_best_model": ((), "the model is folded before the best weights are loaded into it"),
    "_prepare_inputs": (("inputs",), "a batch is moved to the model's device"),
}


@pytest.mark.parametrize("name", PRIVATE)
def test_what_is_private_to_transformers_is_still_there(name):
    parameters, purpose = PRIVATE[name]
    lost = f"transformers {transformers.__version__} has no Trainer.{name}{parameters}: {purpose}"
    found = inspect.signature(getattr(Trainer, name, lambda: None)).parameters
    assert name in vars(Trainer) and tuple(found)[1 : 1 + len(parameters)] == parameters, lost


def test_no_other_private_method_of_transformers_is_overridden():
    own = {name for name in vars(RegularizedTrainer) if name.startswith("_") and not name.startswith("__")}
    assert own & set(vars(Trainer)) == {"_save", "_load_best_model"}
