"""EWC: decay toward w_pre, each weight as strongly as the pretraining loss is informed about it.

    min L(w) + strength / 2 * sum_i F_i (w_i - w_pre,i)^2                             [Kirkpatrick et al. 2017, eq. 3]

F is the diagonal of the empirical Fisher of the pretraining loss (`fisher/`: one sample at a time, mean over samples);
`strength` is their lambda. `fisher` says where it comes from: `estimate` (once per model, by the benchmark's recipe) or
a file of `python -m fisher.estimate` with a whole diagonal. It acts on every weight that has a w_pre and an F: not on
the head, and not on what the pretraining loss never saw (BERT's pooler under a masked-LM loss).
Deviations: none from the equation; F is of the pretraining corpus, not of a previous labelled task.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from regularizers import Batch, Compute, Context, Log, Output, Regularizer, SkipTrial, number, register, require
from regularizers.surgery.sites import base_prefix


def ewc_penalty(weights: list[Tensor], targets: list[Tensor], fisher: list[Tensor]) -> Tensor:
    """1/2 sum_i F_i (w_i - u_i)^2 over lists of tensors of equal shapes; a scalar, differentiable in the weights."""
    parts = [(f * (w - u).square()).sum() for w, u, f in zip(weights, targets, fisher, strict=True)]
    return 0.5 * torch.stack(parts).sum()


@register("ewc")
@dataclass
class EWC(Regularizer):
    """Quadratic pull toward w_pre weighted by the Fisher diagonal, `strength` >= 0."""

    strength: float = number(">= 0")
    fisher: str = field(default="estimate", kw_only=True)
    summary = "decay toward w_pre weighted by the Fisher diagonal"
    paper = "Kirkpatrick et al. 2017 (PNAS), eq. 3"
    equation = "L(w) + strength/2 * sum_i F_i (w_i - w_pre,i)^2"
    deviations = "F of the pretraining loss, not of a previous task"
    example = "ewc(10)"
    off = ("ewc(0)",)
    search = {"strength": Log(1.0, 1e5)}
    body_only = True

    def __post_init__(self) -> None:
        super().__post_init__()
        needs = "the fisher of ewc must be estimate or a file with a diagonal"
        require(self.fisher != "published", needs, self.fisher, "a ranking has no values")

    def fisher_source(self) -> str | None:
        """The whole diagonal is needed."""
        return self.fisher

    def attach(self, context: Context) -> list[str]:
        """Pair every weight with its w_pre and its F; returns the names of those that have both."""
        prefix, values = base_prefix(context.model), context.scores(self.fisher, "ewc").values
        parameters = context.pretrained()
        names = [name for name in parameters if name.removeprefix(prefix) in values]
        if not names:
            raise SkipTrial(f"ewc finds no weight of this model among the scores of {self.fisher}")
        self._fisher = [values[name.removeprefix(prefix)].to(parameters[name]) for name in names]
        for name, diagonal in zip(names, self._fisher, strict=True):
            wanted, got = tuple(parameters[name].shape), tuple(diagonal.shape)
            must = f"ewc must have a diagonal of shape {wanted} for {name}"
            require(wanted == got, must, f"{got}", "estimate the scores of this model")
        self._weights = [parameters[name] for name in names]
        self._targets = [context.initial[name] for name in names]
        return names

    def loss(self, compute: Compute, batch: Batch, context: Context) -> Output:
        """Add the penalty to the mean loss."""
        inner = compute(batch)
        if self.strength == 0:
            return inner
        for constants in (self._targets, self._fisher):  # they follow the weights; nothing is copied while these stay
            constants[:] = [value.to(weight) for value, weight in zip(constants, self._weights, strict=True)]
        penalty = ewc_penalty(list(self._weights), self._targets, self._fisher)
        return inner._replace(loss=inner.loss + self.strength * penalty)
