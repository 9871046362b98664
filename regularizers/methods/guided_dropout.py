"""Information-guided dropout: drop least where the pretraining loss is most informed [Sharma24].

    F_i = 1/n sum_k (d l(x_k) / d theta_i)^2        empirical Fisher of the pretraining loss, per parameter
    score(tensor) = mean of F over the tensor;  score(site) = plain mean over the tensors that precede the site
    p(site) = p_upper - (p_upper - p_lower) * rank / (n - 1)     rank 0 = lowest score, linear in *rank*

The schedule depends on the pretrained model only, never on the task. `head` is the head input's own probability, which
the paper leaves alone (0.1). `fisher` says where the scores come from: `estimate` (once per model, by the benchmark's
recipe), `published` (the ranking printed for bert-base-uncased) or a file of `python -m fisher.estimate`.
`order=shuffled` assigns the same probabilities in a random order: the control for "does the ranking matter".
Deviations: the authors' code runs from 0.099 down to 0 in steps of 0.00275, its text says 10 %; bounds are arguments.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from fisher.scores import published_ranking, site_scores
from regularizers import DROPOUT_SITES, Context, Linear, Regularizer, SiteRate, number, one_of, register, require
from regularizers.surgery.sites import base_prefix, set_rates


def schedule(scores: Mapping[str, float], p_lower: float, p_upper: float) -> dict[str, float]:
    """Dropout probability of every site, linear in the rank of its score [Sharma24 §4].

    Args:
        scores: {site: score}; the least informative site gets `p_upper`, the most informative `p_lower`. Sites of equal
            score keep their order in `scores`; a single site gets `p_upper`.

    Returns {site: p} in the order of `scores`. Raises ValueError for no sites or bounds not 0 <= lower <= upper < 1.
    """
    if not scores:
        raise ValueError("scores must name at least one site, got none")
    if not 0 <= p_lower <= p_upper < 1:
        raise ValueError(f"bounds must satisfy 0 <= p_lower <= p_upper < 1, got {p_lower} and {p_upper}")
    ranked = sorted(scores, key=lambda site: scores[site])
    step = (p_upper - p_lower) / max(len(ranked) - 1, 1)
    rates = {site: max(p_lower, p_upper - step * rank) for rank, site in enumerate(ranked)}
    return {site: rates[site] for site in scores}


@register("guided_dropout")
@dataclass
class GuidedDropout(Regularizer):
    """Dropout whose probability falls from `p_upper` to `p_lower` with the rank of a site's Fisher score."""

    p_lower: float = 0.0
    p_upper: float = 0.1
    head: float = number("in [0, 1)", 0.1, kw_only=True)
    fisher: str = field(default="estimate", kw_only=True)
    order: str = one_of("ranked", "shuffled")
    summary = "dropout scheduled by the Fisher information of each site"
    paper = "Sharma et al. 2024"
    equation = "p(site) = p_upper - (p_upper - p_lower) * rank / (n - 1)"
    off = ("guided_dropout(0, 0, head=0)",)
    deviations = "bounds are arguments (the authors' code: 0.099 to 0; their text: 0.1)"
    search = {"p_upper": Linear(0.02, 0.5, paper=0.1)}
    _headless = False  # whether the model has no dropout in its head
    sets = frozenset({DROPOUT_SITES})

    def __post_init__(self) -> None:
        super().__post_init__()
        ordered = 0 <= self.p_lower <= self.p_upper < 1
        bounds = f"{self.p_lower} and {self.p_upper}"
        require(ordered, "guided_dropout must have 0 <= p_lower <= p_upper < 1", bounds)

    def check_scope(self, scope: str) -> None:
        """The head has one site and no pretraining information."""
        require(scope != "head", "guided_dropout must act outside the head", "head:guided_dropout", "use head:dropout")

    def fisher_source(self) -> str | None:
        """Scores are needed whatever the order: the control assigns the same probabilities."""
        return self.fisher

    def attach(self, context: Context) -> list[str]:
        """Set every site's probability; returns the dropout modules."""
        rates = self.rates(self.scores(context))
        self._headless = not any(site.kind == "head" for site in context.table().dropouts)
        sites = context.dropout_sites()
        return set_rates(context.model, {s: self.head if s.kind == "head" else rates[s.name] for s in sites})

    def rates(self, scores: Mapping[str, float]) -> dict[str, float]:
        """Probability of every body site: the schedule of its scores, or the same values in one fixed other order."""
        rates = schedule(scores, self.p_lower, self.p_upper)
        if self.order == "ranked":
            return rates
        values = list(rates.values())
        random.Random("guided_dropout").shuffle(values)  # the same for every trial; no global state
        return dict(zip(rates, values, strict=True))

    def site_rates(self, context: Context) -> list[SiteRate]:
        """The schedule, site by site in the model's order; the head's probability is no part of it."""
        scores = self.scores(context)
        rates = self.rates(scores)
        body = [site for site in context.dropout_sites() if site.name in rates]
        return [SiteRate(site.name, site.kind, scores[site.name], rates[site.name]) for site in body]

    def notes(self) -> list[str]:
        """The probability of a dropout that the model does not have: the head of GPT-2 is one linear layer."""
        nothing = f"head={self.head:g} did nothing, because the model has no dropout in its head"
        return [nothing] if self.head > 0 and self._headless else []

    def scores(self, context: Context) -> dict[str, float]:
        """Score of every body site, from the published ranking or from the diagonal that the context holds."""
        body = [site for site in context.dropout_sites() if site.kind != "head"]
        if self.fisher == "published":
            ranking = published_ranking()
            fits = {site.name for site in body} == set(ranking)
            must = f"fisher=published ranks the {len(ranking)} sites of a 12-layer BERT and must meet such a model"
            require(fits, must, f"{len(body)} sites", "use fisher=estimate")
            return {site.name: float(ranking.index(site.name)) for site in body}
        scores = context.scores(self.fisher, "guided_dropout").tensor_scores()
        prefix = base_prefix(context.model)
        names = {site.name: [name.removeprefix(prefix) for name in site.parameters] for site in body}
        return site_scores(scores, names)
