"""The loss on a grid of the plane that two directions span, and what is told of such a surface in numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from fisher.estimation.accumulate import length_of, plan
from fisher.estimation.diagonal import pad_id, to_model
from fisher.pretraining.objectives import Loss, Sample, collate

Direction = Mapping[str, torch.Tensor]


def axis(extent: float, points: int) -> list[float]:
    """Coordinates of the grid along one direction: `points` from -extent to extent."""
    return torch.linspace(-extent, extent, points, dtype=torch.float64).tolist()


def mean_loss(model: torch.nn.Module, samples: Sequence[Sample], loss: Loss, *, batch_tokens: int = 4096) -> float:
    """Mean over samples of their losses, without gradients; the model must be in evaluation mode."""
    total = 0.0
    with torch.no_grad():
        for numbers in plan([length_of(sample) for sample in samples], batch_tokens):
            batch = collate([samples[number] for number in numbers], pad_id=pad_id(model))
            total += float(loss(model, to_model(batch, model)).double().sum())
    return total / len(samples)


def loss_at(
    model: torch.nn.Module,
    samples: Sequence[Sample],
    loss: Loss,
    *,
    names: Sequence[str],
    planes: Sequence[Direction],
    point: tuple[float, float],
) -> float:
    """L(w + a d1 + b d2), moving the tensors `names` only; the weights are afterwards the very same as before."""
    parameters = dict(model.named_parameters())
    moved = [name for name in names if name in planes[0]]
    kept = {name: parameters[name].detach().clone() for name in moved}
    try:
        with torch.no_grad():
            for name in moved:
                parameters[name].add_(planes[0][name], alpha=point[0]).add_(planes[1][name], alpha=point[1])
        return mean_loss(model, samples, loss)
    finally:
        with torch.no_grad():
            for name in moved:
                parameters[name].copy_(kept[name])


def sharpness(losses: Sequence[Sequence[float]], centre: float) -> float:
    """Mean rise of the loss over the grid, mean_ab L(a, b) - L(0, 0), in the unit of the loss.

    A loss that is NaN or infinite makes it infinite.
    """
    values = torch.tensor(losses, dtype=torch.float64)
    return float(values.mean() - centre) if torch.isfinite(values).all() else float("inf")


def perturbation(names: Sequence[str], planes: Sequence[Direction], coordinates: Sequence[float]) -> dict[str, Any]:
    """How much a variant moves: tensors, parameters, and the root mean square over the grid of |a d1 + b d2|."""
    moved = [name for name in names if name in planes[0]]
    square = sum(x * x for x in coordinates) / len(coordinates)  # of either coordinate; the mean of a * b is 0
    total = sum(float(plane[name].double().square().sum()) for plane in planes for name in moved)
    return {
        "tensors": len(names),
        "moved_tensors": len(moved),
        "moved_parameters": sum(planes[0][name].numel() for name in moved),
        "perturbation_norm": (square * total) ** 0.5,
    }
