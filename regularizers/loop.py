"""The one training loop: batches in, history out. It knows no task, no file and no method's name."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from regularizers.context import Batch, History, to_device
from regularizers.data_parallel import own_noise, part, require_same, sum_gradients, sum_over_processes
from regularizers.resume import Checkpoints, Snapshots
from regularizers.strategy import BoundStrategy

CHECK_EVERY = 10  # steps between looks at the loss; every look waits for the device
NO_CORRECTION = 1e9  # a step counter this high makes both of Adam's bias corrections equal to 1 exactly


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the weights are moved; every field is part of a protocol and has its default there.

    lr: peak learning rate; warmup: share of the steps with rising rate; schedule: `linear` decay to 0 or `constant`;
    clip: global gradient norm, 0 for none; bias_correction: Adam's (off as in BERT's original optimizer);
    micro_batch: examples per forward pass, 0 for the whole batch; steps: optimizer steps in all, in place of epochs
    (0: as many as the epochs have); evaluate: after every `epoch` and at the end, or at the end alone (`last`).
    """

    epochs: int
    lr: float
    beta1: float
    beta2: float
    eps: float
    warmup: float
    schedule: str
    clip: float
    bias_correction: bool
    micro_batch: int
    steps: int = 0
    evaluate: str = "epoch"


def fit(
    strategy: BoundStrategy,
    batches: Callable[[int], Sequence[Batch]],
    recipe: Recipe,
    *,
    accelerator: Accelerator,
    evaluate: Callable[[], Any] = lambda: None,
    checkpoints: Checkpoints | None = None,
) -> History:
    """Train `strategy.context.model` for the recipe's steps, or its epochs.

    Args:
        batches: epoch -> its batches; every batch is a dict of tensors with "labels", the first dimension examples.
        evaluate: called after each epoch, or at the end alone, with the evaluation weights in place and the model in
            evaluation mode. A last epoch that the number of steps cuts short counts as one.
        checkpoints: where to go on from and what to do with the state of now and then; the result is the same.

    A loss that is NaN or infinite ends the training; `History.diverged_at` is then the first such step. The strategy
    must be attached and started. The order of the hooks stands in `regularizers.base`.

    Raises BadState where the state to go on from is none of this training; the model must then not be used.
    """
    context, model = strategy.context, strategy.context.model
    training = context.training
    per_epoch = len(batches(0))
    training.steps = recipe.steps or per_epoch * recipe.epochs
    training.optimizer = make_optimizer(strategy, recipe)
    scheduler = _schedule(training.optimizer, recipe, training.steps)
    history = History()
    if checkpoints is not None:
        snapshots = Snapshots(strategy, scheduler, history)
        checkpoints.resume(snapshots)
    losses: list[Any] = list(history.losses)
    begun = len(losses)
    for epoch in range(len(losses) // per_epoch, math.ceil(training.steps / per_epoch)):
        model.train()
        first, last = len(losses) - epoch * per_epoch, training.steps - epoch * per_epoch
        for batch in itertools.islice(batches(epoch), first, last):
            if checkpoints is not None and checkpoints.due(len(losses) - begun) and not _diverged(losses, history):
                checkpoints.keep(snapshots.take)
            losses.append(step(strategy, to_device(batch, accelerator.device), recipe, accelerator))
            scheduler.step()
            training.step += 1
            if len(losses) % CHECK_EVERY == 0 and _diverged(losses, history):
                return history
        if _diverged(losses, history):
            return history
        require_same(model.parameters(), accelerator)
        if recipe.evaluate == "epoch" or len(losses) == training.steps:
            model.eval()
            with strategy.evaluation():
                history.epochs.append(evaluate())
    return history


def make_optimizer(strategy: BoundStrategy, recipe: Recipe) -> torch.optim.Optimizer:
    """Fused Adam over the strategy's groups; weight decay is a technique and never the optimizer's."""
    betas, groups = (recipe.beta1, recipe.beta2), parameter_groups(strategy, recipe.lr)
    optimizer = torch.optim.Adam(groups, lr=recipe.lr, betas=betas, eps=recipe.eps, fused=True)
    if not recipe.bias_correction:
        for p in (p for group in optimizer.param_groups for p in group["params"]):
            moments = {"exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
            optimizer.state[p] = {"step": torch.tensor(NO_CORRECTION, device=p.device), **moments}
    return optimizer


def parameter_groups(strategy: BoundStrategy, lr: float) -> list[dict[str, Any]]:
    """What an optimizer moves, by the strategy's groups: dicts with `params` and their `lr`."""
    weights = tuple(strategy.context.scoped("all").parameters())
    groups = strategy.groups([{"names": weights, "lr": lr}])
    parameters = dict(strategy.context.model.named_parameters())
    return [{"params": [parameters[n] for n in g["names"]], "lr": g["lr"]} for g in groups if g["names"]]


def _schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    from transformers import optimization  # slow to load, and only a training needs it

    warmup = math.ceil(recipe.warmup * steps)
    if recipe.schedule == "constant":
        return optimization.get_constant_schedule_with_warmup(optimizer, warmup)
    return optimization.get_linear_schedule_with_warmup(optimizer, warmup, steps)


def step(strategy: BoundStrategy, batch: Batch, recipe: Recipe, accelerator: Accelerator) -> torch.Tensor:
    """One optimizer step; returns the step's mean loss, still on the device."""
    context = strategy.context
    weight, mine = part(batch, accelerator)
    loss = gradients(strategy, split(mine, recipe.micro_batch), accelerator, weight=weight)
    if recipe.clip > 0:
        nn.utils.clip_grad_norm_([p for p in context.model.parameters() if p.grad is not None], recipe.clip)
    strategy.update(context.training.optimizer.step)
    return loss


def gradients(
    strategy: BoundStrategy, micro_batches: Sequence[Batch], accelerator: Accelerator, *, weight: float = 1.0
) -> torch.Tensor:
    """Draw the step's noise and set every `.grad`; returns the mean loss over the micro-batches, still on the device.

    `weight` is the share that this process has of the whole batch.
    """
    context, total = strategy.context, list[torch.Tensor]()
    optimizer = context.training.optimizer
    counts = [context.count(micro) for micro in micro_batches] if len(micro_batches) > 1 else [1]

    def backward() -> None:
        optimizer.zero_grad(set_to_none=True)
        total.clear()
        for count, micro in zip(counts, micro_batches, strict=True):
            with accelerator.autocast():
                loss = strategy.loss(micro).loss * (count / max(1, sum(counts)) * weight)
            accelerator.backward(loss)
            total.append(loss.detach())
        sum_gradients(context.model.parameters(), accelerator)

    strategy.draw()
    with own_noise(context.generator, accelerator):
        strategy.gradients(backward)
    return sum_over_processes(torch.stack(total).sum(), accelerator)


def split(batch: Batch, size: int) -> list[Batch]:
    """Micro-batches of at most `size` examples (0: one)."""
    count = len(batch["labels"])
    if size == 0 or size >= count:
        return [batch]
    return [{name: value[at : at + size] for name, value in batch.items()} for at in range(0, count, size)]


def _diverged(losses: list[Any], history: History) -> bool:
    """Move the losses that are not yet there, tensors, into the history; whether one of all is not finite."""
    new = torch.stack(losses[len(history.losses) :]).tolist() if len(losses) > len(history.losses) else []
    history.losses.extend(new)
    bad = [step for step, loss in enumerate(history.losses) if not math.isfinite(loss)]
    history.diverged_at = bad[0] if bad else None
    return bool(bad)
