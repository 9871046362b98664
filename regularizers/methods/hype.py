"""HyPe: noise on the hidden representations between the layers, in training only.

    h_l <- h_l + e,  e ~ N(0, eps^2) or U(-eps, eps) per element, on the input of every layer        [Yuan et al. 2023]

The paper trains without dropout, which here is what a strategy without `dropout` says.
Deviations: the input of the first layer gets noise too; whether the paper's does could not be verified. In bfloat16 a
noise of 1e-5 is rounded away. Fresh noise per forward pass, from the trial's own generator.
Reference: Yuan, Yuan, Tan, Huang, Huang 2023 (ACL), arXiv:2212.08853.
"""

from dataclasses import dataclass
from typing import Any

from torch import nn

from regularizers import Context, Log, Regularizer, number, one_of, register
from regularizers.surgery.layers import layer_modules
from regularizers.surgery.noise import noise_like

NOTICEABLE = 1e-4  # of the unit scale that normalised hidden states have


@register("hype")
@dataclass
class HyPe(Regularizer):
    """Add noise of scale `eps` >= 0 to every layer's input; `noise` is `normal` or `uniform`."""

    eps: float = number(">= 0", 1e-5)
    noise: str = one_of("normal", "uniform")
    summary = "noise on the hidden representations between the layers"
    paper = "Yuan et al. 2023 (ACL)"
    equation = "h_l <- h_l + e, e ~ N(0, eps^2) or U(-eps, eps)"
    deviations = "the first layer's input is perturbed too"
    off = ("hype(0)",)
    search = {"eps": Log(1e-5, 0.1, paper=1e-5)}
    body_only = True

    def attach(self, context: Context) -> list[str]:
        """Hook the layers; returns their names."""
        names = layer_modules(context)

        def perturb(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if not layer.training:
                return None
            hidden = args[0] if args else kwargs["hidden_states"]
            noisy = hidden + self.eps * noise_like(hidden, self.noise, context.generator)
            return ((noisy, *args[1:]), kwargs) if args else (args, kwargs | {"hidden_states": noisy})

        for name in names:
            context.model.get_submodule(name).register_forward_pre_hook(perturb, with_kwargs=True)
        return names

    def notes(self) -> list[str]:
        """Noise far below the scale of what it is added to."""
        tiny = f"noise of {self.eps:g} on hidden states of unit scale is practically nothing"
        return [tiny] if self.eps < NOTICEABLE else []
