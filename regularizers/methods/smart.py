"""SMART's smoothness term: the worst small change of the word embeddings must not change the prediction.

    L = L(x) + strength * D(f(x), f(x~)),   D = KL in both directions; regression: the squared difference
    x~ = x + step * g / ||g||_inf,  g = grad of KL(f(x) || f(x + z)) in z at z ~ N(0, sigma^2)       [Jiang et al. 2020]

||g||_inf is the largest entry of a token's gradient, so that the largest change of each token is `step`; f(x) is held
fixed in the search for x~, and x~ in what follows. One ascent step, as in their code.
Deviations: the second half of SMART, Bregman proximal point optimisation, is left out: its public code has none. D is
a mean over the batch. In their code each KL of D holds the other prediction fixed; here both have the gradient, as in
the equation. Their code adds 1e-6 to ||g||, which is more than ||g|| itself where the prediction hardly changes, and so
shortens the step; here it has its full length. A regression's search uses the squared difference, as there.
Reference: Jiang, He, Chen, Liu, Gao, Zhao 2020 (ACL), arXiv:1911.03437; code namisan/mt-dnn, whose step (1e-3), sigma
(1e-5) and weight (1) are the defaults.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from regularizers import Batch, Compute, Context, Log, Output, number, register
from regularizers.methods._divergence import divergence
from regularizers.surgery.embeddings import OnEmbeddings
from regularizers.surgery.noise import noise_like

TINY = 1e-12  # keeps a gradient of 0 (padding) from being divided by 0


def unit(gradient: Tensor) -> Tensor:
    """The gradient (rows, tokens, width) with a largest entry of 1 at every token, 0 where all of them are 0."""
    return gradient / gradient.abs().amax(-1, keepdim=True).clamp(min=TINY)


def search_loss(clean: Tensor, moved: Tensor, labels: Tensor) -> Tensor:
    """What the change of the embeddings raises: KL(clean || moved), mean over the batch, or the squared difference."""
    if labels.is_floating_point():
        return nn.functional.mse_loss(moved, clean)
    log_p, log_q = torch.log_softmax(clean, -1), torch.log_softmax(moved, -1)
    return nn.functional.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


@register("smart")
@dataclass
class SMART(OnEmbeddings):
    """Penalise with `strength` >= 0 what the worst change of at most `step` > 0 per entry does to the prediction."""

    strength: float = number(">= 0", 1.0)
    step: float = number("> 0", 1e-3, kw_only=True)
    sigma: float = number("> 0", 1e-5, kw_only=True)
    summary = "the worst small change of the embeddings must not change much"
    paper = "Jiang et al. 2020 (ACL)"
    equation = "L(x) + strength * symKL(f(x), f(x + step * g/||g||_inf)), g = grad_z KL(f(x)||f(x+z))"
    deviations = "the smoothness term alone, without Bregman proximal point optimisation"
    passes = (3, 3)
    forward = "stock"  # packed, the search direction differs by more than rounding (ModernBERT)
    off = ("smart(0)",)
    search = {"strength": Log(0.1, 10.0, paper=1.0), "step": Log(1e-4, 0.1, paper=1e-3)}
    exempt = {"gradient": "the worst change depends on the weights and is held fixed, as in the paper"}

    def loss(self, compute: Compute, batch: Batch, context: Context) -> Output:
        """The loss plus the divergence from the prediction at the worst change."""
        clean = compute(batch)
        ascent = self.ascent(compute, batch, clean.logits.detach(), context)
        with self._embeddings.adding(lambda i, x: self.step * ascent[i]):
            worst = compute(batch)
        apart = 2 * divergence(clean.logits, worst.logits, batch["labels"])
        return clean._replace(loss=clean.loss + self.strength * apart)

    def ascent(self, compute: Compute, batch: Batch, clean: Tensor, context: Context) -> list[Tensor]:
        """The direction of steepest ascent, one (rows, tokens, width) for every result of the table."""
        noises: list[Tensor] = []

        def draw(i: int, x: Tensor) -> Tensor:
            noises.append((self.sigma * noise_like(x, "normal", context.generator)).requires_grad_())
            return noises[i]

        with self._embeddings.adding(draw):
            moved = compute(batch).logits
        return [unit(g) for g in torch.autograd.grad(search_loss(clean, moved, batch["labels"]), noises)]
