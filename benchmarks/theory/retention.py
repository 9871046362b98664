"""The digits experiment of [Lee20 §4, Supp. C.1]: mixout holds a model near w_pre, dropout drives it away.

A 784-300-100-10 network is pretrained on a source domain with dropout(0.1) on its hidden layers and wdecay(0, 0.01),
then fine-tuned on a target domain with mixout(w_pre, p) on the second and third weight matrices, or with dropout(p) on
the hidden layers that feed them. Measured over p: ||w_ft - w_pre||^2 over all parameters, and validation accuracy on
the target and on the source. A restart changes the shuffling (and the masks that are drawn on the way), never w_pre.

Deviations: p reaches beyond the published 0.3; Adam's eps is 1e-6 and gradients are not clipped (the paper is silent);
"1..20 epochs" is read as one training, with its own linear decay, per number of epochs.
"""

import sys
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from benchmarks.theory.digits import Domain
from benchmarks.theory.training import train
from fisher.seeds import derive
from regularizers.base import Batch, Context, require
from regularizers.surgery.sites import Site, Sites

BATCH = 32
WARMUP = 0.1
PRETRAINING = "dropout(0.1) + wdecay(0, 0.01)"
METHODS = ("mixout", "dropout")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is trained; the defaults are the paper's, with larger p added."""

    pretrain_epochs: tuple[int, ...] = tuple(range(1, 21))
    pretrain_seeds: int = 5
    pretrain_lr: float = 1e-4
    finetune_epochs: int = 5
    finetune_lr: float = 5e-5
    restarts: int = 10
    probabilities: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.6, 0.9)
    validation: float = 0.1

    def __post_init__(self) -> None:
        least = min(*self.pretrain_epochs, self.pretrain_seeds, self.finetune_epochs, self.restarts)
        require(least >= 1, "epochs, seeds and restarts must be at least 1", least)
        wrong = [p for p in self.probabilities if not 0 <= p < 1]
        require(not wrong, "p must be in [0, 1)", wrong[0] if wrong else None)
        spelled = " ".join(f"{p:g}" for p in self.probabilities)
        rising = list(self.probabilities) == sorted(set(self.probabilities)) and len(self.probabilities) > 1
        require(rising and self.probabilities[0] == 0, "the p of the curves must rise from 0", spelled)


PAPER = Plan()
EMBEDDED = Plan(pretrain_epochs=(30,), pretrain_seeds=2, finetune_epochs=20, restarts=5, validation=0.2)
QUICK = {
    "pretrain_epochs": (20,),
    "pretrain_seeds": 1,
    "finetune_epochs": 5,
    "restarts": 2,
    "probabilities": (0.0, 0.3, 0.9),
}


@dataclass(frozen=True)
class Run:
    """One fine-tuning: squared distance from w_pre, validation accuracy on target and source as fractions."""

    method: str
    p: float
    restart: int
    deviation: float
    target: float
    source: float


