"""What a term says of a finished trial: that it did practically nothing, and only then."""

import pytest


@pytest.mark.parametrize(
    ("text", "settings", "note"),
    [
        ("rdrop(1)", {}, "rdrop(1): its two passes never differed, so it did nothing; it needs noise such as dropout"),
        ("dropout(0.1) + rdrop(1)", {}, None),
        ("hype(0.00001)", {}, "hype(1e-05): noise of 1e-05 on hidden states of unit scale is practically nothing"),
        ("hype(0.01)", {}, None),
        ("flooding(0.0001)", {}, "flooding(0.0001): no batch's loss fell below 0.0001 (the lowest was "),
        ("flooding(50)", {}, None),
        ("wdecay(w_pre, 0.01)", {}, "wdecay(w_pre, 0.01): decoupled at these rates and steps it took 0.0003 of the"),
        ("wdecay(w_pre, 0.01)", {"lr": 0.5}, None),
        ("wdecay(w_pre, 0)", {}, None),
        ("wdecay(w_pre, 0.01, form=coupled)", {}, None),
    ],
)
def test_a_term_says_that_it_did_nothing(lab, text, settings, note):
    trial = lab(text, **settings)
    trial.run(3)
    notes = trial.bound.notes()
    assert len(notes) == (note is not None) and (note is None or notes[0].startswith(note))
