"""Inverted dropout at the model's own sites.

    h <- m * h / (1 - p),  m ~ Bernoulli(1 - p) per element

Sites (BERT): embeddings, attention probabilities, attention output, feed-forward output, head input. The GELU-activated
intermediate units and LayerNorm are not dropped [Lee20 C.2]. Srivastava et al. 2014, JMLR 15.
Deviations: none; the stock modules do the work, so fused attention drops probabilities too.
"""

from dataclasses import dataclass

from regularizers import DROPOUT_SITES, Context, Linear, Regularizer, number, register
from regularizers.surgery.sites import set_rates


@register("dropout")
@dataclass
class Dropout(Regularizer):
    """Dropout with probability `p` in [0, 1) at every site in scope, the head's input included; BERT's own p is 0.1."""

    p: float = number("in [0, 1)", 0.1)
    summary = "inverted dropout at the model's own sites"
    paper = "Srivastava et al. 2014"
    equation = "h <- m * h / (1 - p), m ~ Bernoulli(1 - p)"
    off = ("dropout(0)",)
    search = {"p": Linear(0.02, 0.5, paper=0.1)}
    sets = frozenset({DROPOUT_SITES})

    def attach(self, context: Context) -> list[str]:
        """Set `p` at every site in scope; returns the dropout modules."""
        return set_rates(context.model, dict.fromkeys(context.dropout_sites(), self.p))
