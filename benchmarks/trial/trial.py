"""One trial: a config in, a record out. Everything that determines the result stands in the config."""

import dataclasses
import functools
import math
import traceback
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from benchmarks.data import batches
from benchmarks.trial import forgetting, models
from benchmarks.trial.checkpoints import Checkpoint
from benchmarks.trial.config import Json, TrialConfig
from benchmarks.trial.cost import PEAK, Clock
from benchmarks.trial.environment import environment, isolated
from benchmarks.trial.evaluation import DIGITS, Evaluation
from benchmarks.trial.inputs import Inputs, Resources, encode_tests, load_inputs, read_scores
from benchmarks.trial.metrics import scores
from benchmarks.trial.protocol import DISCOVER, Protocol
from benchmarks.tuning.floors import measure
from fisher.seeds import derive
from regularizers.agreement import start_exactly
from regularizers.base import Context, SkipTrial
from regularizers.context import History, NoSiteTable
from regularizers.loop import Recipe, fit
from regularizers.resume import BadState
from regularizers.strategy import BoundStrategy, Strategy
from regularizers.surgery.discovery import discover
from regularizers.surgery.forward import prepare

TRACE_LINES = 12


def execute(config: TrialConfig, resources: Resources) -> Json:
    """Run one trial and return its record; an exception of the trial becomes a record with its status and reason."""
    clock, checkpoint = Clock(), None
    if resources.checkpoints is not None:
        circumstances = {**environment(resources.threads), "micro_batch": resources.micro_batch}
        checkpoint = Checkpoint(resources.checkpoints, config, circumstances, clock)
    try:
        result = run(config, resources, clock, checkpoint)
    except Exception as error:
        result = result_of(error)
        if checkpoint is not None and result["status"] == "error":
            checkpoint.discard_after_failed_resume()
    result["seconds"]["total"] = round(clock.total(), 3)
    noted = checkpoint.noted() if checkpoint else {}
    return {"config": config.to_json(), "result": result, "environment": environment(resources.threads) | noted}


def result_of(error: Exception) -> Json:
    """The result block of a trial that ended in an exception."""
    if isinstance(error, SkipTrial):
        remedy = f"; {DISCOVER}" if isinstance(error, NoSiteTable) else ""
        return no_result("skipped", f"{error}{remedy}")
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return no_result("oom", reason)
    status = "oom" if "DefaultCPUAllocator" in str(error) else "error"
    lines = "".join(traceback.format_exception(error)).splitlines()
    return no_result(status, reason) | {"traceback": lines[-TRACE_LINES:]}


def no_result(status: str, reason: str) -> Json:
    """The result block of a trial without a score."""
    return {"status": status, "reason": reason, "score": None, "failed": None, "failed_by": None, "seconds": {}}


def run(config: TrialConfig, resources: Resources, clock: Clock, checkpoint: Checkpoint | None) -> Json:
    """The result of a trial, from its beginning where its checkpoint turns out to be of no use."""
    if config.floor is not None:
        return measure(config, resources, clock)
    while True:
        try:
            return train(config, resources, clock, checkpoint)
        except BadState as error:
            assert checkpoint is not None
            checkpoint.set_aside(str(error))  # which it is only once


def train(config: TrialConfig, resources: Resources, clock: Clock, checkpoint: Checkpoint | None) -> Json:
    """Read, build, fit, judge; raises whatever goes wrong."""
    inputs = load_inputs(config, resources)
    clock.begin()
    with isolated(config.seeds.init):
        training = build(config, resources, inputs)
        clock.lap("build")
        rank = training.accelerator.process_index  # 0 unless under `accelerate launch`
        torch.manual_seed(derive("noise", config.restart, rank) if rank else config.seeds.noise)
        evaluate = functools.partial(training.evaluation.evaluate, training.strategy.context)
        history = fit(
            training.strategy,
            training.order,
            training.recipe,
            accelerator=training.accelerator,
            evaluate=clock.apart("evaluate")(evaluate),
            checkpoints=checkpoint.hooks() if checkpoint else None,
        )
        clock.lap("train")
        result = make_result(config, resources, inputs, training, history)
        clock.lap("judge")
    cost = clock.cost()
    result["peak_memory"] = int(cost.pop(PEAK)) if PEAK in cost else None
    result["seconds"] = {phase: round(seconds, 3) for phase, seconds in cost.items() if phase != "total"}
    return result


@dataclass(frozen=True)
class PreparedTrial:
    """A trial that is ready to be trained; `touched` names the modules that each term acts on."""

    strategy: BoundStrategy
    touched: dict[str, list[str]]
    order: batches.TrainBatches
    recipe: Recipe
    accelerator: Accelerator
    evaluation: Evaluation
    head_hash: str
    forward_note: str | None


