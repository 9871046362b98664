"""Protocols: the papers' numbers, and one sentence for each wrong one."""

import dataclasses
from collections.abc import Callable

import pytest

from benchmarks.trial.protocol import PROTOCOLS, make_protocol


def test_lee20_has_the_numbers_of_the_paper() -> None:
    p = PROTOCOLS["lee20"]
    assert (p.epochs, p.lr, p.batch_size, p.max_length, p.warmup) == (3, 2e-5, 32, 128, 0.1)
    assert (p.beta1, p.beta2, p.eps, p.clip, p.bias_correction) == (0.9, 0.999, 1e-6, 1.0, True)
    assert (p.head_init, p.metric, p.data, p.selection) == ("normal", "primary", "official", "last")


def test_sharma24_differs_where_the_authors_code_does() -> None:
    lee, sharma = (dataclasses.asdict(PROTOCOLS[name]) for name in ("lee20", "sharma24"))
    assert {key: sharma[key] for key in lee if lee[key] != sharma[key]} == {
        "name": "sharma24",
        "batch_size": 18,
        "max_length": 512,
        "warmup": 0.0,
        "head_init": "model",
        "metric": "combined",
        "data": "pooled",
    }


def test_settings_are_read_from_text() -> None:
    p = make_protocol("lee20", {"epochs": "20", "lr": "1e-4", "bias_correction": "false", "selection": "best_dev"})
    assert (p.epochs, p.lr, p.bias_correction, p.selection) == (20, 1e-4, False, "best_dev")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, "unknown protocol field 'epoch'; did you mean epochs?"),
        ({"epochs": "many"}, "epochs must be a whole number, got 'many'"),
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"lr": "fast"}, "lr must be a number, got 'fast'"),
        ({"lr": -1}, "lr must be positive, got -1.0"),
        ({"lr": "nan"}, "lr must be finite, got nan"),
        ({"bias_correction": "maybe"}, "bias_correction must be true or false, got 'maybe'"),
        ({"selection": "best"}, "selection must be one of last, best_dev, got 'best'"),
        ({"warmup": 2}, "warmup must be at most 1.0, got 2.0"),
        ({"epochs": 10**20}, "epochs must be at most 100000, got 100000000000000000000"),
        ({"max_length": 10**20}, "max_length must be at most 1000000, got 100000000000000000000"),
        ({"beta1": 1}, "beta1 must be in [0, 1), got 1.0"),
    ],
)
def test_a_wrong_setting_is_one_sentence(
    settings: dict[str, object], message: str, refusal: Callable[..., str]
) -> None:
    assert message in refusal(make_protocol, "lee20", settings)


def test_an_unknown_protocol_is_refused(refusal: Callable[..., str]) -> None:
    assert refusal(make_protocol, "lee19", {}).startswith("protocol must be one of lee20, sharma24, got 'lee19'")
