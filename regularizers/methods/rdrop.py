"""R-Drop: two forward passes under different dropout must agree.

    L = (L_1 + L_2) / 2 + a * D,   D = 1/2 (KL(P_1 || P_2) + KL(P_2 || P_1)), mean over the batch   [Wu et al. 2021]
    regression: D = mean of (y_1 - y_2)^2

The two passes differ by what the rest of the sum draws per pass: `dropout(0.1) + rdrop(1)`. Without such noise D = 0.
Deviations: the two losses are averaged, as in the authors' example (the paper adds them, so its alpha is twice
`strength`); D is a *mean* over the batch (their code sums it, so that its weight grows with the batch size); the
squared difference for regression is ours. The paper tunes alpha for every task, so the default of 1 is ours too.
Reference: Wu et al. 2021 (NeurIPS), arXiv:2106.14448.
"""

from dataclasses import dataclass

from regularizers import Batch, Compute, Context, Log, Output, Regularizer, number, register
from regularizers.methods._divergence import divergence


@register("rdrop")
@dataclass
class RDrop(Regularizer):
    """Penalise the disagreement of two passes with strength `strength` >= 0; at 0 the two losses are averaged."""

    strength: float = number(">= 0", 1.0)
    summary = "two forward passes under different dropout must agree"
    paper = "Wu et al. 2021 (NeurIPS)"
    equation = "(L1 + L2)/2 + a * (KL(P1||P2) + KL(P2||P1))/2, batch mean; regression: a * (y1 - y2)^2"
    deviations = "losses averaged, KL a batch mean; regression and the default strength are ours"
    example = "rdrop(1) + dropout(0.1)"
    off = ("rdrop(0)",)
    passes = (2, 2)
    apart = 0.0  # the first disagreement that was not 0
    search = {"strength": Log(0.1, 5.0)}
    body_only = True

    def loss(self, compute: Compute, batch: Batch, context: Context) -> Output:
        """Average of two passes plus their disagreement; the logits are those of the first."""
        first, second = compute(batch), compute(batch)
        apart = divergence(first.logits, second.logits, batch["labels"])
        if self.apart == 0:  # asked of the device until the passes differ
            self.apart = float(apart.detach())
        return Output((first.loss + second.loss) / 2 + self.strength * apart, first.logits)

    def notes(self) -> list[str]:
        """Without noise of the sum's other terms there is nothing to agree on."""
        same = "its two passes never differed, so it did nothing; it needs noise such as dropout(0.1) in the sum"
        return [] if self.apart else [same]
