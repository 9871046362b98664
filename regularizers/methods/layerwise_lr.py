"""Layer-wise learning rates: the lower a layer, the smaller its steps.

    lr_l = lr * d^(L - l),   l = 0 for the embeddings, i + 1 for layer i, L = layers + 1 for the pooler and the head

Discriminative fine-tuning [Howard & Ruder 2018 §3.2] divides by 2.6 from layer to layer; with BERT-like models a decay
of 0.8 to 0.95 is usual.
Deviations: none known for the equation; which layer the pooler counts to is our reading, and so is the default of 0.95.
Reference: Howard & Ruder 2018 (ACL), arXiv:1801.06146.
"""

from dataclasses import dataclass
from typing import Any

from regularizers import Context, Linear, Regularizer, number, register
from regularizers.surgery.layers import stages


@register("layerwise_lr")
@dataclass
class LayerwiseLR(Regularizer):
    """Learning rates that fall by the factor `decay` in (0, 1] from the head down to the embeddings; 1 is none."""

    decay: float = number("in (0, 1]", 0.95)
    summary = "learning rates that fall from the head to the embeddings"
    paper = "Howard & Ruder 2018 (ACL), §3.2"
    equation = "lr_l = lr * d^(L - l)"
    deviations = "the pooler counts to the top; the default is usual for BERT, not the paper's 1/2.6"
    off = ("layerwise_lr(1)",)
    search = {"decay": Linear(0.6, 0.99)}
    body_only = True

    def attach(self, context: Context) -> list[str]:
        """Returns the parameters below the top; raises SkipTrial for a model without layers."""
        stage, top = stages(context)
        return [name for name in context.parameters() if stage[name] < top]

    def groups(self, groups: list[dict[str, Any]], context: Context) -> list[dict[str, Any]]:
        """Split every group by stage."""
        stage, top = stages(context)
        split = []
        for group in groups:
            by_factor: dict[float, list[str]] = {}
            for name in group["names"]:
                factor = self.decay ** (top - stage[name]) if context.in_scope(name) else 1.0
                by_factor.setdefault(factor, []).append(name)
            for f, names in by_factor.items():
                scale = group.get("scale", 1.0) * f
                split.append(group | {"names": tuple(names), "lr": group["lr"] * f, "scale": scale})
        return split
