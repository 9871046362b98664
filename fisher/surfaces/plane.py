"""The loss on the plane that two directions span: points, in this process or in several, and their figures."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import torch

from fisher.common.errors import InputError
from fisher.estimation.accumulate import length_of, plan
from fisher.estimation.diagonal import batch_of
from fisher.estimation.estimate import draw_samples, resolve_length
from fisher.pretraining.checkpoint import load_pretrained
from fisher.pretraining.corpus import read_corpus
from fisher.pretraining.objectives import Loss, Sample, objective_loss
from fisher.scores import load_scores
from fisher.surfaces.directions import chosen_tensors, directions, parse_variant

Key = tuple[int, str, int, int]  # direction seed, variant, row, column
Direction = Mapping[str, torch.Tensor]

CENTRE = -1  # row and column of the point (0, 0), which lies on no grid of an even number of points


@dataclass(frozen=True)
class Request:
    """What determines the surfaces; the hashes tell models and corpora of one name apart."""

    model: str
    weights: str
    corpus: str
    corpus_hash: str
    scores: str
    objective: str
    reduction: str
    samples: int
    sample_seed: int
    max_length: int | None
    among: str
    normalise: str
    grid: int
    extent: float


class Plane:
    """What computes single points; each process has one."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.model, tokenizer = load_pretrained(request.model, request.objective)
        self.loss = objective_loss(request.objective, reduction=request.reduction)
        self.samples = draw_samples(
            tokenizer,
            read_corpus(request.corpus),
            request.objective,
            samples=request.samples,
            seed=request.sample_seed,
            max_length=resolve_length(self.model.config, request.max_length),
            sentinels="spans",
        ).samples
        scores = load_scores(request.scores, weights=request.weights).tensor_scores()
        own = {name: name.removeprefix(f"{self.model.base_model_prefix}.") for name, _ in self.model.named_parameters()}
        self.scores = {name: scores[base] for name, base in own.items() if base in scores}
        self.shapes = {name: value.shape for name, value in self.model.named_parameters()}
        self.coordinates = axis(request.extent, request.grid)
        self.seed: int | None = None

    def turn_to(self, seed: int) -> None:
        """Draw the directions of a seed, unless they are at hand."""
        if seed != self.seed:
            parameters = {name: value for name, value in self.model.named_parameters() if name in self.scores}
            self.planes = directions(parameters, seed=seed, normalise=self.request.normalise)
            self.seed = seed

    def names(self, seed: int, variant: str) -> list[str]:
        among = self.request.among
        return chosen_tensors(self.scores, self.shapes, parse_variant(variant), seed=seed, among=among)

    def loss_at(self, key: Key) -> float:
        seed, variant, row, column = key
        self.turn_to(seed)
        point = (0.0, 0.0) if row == CENTRE else (self.coordinates[row], self.coordinates[column])
        names = self.names(seed, variant)
        return loss_at(self.model, self.samples, self.loss, names=names, planes=self.planes, point=point)

    def extent_of(self, seed: int, variant: str) -> dict[str, Any]:
        self.turn_to(seed)
        return perturbation(self.names(seed, variant), self.planes, self.coordinates)


WORKER: Plane | None = None  # of a worker process, which computes many points on one model


def start_worker(request: Request) -> None:
    global WORKER
    torch.set_num_threads(1)
    WORKER = Plane(request)


def work(key: Key) -> tuple[Key, float]:
    assert WORKER is not None
    return key, WORKER.loss_at(key)


def compute(plane: Plane, keys: Sequence[Key], workers: int) -> Iterator[tuple[Key, float]]:
    """Losses at the points, as they come; a worker that dies stops the run, what is known stays known."""
    if workers <= 1:
        for key in keys:
            yield key, plane.loss_at(key)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), start_worker, (plane.request,)) as pool:
        try:
            for future in as_completed([pool.submit(work, key) for key in keys]):
                yield future.result()
        except BrokenProcessPool:
            raise InputError(
                "a worker died (out of memory?): use fewer --workers, and run the same command again to resume"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def keys_of(seeds: Sequence[int], variants: Sequence[str], grid: int) -> list[Key]:
    """All points: for each seed and variant the centre, then the grid row by row."""
    places = [(CENTRE, CENTRE)] + [(row, column) for row in range(grid) for column in range(grid)]
    return [(seed, variant, *place) for seed in seeds for variant in variants for place in places]


def axis(extent: float, points: int) -> list[float]:
    """Coordinates of the grid along one direction: `points` from -extent to extent."""
    return torch.linspace(-extent, extent, points, dtype=torch.float64).tolist()


def mean_loss(model: torch.nn.Module, samples: Sequence[Sample], loss: Loss, *, batch_tokens: int = 4096) -> float:
    """Mean over samples of their losses, without gradients; the model must be in evaluation mode."""
    total = 0.0
    with torch.no_grad():
        for numbers in plan([length_of(sample) for sample in samples], batch_tokens):
            batch = batch_of([samples[number] for number in numbers], model)
            total += float(loss(model, batch).double().sum())
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
