"""BitFit: train the biases and the head alone, with a learning rate of their own.

    g_i = 0  for everything but biases (those of LayerNorm included) and the head

Deviations: none known. The paper searches learning rates between 1e-4 and 1e-3; the default is the largest of them.
Reference: Ben Zaken, Ravfogel, Goldberg 2022 (ACL), arXiv:2106.10199.
"""

from dataclasses import dataclass
from typing import Any

from regularizers import TRAINED_WEIGHTS, Context, Log, Regularizer, SkipTrial, number, own_rate, register


@register("bitfit")
@dataclass
class BitFit(Regularizer):
    """Train biases and head with learning rate `lr` > 0, in place of the protocol's."""

    lr: float = number("> 0", 1e-3)
    summary = "train the biases and the head alone"
    paper = "Ben Zaken et al. 2022 (ACL)"
    equation = "g = 0 for everything but biases and head"
    search = {"lr": Log(1e-4, 1e-2, replaces="lr")}
    sets = frozenset({TRAINED_WEIGHTS})
    body_only = True

    def attach(self, context: Context) -> list[str]:
        """Freeze the rest; returns the biases that train. Raises SkipTrial for a model without biases."""
        body = context.pretrained()
        biases = [name for name in body if name.rsplit(".", 1)[-1] == "bias"]
        if not biases:
            family = getattr(getattr(context.model, "config", None), "model_type", "this one")
            raise SkipTrial(f"bitfit needs a model with biases, and {family} has none outside the head")
        for name in body.keys() - set(biases):
            body[name].requires_grad_(False)
        return biases

    def groups(self, groups: list[dict[str, Any]], context: Context) -> list[dict[str, Any]]:
        """What trains has the technique's own learning rate; a head with a term of its own keeps the protocol's."""
        return own_rate(groups, context, self.lr)