def build(config: TrialConfig, resources: Resources, inputs: Inputs) -> PreparedTrial:
    """The model with its head, the batches in their order, and the strategy attached and started."""
    protocol, train = config.protocol, inputs.train
    accelerator = make_accelerator(protocol)
    model, head = models.build(
        resources.model, inputs.task.outputs, seed=config.seeds.init, head_init=protocol.head_init
    )
    head_hash = models.head_hash(model, head)
    model.to(accelerator.device)
    pad = model.config.pad_token_id or 0
    size, seed = protocol.batch_size, config.seeds.order
    order = batches.TrainBatches(train.rows, train.labels, size=size, seed=seed, pad=pad)
    evaluation = Evaluation(inputs.task, inputs.dev, pad)
    strategy, touched = attach(config, resources, model, head, len(train.rows))
    first = order(0)
    strategy.context.training.steps = protocol.steps or len(first) * protocol.epochs  # also where no step is taken yet
    note = start_exactly(strategy, first, protocol.forward, accelerator.autocast)
    recipe = protocol.recipe()
    if resources.micro_batch is not None:
        recipe = dataclasses.replace(recipe, micro_batch=resources.micro_batch)
    return PreparedTrial(strategy, touched, order, recipe, accelerator, evaluation, head_hash, note)


def make_accelerator(protocol: Protocol) -> Accelerator:
    """The device of this process in the protocol's precision."""
    AcceleratorState._reset_state()  # the precision of the trial before this one
    precision = "bf16" if protocol.precision == "bf16" else "no"
    return Accelerator(mixed_precision=precision, gradient_accumulation_steps=1)


def attach(
    config: TrialConfig, resources: Resources, model: torch.nn.Module, head: frozenset[str], examples: int
) -> tuple[BoundStrategy, dict[str, list[str]]]:
    """Bind the strategy to the model; raises if a term that promises to act touched nothing."""
    sources = [source for source in config.strategy.fisher_sources() if source in resources.fisher]
    fisher = {source: read_scores(resources.fisher[source]) for source in sources}
    generator = torch.Generator().manual_seed(config.seeds.noise)
    forward = prepare(model, config.protocol.forward)
    sites = discover(model, head) if config.protocol.sites == "discovered" else None
    context = Context(model, head, generator, sites, fisher, examples, forward)
    bound = config.strategy.bind(context)
    touched = bound.attach()
    for term, names in touched.items():
        if not names and term.removeprefix("head:") != "none":
            raise SkipTrial(f"{term} touched no module of this model")
    return bound, touched


def make_result(
    config: TrialConfig, resources: Resources, inputs: Inputs, training: PreparedTrial, history: History
) -> Json:
    """The result block, but for what it cost: verdict, further predictions, losses and hashes."""
    evaluation, strategy, protocol = training.evaluation, training.strategy, config.protocol
    result = evaluation.figures(history, protocol.selection, config.metric, derive("chance", config.restart))
    diverged = result["failed_by"] == "diverged"
    if not diverged:
        result |= evaluation.score_parts(inputs.train, inputs.holdout, config.metric, strategy)
    result["extra"] = {
        name: scores(inputs.task, evaluation.predict(part.rows, strategy), part.labels)
        for name, part in ({} if diverged else inputs.extra).items()
    }
    if resources.predict_test:
        asked = (resources.model, resources.data, config.task, protocol.max_length)
        result["test"] = {
            name: {"predictions": evaluation.predict(rows, strategy), "hash": digest}
            for name, (digest, rows) in ({} if diverged else encode_tests(*asked)).items()
        }
    if resources.forgetting is not None:
        texts = resources.forgetting
        result["forgetting"] = None if diverged else forgetting.measure(resources.model, texts, strategy)
    result["passes"] = passes(config.strategy, len(history.losses))
    if not resources.logits:
        result["logits"] = None
    result["touched"], result["micro_batch"] = training.touched, training.recipe.micro_batch
    result["train_loss"] = [round(loss, DIGITS) for loss in history.losses if math.isfinite(loss)]
    if notes := [*([training.forward_note] if training.forward_note else []), *strategy.notes()]:
        result["notes"] = notes
    hashes = {"head": training.head_hash, "batches": training.order.fingerprint(), "split": config.split_hash}
    return result | {"hashes": hashes}


def passes(strategy: Strategy, steps: int) -> dict[str, int]:
    """Forward and backward passes of a batch in so many steps; terms that repeat them do so on top of each other."""
    own = [term.regularizer.passes for term in strategy.terms]
    return {
        "forward": steps * math.prod(forward for forward, _ in own),
        "backward": steps * math.prod(backward for _, backward in own),
    }
