"""What a tournament leaves: the answer, the page of what is still ranked, and the model fitted on all rows.

The model is plain weights that transformers loads, whatever technique trained them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from benchmarks.choosing import answer as answers
from benchmarks.choosing.answer import Answer, Gain, dev_variance, gain, points
from benchmarks.choosing.rounds import PLAIN, Standing
from benchmarks.choosing.tournament import Tournament, trials_of
from benchmarks.data.batches import collate, encode
from benchmarks.data.sources import TaskData
from benchmarks.data.splits import TEST_SHARE
from benchmarks.predict import ABOUT
from benchmarks.trial import failed_run
from benchmarks.trial.config import Seeds, TrialConfig
from benchmarks.trial.environment import isolated
from benchmarks.trial.inputs import Inputs, Part, Resources, labels_of
from benchmarks.trial.tokenizer import load_tokenizer
from benchmarks.trial.trial import PreparedTrial, build
from fisher.common.errors import InputError, require
from fisher.common.files import write_file
from leaderboard import build as board
from leaderboard.records.plan import PLAN, encode_plan, plan_of
from leaderboard.stats.metrics import METRICS
from regularizers.loop import fit

SAMPLE = 16  # examples on which plain weights and those that were trained must agree
TRIES = 3  # seeds of the final fit; one that fails on the very rows it was fitted on is no model
TOLERANCE = 1e-4  # of logits, plain weights against those that were trained


def keep_page(tournament: Tournament) -> None:
    """Build the usual files from the rounds of the families that are still ranked, and of the floors."""
    shown = {trial.id for trial in trials_of({**tournament.found, **tournament.floors})}
    plan = plan_of(config.to_json() for name, config in tournament.grid.items() if name in shown)
    write_file(tournament.folder / PLAN, encode_plan(plan))
    paths = [path for path in tournament.request.folder.files() if Path(path).stem in shown]
    board.build(paths, tournament.folder, baseline=PLAIN)


def comparison(tournament: Tournament) -> Callable[[Standing, Standing], Gain]:
    """How two families are compared on the test part."""
    data, fitted = tournament.data, (1 - TEST_SHARE) * (1 - tournament.tuning.holdout)

    def compare(one: Standing, other: Standing) -> Gain:
        pairs = list(zip(one.chosen, other.chosen, strict=False))  # the restarts that both have, from 0 on
        differences = [a.score - b.score for a, b in pairs]
        if not data.dev:
            return gain(differences, shared=TEST_SHARE / fitted)
        whole = [(a, b) for a, b in pairs if len(a.predictions) == len(b.predictions) == len(data.dev)]
        ones, others = [a.predictions for a, _ in whole], [b.predictions for _, b in whole]
        score = METRICS[data.task.primary]
        rows = dev_variance(ones, others, labels_of(data.dev), score) if whole else 0.0
        return gain(differences, shared=0.0, rows=rows)

    return compare


def keep_answer(tournament: Tournament) -> tuple[Answer, list[str]]:
    """Write `answer.md` and return what it says. Raises InputError where plain fine-tuning has no result."""
    data, found, dropped = tournament.data, tournament.found, tournament.state.dropped
    reasons = "; ".join(f"{family}: {why}" for family, why in list(dropped.items())[:3])
    require(found, f"plain fine-tuning must have a result to compare with, but its trials ended in errors: {reasons}")
    compare = comparison(tournament)
    answer = answers.choose(found, compare)
    floor = answers.next_to_floor(answer.standing, tournament.floors, compare)
    lines = answers.sentences(answer, found, dropped, len(data.train) + len(data.dev), floor)
    measured = [f"- {name}: {text}" for name, text in facts(tournament, answer).items()]
    table = answers.table(found, compare, tournament.floors)
    text = "\n".join([f"# {data.task.name}", "", *(f"{line}\n" for line in lines), *table, "", *measured])
    write_file(tournament.folder / "answer.md", text + "\n")
    return answer, lines


def facts(tournament: Tournament, answer: Answer) -> dict[str, str]:
    """How the scores were measured."""
    data, played = tournament.data, tournament.state.ranked
    chosen, rows = answer.standing.chosen, len(data.train)
    scores = [trial.score for trial in chosen]
    tested = 0 if data.dev else round(TEST_SHARE * rows)
    held = round(tournament.tuning.holdout * (rows - tested))
    found = {
        "metric": f"{data.task.primary}, shown x 100",
        "test": "the dev file" if data.dev else f"a fifth of the {rows} rows, another one in every restart",
        "holdout": f"about {held} of the {rows - tested} other rows, which choose; the remaining ones are fitted on",
        "restarts": f"{played.restarts}, with {played.budget} configuration{'s' * (played.budget > 1)} per family",
        "intervals": "for other rows like these; those of index.html are over these restarts alone, and narrower",
        "configuration": "one for all restarts; on index.html every restart chooses its own",
        "failed": "a run that is no better than a constant prediction",
        "score of this configuration on the test rows": f"{100 * sum(scores) / len(scores):.1f} (mean over restarts)",
    }
    if more := len(chosen) - played.restarts:
        both = f"`{PLAIN}` and `{answer.rival}`, each with the configuration that was its best by then"
        found["final"] = f"{more} more restart{'s' * (more > 1)} of {both}; they are in the gain, not on index.html"
    if answer.gain is not None:
        found[f"{answer.rival} over plain fine-tuning"] = points(answer.gain)
    return found


def keep_model(tournament: Tournament, answer: Answer, lines: Sequence[str]) -> None:
    """Fit the chosen configuration on all rows and save it with its card."""
    data, config = tournament.data, tournament.grid[answer.standing.chosen[0].id]
    fitted = fit_on_all(config, tournament.request.resources(), data)
    card = model_card(config, data, fitted, lines, facts(tournament, answer))
    save(fitted, data, tournament.folder / "model", max_length=config.protocol.max_length, card=card)


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A model fitted on all rows: plain weights, its tokenizer, and with which of the seeds."""

    model: Any
    tokenizer: PreTrainedTokenizerBase
    seed: int
    score: float  # on the rows fitted on


