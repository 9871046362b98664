"""The checkpoint's own dropout, as its config says; what most fine-tuning scripts do without saying so."""

from dataclasses import dataclass

from regularizers import DROPOUT_SITES, Context, Regularizer, register
from regularizers.surgery.sites import set_rates


@register("model_default")
@dataclass
class ModelDefault(Regularizer):
    """Every dropout site keeps the probability that the checkpoint's config gives it; nothing decays."""

    summary = "the checkpoint's own dropout"
    equation = "p_site = config"
    exempt = {"off": "its strength is the checkpoint's"}
    sets = frozenset({DROPOUT_SITES})

    def attach(self, context: Context) -> list[str]:
        """Give every site its own probability back; returns the dropout modules."""
        return set_rates(context.model, {site: site.rate for site in context.dropout_sites()})
