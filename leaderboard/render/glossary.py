"""What the columns of the tables mean: the sentences for terminal, Markdown and page, which stand nowhere else."""

from leaderboard.stats.significance import ALPHA, MINIMUM

SENTENCES = {
    "scores": (
        "Scores are x 100 (correlations too). mean, std and max are over the n restarts, failed runs included; "
        "failed = runs that ended no better than a constant prediction or than chance, or diverged."
    ),
    "intervals": (
        "[low, high] are 95 % bootstrap intervals of means and of paired differences over restarts, or over splits"
        " where several restarts share one. They do not cover another dev set, and are not corrected for many "
        "comparisons."
    ),
    "tests": (
        "p (Holm) = sign-flip test of the differences to the baseline on the same restarts, corrected by Holm over"
        f" the strategies of the table; below {ALPHA} the difference is significant. Restarts that share a split "
        f"count as one, and fewer than {MINIMUM} are too few to test: differences are then no findings. A "
        "difference that is not significant is no proof of equality."
    ),
    "pooled": (
        "beats X = probability that a strategy beats X on the same restart (ties count half), averaged over cells "
        "of task and share of the training data; its p is one sign flip per strategy, corrected by Holm over "
        "strategies. Points of different metrics are never averaged. mean rank = over cells, 1 = best mean, with "
        "its bootstrap interval; rank = by mean rank, where strategies of one tier tie (2=); untuned = mean rank "
        "with the papers' hyperparameters."
    ),
    "tiers": (
        "tier 1 = the best mean and all that do not differ significantly from it (sign-flip tests of all pairs, "
        "Holm), tier 2 = the best of the rest and all that do not differ from that; the order within a tier means "
        "nothing. Tiers and bars correct over all pairs of strategies, p only over those with the baseline: a "
        "strategy can differ significantly from the baseline and still share its tier."
    ),
    "power": (
        "Smallest difference found = the true difference to the baseline that these tests find in four of five "
        "such experiments (power 80 %), at the spread seen here, averaged over strategies; one that spreads less "
        "can differ significantly by less."
    ),
    "same": (
        "Same predictions = at least 99.5 % of the dev predictions agree in every restart in which not both "
        "collapsed: one method under several names, ranked and tested as one."
    ),
    "gaps": "n = 2/3: only 2 of 3 expected restarts have a result; such rows are shown, but neither ranked nor tested.",
    "fit": (
        "fit = accuracy (regression: Spearman) on the examples trained on, in evaluation mode; a run is fitted "
        "from 95 on. gap = score on these examples less the score on dev. ECE, Brier, NLL: calibration of the "
        "probabilities on dev, lower is better. forgetting = rise of the pretraining loss in nats per token, where"
        " it was asked for. passes = forward passes of a batch in training, over all configurations of a tuned "
        "row."
    ),
    "tuning": (
        "tuned (B) = of B configurations per family and restart the one with the best score on the holdout, a part"
        " of the labelled examples that is not trained on (ties: the lower draw); dev never chooses. default = the"
        " papers' hyperparameters, trained on all labelled examples. oracle = chosen by dev itself, which nobody "
        "can do. ensemble (k) = the k configurations with the best holdout scores together: their probabilities, "
        "of a regression their values, averaged. tuned - default = on the same restarts. The columns 1, 2, 4 ... "
        "are budgets: the expected score of what is chosen from so many configurations. agreement = rank "
        "correlation of holdout and dev over configurations; found best = share of the restarts in which the "
        "holdout chose a configuration that no other beats on dev; chosen = the middle value over restarts (of an "
        "even number the lower) [lowest, highest]. Rows named floor: are a model of words, the frozen encoder with"
        " a linear head, or a constant, on the same splits and tuned alike; they are in no rank and no test."
    ),
    "ensembles": (
        "ensemble (seeds) = what the restarts of one split predict together (of a tuned family what each restart "
        "chose), the mean over splits: it costs all of them. Restarts with splits of their own are never joined."
    ),
    "cost": (
        "time = seconds of a trial as a ratio to the baseline's on the same restart, the median over restarts. "
        "Wall-clock under the load of that moment: rows that ran at another time (often those planned with fewer "
        "restarts) are not comparable."
    ),
}


def glossary(*, without_cost: bool = False, tuned: bool = False, seeds: bool = False) -> dict[str, str]:
    """Return the sentences that explain the tables, by what they are about."""
    shown = {"tuning": tuned, "ensembles": seeds, "cost": not without_cost}
    return {name: text for name, text in SENTENCES.items() if shown.get(name, True)}