def fit_on_all(config: TrialConfig, resources: Resources, data: TaskData) -> Fitted:
    """Train a configuration on every row, the dev file's too, for as many epochs as it had.

    Raises InputError where it fails with all of `TRIES` seeds.
    """
    rows = tuple(dataclasses.replace(e, id=at) for at, e in enumerate((*data.train, *data.dev)))
    tokenizer = load_tokenizer(resources.model)
    everything = Part(rows, encode(rows, tokenizer, config.protocol.max_length))
    inputs = Inputs(data.task, everything, Part((), []), everything, {})
    for seed in range(TRIES):
        own = dataclasses.replace(config, restart=seed, seeds=Seeds.of(seed, seed), tuning=None)
        with isolated(own.seeds.init):
            training = build(own, resources, inputs)
            torch.manual_seed(own.seeds.noise)
            fit(training.strategy, training.order, training.recipe, accelerator=training.accelerator)
            outputs = training.evaluation.outputs_of(everything.rows, training.strategy)
            predictions, diverged = training.evaluation.predictions(outputs), not torch.isfinite(outputs).all()
            labels, metric = everything.labels, config.metric
            verdict = failed_run.judge(data.task, metric, predictions, labels, diverged=bool(diverged), seed=seed)
            if not verdict.failed:
                return Fitted(fold(training, inputs), tokenizer, seed, verdict.score)
    raise InputError(
        f"{config.strategy} failed on all rows with {TRIES} seeds: no score above a constant prediction's even on the "
        "rows it was fitted on; lower the learning rate, or label more rows"
    )


def fold(training: PreparedTrial, inputs: Inputs) -> Any:
    """The trained model as plain weights, whatever the technique left in it (`BoundStrategy.fold`).

    Raises InputError where its logits differ from those of the training.
    """
    sample = inputs.train.rows[:SAMPLE]
    expected = training.evaluation.outputs_of(sample, training.strategy)
    plain: Any = training.strategy.fold().cpu()
    batch = collate(sample, [0] * len(sample), training.evaluation.pad)
    del batch["labels"]
    found = plain.eval()(**batch).logits.detach()
    if (most := float((found - expected).abs().max())) > TOLERANCE * max(1.0, float(expected.abs().max())):
        raise InputError(f"plain weights must predict what was trained, but their logits differ by {most:.2g}")
    return plain


def save(fitted: Fitted, data: TaskData, folder: Path, *, max_length: int, card: str) -> None:
    """Write weights, tokenizer, label names, model card and what `regbench predict` must know. Raises InputError."""
    task, config = data.task, fitted.model.config
    if task.labels is not None:
        config.id2label = dict(enumerate(task.labels))
        config.label2id = {word: at for at, word in config.id2label.items()}
    config.problem_type = "regression" if task.labels is None else "single_label_classification"
    try:
        fitted.model.save_pretrained(folder)
        fitted.tokenizer.save_pretrained(folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror or error}): choose another --output") from None
    about = {"text": list(task.text), "labels": task.labels and list(task.labels), "max_length": max_length}
    write_file(folder / ABOUT, json.dumps(about, indent=1) + "\n")
    write_file(folder / "README.md", card)


def model_card(
    config: TrialConfig, data: TaskData, fitted: Fitted, answer: Sequence[str], facts: Mapping[str, str]
) -> str:
    """The README of a model: strategy, data, scores and how they were measured."""
    classes = ", ".join(f"`{word}`" for word in data.task.labels or ())
    labels = f"classes {classes}" if classes else "scores"
    rows = len(data.train) + len(data.dev)
    protocol = config.protocol
    folded = "The regularizer is folded in: these" if str(config.strategy) != "none" else "These"
    columns = " and ".join(f"`{name}`" for name in data.task.text)
    settings = f"lr {protocol.lr:g}, {protocol.epochs} epochs, batch {protocol.batch_size}".replace("e-0", "e-")
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: text-classification",
        f"base_model: {config.model}",
        "---",
        "",
        f"# {data.task.name}",
        "",
        f"{config.model}, fine-tuned with `{config.strategy}` ({settings}) on {rows} rows with {labels}; the text is "
        f"{columns}. {folded} are plain weights.",
        "",
        "## How it was chosen",
        "",
        *(f"- {line}" for line in answer),
        "",
        "## How the scores were measured",
        "",
        *(f"- {name}: {text}" for name, text in facts.items()),
        f"- this model: fitted on all rows with seed {fitted.seed}; its score on these rows is "
        f"{100 * fitted.score:.1f}, which says nothing of new ones; no rows were left to score it on",
    ]
    return "\n".join(lines) + "\n"
