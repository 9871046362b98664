"""The sum of squared per-sample gradients over many samples: in batches, in a fixed order, resumable.

Samples are taken in the order they come in, in sections that end where scores are noted for the convergence report.
Within a section they are sorted by length, and a batch is closed before its padded tokens exceed a budget; so what is
added up, and in which order, depends on the samples and the budget alone, not on interruptions.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from fisher.estimation.batched import Unbatchable, add_squares
from fisher.estimation.convergence import stops
from fisher.estimation.diagonal import (
    batch_of,
    evaluation_mode,
    gradients_of,
    require_finite,
    require_samples,
    trainable,
)
from fisher.options import BATCH_TOKENS
from fisher.pretraining.objectives import Batch, Loss, Sample
from fisher.scores import tensor_scores

Prepare = Callable[[Batch, Sequence[int]], Batch]  # (batch, numbers of its samples) -> batch
Report = Callable[["State"], None]


def unchanged(batch: Batch, numbers: Sequence[int]) -> Batch:
    """The labels of the samples as they are."""
    return batch


@dataclass
class State:
    """What an estimate has come to: all that is needed to resume."""

    total: dict[str, torch.Tensor]  # sum over the samples done of squared gradients
    done: int = 0  # samples
    loss: float = 0.0  # sum of their losses
    noted: dict[int, dict[str, float]] = field(default_factory=dict)  # number of samples -> tensor scores

    def diagonal(self) -> dict[str, torch.Tensor]:
        return {name: value / self.done for name, value in self.total.items()}


def accumulate(
    model: torch.nn.Module,
    samples: Sequence[Sample],
    loss: Loss,
    *,
    batch_tokens: int = BATCH_TOKENS,
    state: State | None = None,
    prepare: Prepare = unchanged,
    report: Report = lambda state: None,
) -> State:
    """Add up the squares of all samples, from `state` on where one is given, calling `report` after each batch.

    They are those of `diagonal.empirical_fisher`, faster, squared and summed in the parameters' own precision.
    `batch_tokens` bounds the padded tokens of a batch; a single sample may be longer.

    Batches are checked before they are trusted: the two shortest samples are computed together and one by one, and
    where the two disagree, or the model uses a parameter in an unknown way, all samples are taken one by one.
    """
    require_samples(samples)
    state = state or State({name: torch.zeros_like(value) for name, value in trainable(model).items()})
    with evaluation_mode(model):
        add = add_squares if batches_agree(model, sorted(samples, key=length_of)[:2], loss) else add_singly
        for numbers in plan([length_of(sample) for sample in samples], batch_tokens, start=state.done):
            batch = batch_of([samples[number] for number in numbers], model)
            losses = add(state.total, model, prepare(batch, numbers), loss)
            require_finite(losses, numbers)
            state.loss += float(losses.sum())
            state.done += len(numbers)
            if state.done in stops(len(samples)):
                state.noted[state.done] = tensor_scores(state.diagonal())
            report(state)
    return state


def plan(lengths: Sequence[int], batch_tokens: int, *, start: int = 0) -> list[list[int]]:
    """Batches as lists of sample numbers, without the leading ones that make up the first `start` samples."""
    batches: list[list[int]] = []
    begin = 0
    for end in stops(len(lengths)):
        batch: list[int] = []
        for number in sorted(range(begin, end), key=lambda number: (lengths[number], number)):
            if batch and (len(batch) + 1) * lengths[number] > batch_tokens:
                batches.append(batch)
                batch = []
            batch.append(number)
        batches.append(batch)
        begin = end
    while start > 0:
        start -= len(batches.pop(0))
    return batches


def length_of(sample: Sample) -> int:
    return max(sum(value.numel() for name, value in sample.items() if name.endswith("input_ids")), 1)


def batches_agree(model: torch.nn.Module, samples: Sequence[Sample], loss: Loss, *, tolerance: float = 1e-3) -> bool:
    """Whether the squares of a few samples are the same together as one by one, in each tensor's mean."""
    batch = batch_of(samples, model)
    total = {name: torch.zeros_like(value) for name, value in trainable(model).items()}
    try:
        add_squares(total, model, batch, loss)
    except Unbatchable:
        return False
    together = tensor_scores(total)
    singly = dict.fromkeys(total, 0.0)
    del total
    for _, gradients in single_gradients(model, batch, loss, list(singly)):
        for name, gradient in gradients.items():
            singly[name] += float(gradient.square().double().mean())
    noise = 1e-6 * max(singly.values())  # of gradients that are zero but for rounding
    return all(abs(together[name] - value) <= tolerance * value + noise for name, value in singly.items())


def add_singly(total: dict[str, torch.Tensor], model: torch.nn.Module, batch: Batch, loss: Loss) -> torch.Tensor:
    """`add_squares` by one plain backward pass for each sample of the batch."""
    losses = []
    for value, gradients in single_gradients(model, batch, loss, list(total)):
        for name, gradient in gradients.items():
            total[name].addcmul_(gradient, gradient)
        losses.append(value)
    return torch.stack(losses)


def single_gradients(
    model: torch.nn.Module, batch: Batch, loss: Loss, names: Sequence[str]
) -> Iterator[tuple[torch.Tensor, dict[str, torch.Tensor]]]:
    """(loss, gradients of the parameters that have one) of each sample of a batch."""
    parameters = {name: model.get_parameter(name) for name in names}
    for number in range(len(next(iter(batch.values())))):
        value = loss(model, {name: part[number : number + 1] for name, part in batch.items()}).sum()
        yield value.detach(), gradients_of(value, parameters)
