"""Surgical fine-tuning: train only the k layers of highest Fisher score and the head, freeze the rest.

    score(layer) = sum of F_i over the parameters of the layer,   F_i = 1/n sum_k (d l(x_k) / d w_i)^2

A layer is one transformer layer (of T5, of the encoder or of the decoder). Embeddings, pooler and final normalisation
are frozen. `fisher` says where the scores come from: `estimate` or a file of `python -m fisher.estimate`; diagonals and
tensor scores will both do. Layers of equal score are taken in the model's order.
A strategy says every dropout, so `surgical(3)` alone trains without; the paper keeps the checkpoint's own, which is
`model_default + surgical(3)`.
Deviations: Lodha et al. 2023 take F of the downstream task; here it is what the source holds, by default that of the
pretraining loss, so the layers depend on the model alone. That embeddings and pooler are frozen is our reading.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from regularizers import TRAINED_WEIGHTS, Context, Layers, Regularizer, register, require
from regularizers.surgery.layers import layer_modules
from regularizers.surgery.sites import base_prefix


def highest(scores: Mapping[str, float], k: int) -> list[str]:
    """The k names of highest score, in the order of `scores`; of equal scores the first ones."""
    kept = set(sorted(scores, key=lambda name: -scores[name])[:k])
    return [name for name in scores if name in kept]


@register("surgical")
@dataclass
class Surgical(Regularizer):
    """Train the `k` >= 1 layers of highest Fisher score and the head."""

    k: int
    fisher: str = field(default="estimate", kw_only=True)
    summary = "train only the layers of highest Fisher score"
    paper = "Lodha et al. 2023 (Findings of EMNLP)"
    equation = "g_layer = 0 unless sum F over the layer is among the k highest"
    deviations = "F of the pretraining loss by default, not of the task; no dropout of its own"
    example = "surgical(1)"
    search = {"k": Layers(1, 12)}
    sets = frozenset({TRAINED_WEIGHTS})
    body_only = True

    def __post_init__(self) -> None:
        require(isinstance(self.k, int) and self.k >= 1, "k of surgical must be a whole number >= 1", self.k)
        needs = "the fisher of surgical must be estimate or a file of scores"
        require(self.fisher != "published", needs, self.fisher, "that ranking is of dropout sites")

    def fisher_source(self) -> str | None:
        """Scores of every layer are needed."""
        return self.fisher

    def attach(self, context: Context) -> list[str]:
        """Choose the layers; returns the names of the parameters that train."""
        scores = self.layer_scores(context)
        must = f"k of surgical must be at most {len(scores)}, the layers of this model"
        require(self.k <= len(scores), must, self.k)
        starts = tuple(highest(scores, self.k))
        names = [name for name in context.scoped("all").parameters()]
        self._trained = [name for name in names if name in context.head or name.startswith(starts)]
        return self._trained

    def layer_scores(self, context: Context) -> dict[str, float]:
        """{prefix of a layer's parameter names: sum of F over the layer}."""
        prefix, means = base_prefix(context.model), context.scores(self.fisher, "surgical").tensor_scores()
        totals = {f"{layer}.": 0.0 for layer in layer_modules(context)}
        for name, parameter in context.model.named_parameters():
            layer = next((start for start in totals if name.startswith(start)), None)
            if layer is not None and name not in context.added:
                known = name.removeprefix(prefix) in means
                require(known, f"the scores of {self.fisher} must cover every layer", f"none of {name}")
                totals[layer] += means[name.removeprefix(prefix)] * parameter.numel()
        return totals

    def groups(self, groups: list[dict[str, Any]], context: Context) -> list[dict[str, Any]]:
        """Freeze what is not chosen: out of the optimizer, and without a gradient that clipping would see."""
        kept = {*self._trained, *context.added}
        for name, parameter in context.model.named_parameters():
            if name in context.initial and name not in kept:
                parameter.requires_grad_(False)
        return [{**group, "names": tuple(name for name in group["names"] if name in kept)} for group in groups]
