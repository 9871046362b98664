"""Plain fine-tuning: no dropout, no decay, nothing. The zero point of every comparison."""

from dataclasses import dataclass

from regularizers import EVERYTHING, Context, Regularizer, register


@register("none")
@dataclass
class Nothing(Regularizer):
    """`none` minimises L(w); `head:none` leaves the head alone whatever the sum does elsewhere [Lee20 §6.3]."""

    summary = "plain fine-tuning"
    equation = "min L(w)"
    off = ("none",)
    exempt = {"touched": "it touches nothing", "acts": "it is the zero point"}
    sets = frozenset({EVERYTHING})

    def attach(self, context: Context) -> list[str]:
        """It touches nothing."""
        return []
