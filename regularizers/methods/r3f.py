"""R3F: a pass with noise on the word embeddings must predict what the pass without it does.

    L = L(x) + strength * (KL(f(x) || f(x + z)) + KL(f(x + z) || f(x))),   z ~ U(-eps, eps) or N(0, eps^2) per element
                                                                                          [Aghajanyan et al. 2021]
    regression: + strength * mean of 2 (f(x) - f(x + z))^2

KL is a mean over the batch, as in the authors' code. Stock dropout draws anew in the second pass. With noise as small
as theirs that difference is what is mostly penalised, as by `rdrop`; without dropout the penalty is next to nothing.
Deviations: their code holds the embeddings of the second pass fixed; here both passes reach them, as in the equation.
The regression's penalty is ours (their code has none). In bfloat16 a noise of 1e-5 is rounded away.
Reference: Aghajanyan, Shrivastava, Gupta, Goyal, Zettlemoyer, Gupta 2021 (ICLR), arXiv:2008.03156; defaults are those
of their code (fairseq, examples/rxf), whose README trains RTE with a strength of 0.7.
"""

from dataclasses import dataclass

from regularizers import Batch, Compute, Context, Log, Output, number, one_of, register
from regularizers.methods._divergence import divergence
from regularizers.surgery.embeddings import OnEmbeddings
from regularizers.surgery.noise import noise_like


@register("r3f")
@dataclass
class R3F(OnEmbeddings):
    """Penalise with `strength` >= 0 what noise of scale `eps` > 0 (`uniform` or `normal`) changes in the prediction."""

    strength: float = number(">= 0", 1.0)
    eps: float = number("> 0", 1e-5, kw_only=True)
    noise: str = one_of("uniform", "normal")
    summary = "noise on the word embeddings must not change the prediction"
    paper = "Aghajanyan et al. 2021 (ICLR)"
    equation = "L(x) + strength * (KL(f(x)||f(x+z)) + KL(f(x+z)||f(x))), z ~ U(-eps, eps) or N(0, eps^2)"
    deviations = "both passes reach the embeddings; the penalty of a regression is ours"
    passes = (2, 2)
    off = ("r3f(0)",)
    search = {"strength": Log(0.1, 5.0, paper=1.0), "eps": Log(1e-5, 0.1, paper=1e-5)}

    def loss(self, compute: Compute, batch: Batch, context: Context) -> Output:
        """The loss without noise plus the divergence of the two passes."""
        clean = compute(batch)
        with self._embeddings.adding(lambda _, x: self.eps * noise_like(x, self.noise, context.generator)):
            noisy = compute(batch)
        apart = 2 * divergence(clean.logits, noisy.logits, batch["labels"])
        return clean._replace(loss=clean.loss + self.strength * apart)
