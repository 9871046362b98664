"""A script with the Trainer of transformers against the benchmark's own trials: SST-2 on a real encoder.

The script tokenises, batches, trains and scores by transformers alone, as its text-classification example does. Given a
trial's seeds it must come to the trial's losses and predictions; the benchmark pads batches here as the Trainer does.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    TrainingArguments,
)

from benchmarks import run
from benchmarks.planning.plan import make_plan, resolve
from benchmarks.trial import models
from benchmarks.trial.config import TrialConfig
from benchmarks.trial.inputs import Resources, load_inputs
from benchmarks.trial.trial import execute
from regularizers.trainer import RegularizedTrainer

STRATEGIES = ("none", "mixout(w_pre, 0.7) + head:mixout(w_0, 0.7)")
SIZE, STEPS, BATCH, LENGTH, LR, WARMUP = 250, 8, 16, 24, 5e-4, 0.1
RESTARTS = 6


def first_rows(source: Path, part: str, count: int) -> list[str]:
    """Of SST-2, as they stand in its file."""
    return (source / f"{part}.tsv").read_text(encoding="utf-8").split("\n")[1 : count + 1]


def script(config: TrialConfig, resources: Resources, folder: Path, output: Path) -> tuple[list[float], np.ndarray]:
    """Losses by step and predictions on dev of a script that knows the trial's rows, first head and seeds alone."""
    inputs = load_inputs(config, resources)
    generator = torch.Generator().manual_seed(config.seeds.order % 2**63)
    order = torch.randperm(SIZE, generator=generator).tolist()
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def encoded(examples: Any) -> list[dict[str, Any]]:
        sentences = [example.texts[0] for example in examples]
        rows = tokenizer(sentences, truncation=True, max_length=LENGTH)
        return [{**{key: rows[key][at] for key in rows}, "label": e.label} for at, e in enumerate(examples)]

    train = [inputs.train.examples[at] for at in order]
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
    drawn, _ = models.build(resources.model, 2, seed=config.seeds.init, head_init="normal")
    model.classifier.load_state_dict(drawn.classifier.state_dict())
    args = TrainingArguments(
        output_dir=str(output),
        learning_rate=LR,
        max_steps=STEPS,
        per_device_train_batch_size=BATCH,
        warmup_steps=math.ceil(WARMUP * STEPS),
        adam_epsilon=1e-6,
        max_grad_norm=1.0,
        train_sampling_strategy="sequential",
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = RegularizedTrainer(
        strategy=str(config.strategy),
        model=model,
        args=args,
        train_dataset=encoded(train),
        eval_dataset=encoded(inputs.dev.examples),
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    trainer.args.seed = config.seeds.noise  # of the strategy's own draws
    trainer.train()
    predictions = trainer.predict(trainer.eval_dataset).predictions.argmax(-1)
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry], predictions


@pytest.mark.long
def test_the_trainer_comes_to_the_benchmarks_losses_and_scores(
    shared_data: Path, real_bert: Path, tmp_path: Path, write_task: Callable[..., str]
) -> None:
    train, dev = (first_rows(shared_data / "glue" / "SST-2", *part) for part in (("train", 400), ("dev", 100)))
    task = write_task(tmp_path, train, dev, columns=("sentence", "label"), labels=["0", "1"])
    words = ["--task-file", task, "--model", str(real_bert), "--offline", "--restarts", str(RESTARTS)]
    words += ["--sizes", str(SIZE), "--strategies", *STRATEGIES, "--output", str(tmp_path / "out"), "--set"]
    words += [f"steps={STEPS}", f"batch_size={BATCH}", f"max_length={LENGTH}", f"lr={LR}", f"warmup={WARMUP}"]
    words += ["eps=1e-6", "beta2=0.999", "bias_correction=true", "clip=1", "evaluate=last", "forward=stock"]
    request = resolve(run.main.parser().parse_args(words))
    resources = request.resources()
    scores: dict[str, list[tuple[float, float]]] = {}
    for config in make_plan(request).grid.values():
        result = execute(config, resources)["result"]
        losses, predictions = script(config, resources, real_bert, tmp_path / "trainer")
        assert losses == pytest.approx(result["train_loss"], abs=1e-5)
        same = predictions == np.array(result["predictions"])
        labels = np.array([example.label for example in load_inputs(config, resources).dev.examples])
        pair = float((predictions == labels).mean()), result["score"]
        print(f"{config.label}: script {100 * pair[0]:.1f}, benchmark {100 * pair[1]:.1f}, {(~same).sum()} rows differ")
        print(f"  largest difference of a loss {max(abs(np.array(losses) - result['train_loss'])):.1e}")
        assert same.mean() >= 0.99, "padding of the dev batches may move a logit's last digits"
        scores.setdefault(str(config.strategy), []).append(pair)
    for strategy, pairs in scores.items():
        ours, theirs = np.array(pairs).T
        print(
            f"{strategy}: script {100 * ours.mean():.1f}, benchmark {100 * theirs.mean():.1f} ({len(pairs)} restarts)"
        )
        assert len(pairs) == RESTARTS and abs(ours.mean() - theirs.mean()) <= 0.01
