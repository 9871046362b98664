"""Least squares under mixout [Lee20 Supp. D]: the larger p, the nearer the fitted line to the target.

    y = w1* x + w2* + noise,   model (w1, w2), both mixed (w2 is the weight of a constant input), target u random
    E over masks of L(mixout(w, u, p)) = L(w) + p/(1-p) * 1/2 sum_j H_jj (w_j - u_j)^2,   H the Hessian of L

The equation is exact for every quadratic loss, as the mask entries are independent; its minimiser solves a 2x2 system.
The lines are trained by the project's own strategy `mixout(w_pre, p)` and loop with u in the place of w_pre, one fresh
mask per step, and start at (0, 0), so that nothing but the mixing brings them near u.

Assumptions (the paper's own numbers are not known to us): 200 points, x uniform in [-1, 2], w* below, noise of
standard deviation 0.2, u ~ N(0, 2^2), from a seed at which u lies far from w*, so that the panels can be read. The
inputs are not centred, so that H is not diagonal and the minimiser is not simply (1-p) w* + p u.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from benchmarks.theory.training import train
from fisher.seeds import derive
from regularizers.base import Context
from regularizers.surgery.sites import Sites

PROBABILITIES = (0.0, 0.3, 0.6, 0.9)
POINTS = 200
NOISE = 0.2
RATE, EPS = 0.04, 1e4  # learning rate of the descent at p = 0; Adam's eps
TRUE = (1.0, 0.5)  # slope and intercept


@dataclass(frozen=True)
class Problem:
    """inputs (n, 2): x and the constant 1; y (n,); true and target (2,): slope and intercept. All float64."""

    inputs: Tensor
    y: Tensor
    true: Tensor
    target: Tensor


@dataclass(frozen=True)
class Line:
    """The trained line and the exact minimiser at one p, each (slope, intercept)."""

    p: float
    trained: tuple[float, ...]
    exact: tuple[float, ...]


def make_problem(seed: int) -> Problem:
    """Points around the true line and a random target u ~ N(0, 2^2) for slope and intercept."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(POINTS, generator=generator, dtype=torch.float64) * 3 - 1
    inputs = torch.stack([x, torch.ones_like(x)], dim=1)  # (n, 2)
    true = torch.tensor(TRUE, dtype=torch.float64)
    target = 2 * torch.randn(2, generator=generator, dtype=torch.float64)
    noise = NOISE * torch.randn(POINTS, generator=generator, dtype=torch.float64)
    return Problem(inputs, inputs @ true + noise, true, target)


def exact_minimiser(problem: Problem, p: float) -> Tensor:
    """(2,): the minimiser of L(w) + p/(1-p) * 1/2 sum_j H_jj (w_j - u_j)^2 with H = 2/n X^T X."""
    count = len(problem.y)
    hessian = 2 / count * problem.inputs.T @ problem.inputs
    pull = p / (1 - p) * hessian.diagonal()
    right = 2 / count * problem.inputs.T @ problem.y + pull * problem.target
    return torch.linalg.solve(hessian + pull.diag(), right)


def train_line(problem: Problem, p: float, *, steps: int, seed: int) -> Tensor:
    """(2,): the line that full-batch descent reaches under `mixout(w_pre, p)` with w_pre = u.

    Adam with an eps far above every gradient is gradient descent with momentum and rate lr / eps. Its mean is unbiased
    under a quadratic loss, Adam's normalised step is not. The rate is 0.04 (1-p): the expected curvature grows with
    1 / (1-p).
    """
    line = skip_init(nn.Linear, 2, 1, bias=False, dtype=torch.float64)
    nn.init.zeros_(line.weight)
    context = Context(
        nn.Sequential(line),
        generator=torch.Generator().manual_seed(seed),
        sites=Sites("line", dropouts=(), mixed={"paper": ("0",)}),
        forward=lambda model, batch: model(batch["inputs"]),
        initial={"0.weight": problem.target[None]},  # (1, 2)
    )
    batches = [{"inputs": problem.inputs, "labels": problem.y}] * steps
    lr = EPS * RATE * (1 - p)
    train(f"mixout(w_pre, {p})", context, lambda epoch: batches, epochs=1, lr=lr, warmup=0.0, noise_seed=seed, eps=EPS)
    return line.weight.detach()[0].clone()


def run(problem: Problem, *, steps: int) -> list[Line]:
    """Trained and exact line at every p."""
    lines = []
    for p in PROBABILITIES:
        trained = train_line(problem, p, steps=steps, seed=derive("theory", "least squares", "noise"))
        lines.append(Line(p, tuple(trained.tolist()), tuple(exact_minimiser(problem, p).tolist())))
    return lines
