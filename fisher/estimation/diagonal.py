"""The empirical Fisher diagonal, slowly and exactly: one sample, one backward pass, one square.

    F_i = 1/n sum_k (d l(x_k) / d theta_i)^2                                    [Sharma et al. 2024, section 3]

This is the reference that the batched estimator in `fisher.estimation.batched` is held against.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from fisher.common.errors import InputError, require
from fisher.pretraining.objectives import Batch, Loss, Sample, collate


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
            value = loss(model, to_model(collate([sample], pad_id=pad_id(model)), model)).sum()
            require_finite(value, [number])
            gradients = torch.autograd.grad(value, list(parameters.values()), allow_unused=True)
            for name, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None:
                    total[name] += gradient.to(dtype).square()
    return {name: value / len(samples) for name, value in total.items()}


def trainable(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def require_samples(samples: Sequence[Sample]) -> None:
    require(samples, "a Fisher estimate needs at least one sample", "none")


def require_finite(losses: torch.Tensor, numbers: Sequence[int]) -> None:
    """Refuse a loss that is NaN or infinite; `numbers` are those of the batch's samples."""
    if not torch.isfinite(losses).all():
        number = numbers[int((~torch.isfinite(losses)).flatten().nonzero()[0])]
        raise InputError(f"the loss of every sample must be finite, that of sample {number} is not: check the weights")


def pad_id(model: torch.nn.Module) -> int:
    value = getattr(getattr(model, "config", None), "pad_token_id", None)
    return 0 if value is None else int(value)


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
