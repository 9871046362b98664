"""Dropout at the model's own sites, the checkpoint's own rates, and none at all."""

import pytest


@pytest.mark.parametrize(
    ("text", "body", "head"),
    [
        ("dropout(0.3)", 0.3, 0.3),
        ("dropout", 0.1, 0.1),  # BERT's own
        ("model_default", 0.1, 0.1),
        ("dropout(0.3) + head:none", 0.3, 0.0),
        ("dropout(0.3) + head:dropout(0.1)", 0.3, 0.1),
        ("none", 0.0, 0.0),
        ("wdecay(0, 0.01)", 0.0, 0.0),
    ],
)
def test_every_site_has_the_rate_of_its_term(text, body, head, lab):
    trial = lab(text)
    sites = trial.context.sites.dropouts
    assert len(sites) == 1 + 3 * 3 + 1 and sites[-1].name == "head"
    assert [trial.model.get_submodule(site.module).p for site in sites] == [*[body] * 10, head]
    assert text != "dropout(0.3)" or trial.touched == [site.module for site in sites]
