"""Dropout at the model's own sites, the checkpoint's own rates, and none at all."""


def rates(trial):
    return {site.name: trial.model.get_submodule(site.module).p for site in trial.context.sites.dropouts}


def test_sets_every_site_the_head_included(lab):
    trial = lab("dropout(0.3)")
    assert set(rates(trial).values()) == {0.3} and len(rates(trial)) == 1 + 3 * 3 + 1
    assert trial.touched == [site.module for site in trial.context.sites.dropouts]


def test_the_default_is_berts_own(lab):
    assert rates(lab("dropout")) == rates(lab("model_default")) and set(rates(lab("dropout")).values()) == {0.1}


def test_a_head_term_takes_the_head_away_from_the_rest(lab):
    assert rates(lab("dropout(0.3) + head:none"))["head"] == 0
    both = rates(lab("dropout(0.3) + head:dropout(0.1)"))
    assert both.pop("head") == 0.1 and set(both.values()) == {0.3}


def test_none_and_decay_leave_every_rate_at_zero(lab):
    assert set(rates(lab("none")).values()) == set(rates(lab("wdecay(0, 0.01)")).values()) == {0.0}
