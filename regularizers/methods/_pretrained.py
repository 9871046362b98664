"""What acts on the weights that have a w_pre, each by itself: `lp_ft`, `recadam`, `spd` and `wise_ft`."""

from regularizers import Context, Regularizer


class OnPretrained(Regularizer):
    """Act on everything outside the head."""

    body_only = True

    def attach(self, context: Context) -> list[str]:
        """Returns the parameters that it acts on."""
        return list(context.pretrained())