class Network(nn.Module):
    """784-300-100-10, LayerNorm after ReLU, a dropout after each hidden layer; weights N(0, 0.02^2), biases 0."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.first, self.norm1, self.dropout1 = skip_init(nn.Linear, 784, 300), nn.LayerNorm(300), nn.Dropout(0.0)
        self.second, self.norm2, self.dropout2 = skip_init(nn.Linear, 300, 100), nn.LayerNorm(100), nn.Dropout(0.0)
        self.third = skip_init(nn.Linear, 100, 10)  # its own initialisation would draw from torch's default generator
        generator = torch.Generator().manual_seed(seed)
        for layer in (self.first, self.second, self.third):
            nn.init.normal_(layer.weight, std=0.02, generator=generator)
            nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        """images (batch, 784) -> logits (batch, 10)."""
        hidden = self.dropout1(self.norm1(self.first(images).relu()))  # (batch, 300)
        return self.third(self.dropout2(self.norm2(self.second(hidden).relu())))  # (batch, 100) -> (batch, 10)


SITES = Sites(
    family="digit network",
    dropouts=(
        Site("hidden.1", "dropout1", "hidden", ("first.weight", "first.bias", "norm1.weight", "norm1.bias"), rate=0.0),
        Site(
            "hidden.2", "dropout2", "hidden", ("second.weight", "second.bias", "norm2.weight", "norm2.bias"), rate=0.0
        ),
    ),
    mixed={"paper": ("second", "third")},
)


def shuffled(part: Domain, seed: int) -> list[Batch]:
    """One epoch of shuffled batches, the images as row numbers; the last one may be short."""
    order = torch.randperm(len(part.labels), generator=torch.Generator().manual_seed(seed))
    return [{"rows": rows, "labels": part.labels[rows]} for rows in order.split(BATCH)]


def train_network(
    model: Network, strategy: str, part: Domain, *, epochs: int, lr: float, seeds: tuple[int, int]
) -> None:
    """Train in place; `seeds` are those of the order and of the noise."""
    order, noise = seeds
    context = Context(
        model,
        generator=torch.Generator().manual_seed(noise),
        sites=SITES,
        examples=len(part.labels),
        forward=lambda network, batch: network(part.images[batch["rows"]]),
    )
    train(
        strategy,
        context,
        lambda epoch: shuffled(part, derive(order, epoch)),
        epochs=epochs,
        lr=lr,
        warmup=WARMUP,
        noise_seed=noise,
    )


@torch.no_grad()
def accuracy(model: nn.Module, part: Domain) -> float:
    """Share of digits recognised; the model must be in evaluation mode."""
    return float((model(part.images).argmax(1) == part.labels).double().mean())


def squared_distance(model: nn.Module, start: dict[str, Tensor]) -> float:
    """||w - start||^2 over all parameters, summed in float64."""
    pairs = ((p.detach(), start[name]) for name, p in model.named_parameters())
    return float(sum((now.double() - then.double()).square().sum() for now, then in pairs))


def pretrain(source: Domain, plan: Plan) -> tuple[dict[str, Tensor], list[tuple[int, int, float]]]:
    """The weights with the best accuracy on the source's validation part, and (epochs, seed, accuracy) of all tried.

    One model per number of epochs and seed; of equal ones the first is kept.
    """
    train_part, validation = source.split(plan.validation)
    tried: list[tuple[int, int, float]] = []
    weights: dict[str, Tensor] = {}
    for epochs in plan.pretrain_epochs:
        for seed in range(plan.pretrain_seeds):
            model = Network(derive("theory", "init", seed))
            seeds = (derive("theory", "pretrain order", seed), derive("theory", "pretrain noise", seed))
            train_network(model, PRETRAINING, train_part, epochs=epochs, lr=plan.pretrain_lr, seeds=seeds)
            found = accuracy(model, validation)
            if not tried or found > max(row[2] for row in tried):
                weights = {name: p.detach().clone() for name, p in model.named_parameters()}
            tried.append((epochs, seed, found))
            tell(f"pretrained {epochs} epochs, seed {seed}: source accuracy {found:.4f}")
    return weights, tried


def finetune(
    weights: dict[str, Tensor], method: str, p: float, restart: int, parts: tuple[Domain, Domain, Domain], plan: Plan
) -> Run:
    """Fine-tune a copy of w_pre with one method; at p = 0 both methods are plain fine-tuning, bit for bit.

    parts: what is trained on, and what is validated on of target and source.
    """
    model = Network(0)
    model.load_state_dict(weights)
    seeds = (derive("theory", "order", restart), derive("theory", "noise", restart))
    strategy = f"mixout(w_pre, {p})" if method == "mixout" else f"dropout({p})"
    train_network(model, strategy, parts[0], epochs=plan.finetune_epochs, lr=plan.finetune_lr, seeds=seeds)
    return Run(method, p, restart, squared_distance(model, weights), *(accuracy(model, part) for part in parts[1:]))


def sweep(weights: dict[str, Tensor], source: Domain, target: Domain, plan: Plan) -> list[Run]:
    """Every method, p and restart; the runs at p = 0 are made once and count for both methods."""
    parts = (*target.split(plan.validation), source.split(plan.validation)[1])
    runs: list[Run] = []
    for restart in range(plan.restarts):
        plain = finetune(weights, "mixout", 0.0, restart, parts, plan)
        runs += [replace(plain, method=method) for method in METHODS]
        for p in plan.probabilities[1:]:
            runs += [finetune(weights, method, p, restart, parts, plan) for method in METHODS]
        tell(f"fine-tuned restart {restart + 1} of {plan.restarts}")
    return runs


def tell(line: str) -> None:
    """Progress goes to stderr."""
    print(line, file=sys.stderr, flush=True)
