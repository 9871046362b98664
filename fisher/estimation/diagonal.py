"""The Fisher diagonal, slowly and exactly, and which Fisher: the labels that the gradients are taken at.

    F_i = 1/n sum_k (d l(x_k) / d theta_i)^2                                    [Sharma et al. 2024, section 3]

One sample, one backward pass, one square: the reference that `fisher.estimation.batched` is held against.

    empirical   the labels of the corpus
    mc          labels drawn from the model's own predictions, once for each sample (Monte-Carlo estimate of "exact")
    exact       the expectation over the model's predictions; for tiny models only

For a sample with m predicted tokens the labels are drawn for all m at once, given the inputs (for a decoder: given the
true prefix). They are independent then and the score has mean zero, so with c = 1/m (reduction "mean") or 1 ("sum")

    E_y (d l(x, y) / d theta_i)^2 = c^2 sum_j sum_v p_jv (d log p_jv / d theta_i)^2
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch

from fisher.common.errors import InputError, require
from fisher.pretraining.objectives import IGNORE, Batch, Loss, Sample, TokenLoss, collate

MOST_PASSES = 1_000_000  # backward passes of one exact estimate


def empirical_fisher(
    model: torch.nn.Module, samples: Sequence[Sample], loss: Loss, *, dtype: torch.dtype = torch.float64
) -> dict[str, torch.Tensor]:
    """The diagonal as {parameter name: tensor of the parameter's shape}, on the model's device.

    Args:
        loss: per-sample losses of a batch, shape (batch,); it is called with batches of one sample.
        dtype: in which squares are taken and summed (gradients come in the model's own precision).
    The model is in evaluation mode meanwhile; its modes and gradients are afterwards what they were. A parameter that
    gets no gradient scores 0; tied parameters stand once, under the first of their names, their uses summed before
    squaring. Parameters with `requires_grad=False` are left out.
    Raises:
        InputError: there is no sample, or a loss is not finite.
    """
    require_samples(samples)
    parameters = trainable(model)
    total = {name: torch.zeros_like(value, dtype=dtype) for name, value in parameters.items()}
    with evaluation_mode(model):
        for number, sample in enumerate(samples):
            value = loss(model, batch_of([sample], model)).sum()
            require_finite(value, [number])
            for name, gradient in gradients_of(value, parameters).items():
                total[name] += gradient.to(dtype).square()
    return {name: value / len(samples) for name, value in total.items()}


def draw_labels(model: torch.nn.Module, batch: Batch, loss: TokenLoss, rngs: Sequence[torch.Generator]) -> Batch:
    """The batch with labels drawn from the model, those of each sample from its own generator."""
    with torch.no_grad():
        probabilities = loss.logits(model, batch).double().softmax(-1).cpu()  # (batch, predictions, vocabulary)
    labels = batch["labels"].cpu().clone()
    for row, rng, chances in zip(labels, rngs, probabilities, strict=True):
        predicted = row != IGNORE
        row[predicted] = torch.multinomial(chances[predicted], 1, generator=rng).squeeze(1)
    return {**batch, "labels": labels.to(batch["labels"].device)}


def exact_fisher(model: torch.nn.Module, samples: Sequence[Sample], loss: TokenLoss) -> dict[str, torch.Tensor]:
    """The expectation over labels, summed up term by term: one backward pass per predicted token and word.

    Raises:
        InputError: there is no sample, or more than a million passes would be needed.
    """
    require_samples(samples)
    parameters = trainable(model)
    total = {name: torch.zeros_like(value) for name, value in parameters.items()}
    with evaluation_mode(model):
        for sample in samples:
            log_p = loss.logits(model, batch_of([sample], model))[0].log_softmax(-1)  # (predictions, vocabulary)
            require_few_passes(len(samples) * log_p.numel())
            scale = 1.0 if loss.reduction == "sum" else 1.0 / len(log_p)
            for value in log_p.flatten():
                weight = float(value.detach().exp()) * scale**2
                for name, gradient in gradients_of(value, parameters, retain_graph=True).items():
                    total[name].addcmul_(gradient, gradient, value=weight)
    return {name: value / len(samples) for name, value in total.items()}


def gradients_of(
    value: torch.Tensor, parameters: Mapping[str, torch.Tensor], *, retain_graph: bool = False
) -> dict[str, torch.Tensor]:
    """The gradients of a scalar by name, of the parameters that have one."""
    found = torch.autograd.grad(value, list(parameters.values()), retain_graph=retain_graph, allow_unused=True)
    return {name: gradient for name, gradient in zip(parameters, found, strict=True) if gradient is not None}


def require_few_passes(passes: int) -> None:
    require(
        passes <= MOST_PASSES,
        f"kind exact is for tiny models: at most {MOST_PASSES} backward passes, but about {passes} are needed; use mc",
    )


def trainable(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def require_samples(samples: Sequence[Sample]) -> None:
    require(samples, "a Fisher estimate needs at least one sample", "none")


def require_finite(losses: torch.Tensor, numbers: Sequence[int]) -> None:
    """Refuse a loss that is NaN or infinite; `numbers` are those of the batch's samples."""
    if not torch.isfinite(losses).all():
        number = numbers[int((~torch.isfinite(losses)).flatten().nonzero()[0])]
        raise InputError(f"the loss of every sample must be finite, that of sample {number} is not: check the weights")


def batch_of(samples: Sequence[Sample], model: torch.nn.Module) -> Batch:
    """The samples as one batch on the model's device, padded with the model's own token."""
    pad = getattr(getattr(model, "config", None), "pad_token_id", None)
    return to_model(collate(samples, pad_id=0 if pad is None else int(pad)), model)


def to_model(batch: Batch, model: torch.nn.Module) -> Batch:
    device = next(model.parameters()).device
    return {name: value.to(device) for name, value in batch.items()}


@contextmanager
def evaluation_mode(model: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode, gradients on; afterwards every module is back in the mode it was in."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.enable_grad():
            yield
    finally:
        for module in training:
            module.training = True
