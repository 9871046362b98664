"""Mixout: every step, replace a random share p of each neuron's outgoing weights by those of a target model.

    w_mix = (m * w + (1 - m) * u - p * u) / (1 - p),  m ~ Bernoulli(1 - p) per input feature      [Lee20 eq. 8]

mixconnect (eq. 4-5) with a Bernoulli mask shared by all parameters that leave one neuron: one mask entry per input
feature of a linear layer, so a whole column of an (out, in) weight, and a row of GPT-2's (in, out) one, is kept or
mixed. E w_mix = w. For a strongly convex loss of constant m it penalises ||w - u||^2 with strength m * p / (1 - p)
(Corollary 1.1). The bias is not mixed.

Where (`layers`): `paper` is what the first author says in public (bloodwass/mixout, pull request 13 and issue 4): the
linear layers whose output the model drops (BERT: query, key, value, attention output dense, feed-forward output dense,
pooler; not the intermediate dense). `fed` is another reading of [Lee20 C.2]: the linear layers whose input is dropped
(intermediate dense in, output dense out). `regularizers/surgery/site_tables.py` lists both for every family; `all` is
every linear layer of the body. The head is mixed by a `head:` term alone.

High-rate mixout (Aminbeidokhti et al. 2026, WACV, arXiv:2510.06955) mixes nine tenths of a Transformer's weights one by
one, m ~ Bernoulli(1 - p) per weight: `mixout(w_pre, 0.9, layers=all, gradient=authors, mask=weight)`. Masks and
gradient are those of its code (Masseeh/HR-Mixout); that all layers are mixed is our reading.

Deviations: the gradient is exact, grad * m / (1 - p). The authors' code (and eq. 2) leaves out 1 / (1 - p), which Adam
hardly sees and a global-norm clip does; `gradient=authors` is that variant.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from regularizers import one_of, register
from regularizers.surgery.mixing import mixconnect
from regularizers.surgery.mixing_method import ColumnMixing


def mixout(weight: Tensor, target: Tensor, p: float, mask: Tensor, gradient: str = "exact") -> Tensor:
    """The mixed weight of [Lee20 eq. 8], differentiable in `weight`; layers train with it fused (`surgery.mixing`).

    Args:
        weight, target: (out, in), any floating dtype.
        p: mixing probability in [0, 1]; at 0 the result is `weight`, at 1 it is `target`.
        mask: (in,) with 1 where a column is kept and 0 where it is mixed.
        gradient: `exact`, or `authors` to leave out the factor 1 / (1 - p) of the derivative.

    Raises ValueError for p outside [0, 1].
    """
    if p == 1:
        return target + torch.zeros_like(weight) * weight
    if not 0 <= p < 1:
        raise ValueError(f"p must be in [0, 1], got {p}")
    return mixconnect(weight, target, p, mask, gradient)


@register("mixout")
@dataclass
class Mixout(ColumnMixing):
    """Mix toward `target`, p in [0, 1); [Lee20] uses p = 0.7, 0.8, 0.9.

    Targets: w_pre or 0 outside the head, w_0 or 0 on it, or a .safetensors file of weights under base-model names.
    """

    mask: str = one_of("neuron", "weight")
    version = 2
    summary = "swap random columns of the weights for a target's"
    paper = "Lee, Cho, Kang 2020 (ICLR), eq. 8"
    equation = "w_mix = (m*w + (1-m)*u - p*u) / (1-p), m ~ Bernoulli(1-p) per input feature"
    deviations = "exact gradient; the authors' code leaves out 1/(1-p) (gradient=authors)"
    example = "mixout(w_pre, 0.5)"
    off = ("mixout(w_pre, 0)", "mixout(0, 0, layers=all)")

    @property
    def per_weight(self) -> bool:  # type: ignore[override]
        """Whether single weights are mixed."""
        return self.mask == "weight"
