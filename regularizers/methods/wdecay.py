"""Weight decay toward a target u: 0 (Devlin et al. 2018), w_pre (Wiese et al. 2017) or w_0 (the head's own start).

    min L(w) + lambda/2 ||w - u||^2                                             [Lee20 §2]
    decoupled (default, as in BERT's optimizer):  w <- w - lr * lambda * (w - u), then the Adam step on grad L
    coupled (`form=coupled`):                     grad <- grad + lambda * (w - u)

Biases and LayerNorm parameters are never decayed. `wdecay(w_pre)` leaves the head alone, which has no w_pre.
Deviations: [Lee20 §2] states a penalty in the loss, which is the coupled form; the default is the decoupled one of
BERT's optimizer, which the papers' experiments most likely ran. Over a run it takes 1 - prod(1 - lr_t * lambda) of
w - u: less than 0.1 % at the rate and steps of [Lee20], so that toward w_pre it changes nothing measurable. Under Adam
the coupled form is divided by the gradients' scale and moves weights that have no task gradient by about lr a step.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from regularizers import Context, Log, Regularizer, Step, number, one_of, register, require
from regularizers.surgery.layers import norm_prefixes
from regularizers.surgery.mixing_method import check_target_scope


def decay(weights: list[Tensor], targets: list[Tensor] | None, rate: float) -> None:
    """In place `w <- w - rate * (w - u)` over lists of equal shapes; `targets=None` stands for u = 0."""
    if targets is None:
        torch._foreach_mul_(weights, 1.0 - rate)
    else:
        torch._foreach_lerp_(weights, targets, rate)


def decayed(model: nn.Module, names: list[str]) -> list[str]:
    """Those of the named parameters that decay: all but biases and the parameters of normalisation layers."""
    norms = norm_prefixes(model)
    return [name for name in names if name.rsplit(".", 1)[-1] != "bias" and not name.startswith(norms)]


NOTICEABLE = 0.01  # share of w - u that decay must take to be called more than nothing


@register("wdecay")
@dataclass
class WeightDecay(Regularizer):
    """Decay toward `target` (0, w_pre or, on the head, w_0) with strength `strength` >= 0 (lambda in the papers)."""

    target: str
    strength: float = number(">= 0")
    form: str = one_of("decoupled", "coupled")
    summary = "weight decay toward 0, w_pre or the head's start"
    paper = "Devlin et al. 2018; Wiese et al. 2017; Lee et al. 2020 §2"
    equation = "w <- w - lr * lambda * (w - u)"
    deviations = "decoupled by default, as in BERT's optimizer; the penalty of [Lee20 §2] is form=coupled"
    example = "wdecay(w_pre, 0.01)"
    off = ("wdecay(w_pre, 0)", "wdecay(0, 0)")
    search = {"strength": Log(1e-3, 1.0, paper=0.01)}

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.target in ("0", "w_pre", "w_0"), "the target of wdecay must be 0, w_pre or w_0", self.target)

    def check_scope(self, scope: str) -> None:
        """w_pre exists outside the head only, w_0 in the head only."""
        check_target_scope(self.name, self.target, scope)

    def attach(self, context: Context) -> list[str]:
        """Choose the parameters and keep references to their targets; returns the parameters' names."""
        parameters = context.pretrained() if self.target == "w_pre" else context.parameters()
        names = decayed(context.model, list(parameters))
        self._weights = [parameters[name] for name in names]
        self.decayed = 0.0
        self._targets = None if self.target == "0" else [context.initial[name] for name in names]
        return names

    def gradients(self, backward: Step, context: Context) -> None:
        """Coupled form: add lambda * (w - u) to the gradients."""
        backward()
        self._follow()
        if self.form == "coupled":
            for at, weight in enumerate(self._weights):
                if weight.grad is not None:
                    pull = weight.detach() if self._targets is None else weight.detach() - self._targets[at]
                    weight.grad.add_(pull, alpha=self.strength)

    def update(self, apply: Step, context: Context) -> None:
        """Decoupled form: decay with the learning rate of each parameter's group, then the optimizer's step."""
        self._follow()
        if self.form == "decoupled" and self._weights:
            rates = self._by_rate(context)
            self.decayed += self.strength * max(rates, default=0.0)
            for rate, members in rates.items():
                weights = [self._weights[at].data for at in members]
                decay(weights, self._targets and [self._targets[at] for at in members], rate * self.strength)
        apply()

    def notes(self) -> list[str]:
        """What the decoupled form takes is the sum of all rates times the strength."""
        small = f"decoupled at these rates and steps it took {self.decayed:.2g} of the distance, practically nothing"
        return [small] if self.form == "decoupled" and self.strength and self.decayed < NOTICEABLE else []

    def _follow(self) -> None:
        """Let the targets be where the weights are now; nothing is copied while they have not moved."""
        if self._targets is not None:
            self._targets = [target.to(weight) for target, weight in zip(self._targets, self._weights, strict=True)]

    def _by_rate(self, context: Context) -> dict[float, list[int]]:
        """Positions of the decayed parameters by the learning rate that the optimizer gives them now."""
        at = {id(weight): i for i, weight in enumerate(self._weights)}
        rates: dict[float, list[int]] = {}
        for group in context.training.optimizer.param_groups:
            if members := [at[id(p)] for p in group["params"] if id(p) in at]:
                rates.setdefault(float(group["lr"]), []).extend(members)
        return rates
