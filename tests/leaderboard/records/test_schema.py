"""What a record may hold, and which trials count as done."""

import pytest

from leaderboard.records.identity import record_id
from leaderboard.records.schema import STATUSES, check_config, is_done, is_result

ABSENT = object()
TUNING = {"family": "none", "draw": 0, "axes": {"lr": "1 to 2"}, "holdout": 0.25, "holdout_hash": "00"}


def test_tuned_configs_pass(record):
    check_config(record(tuning=TUNING, size={"per_class": 16})["config"])
    check_config(record(tuning=TUNING | {"holdout": None, "holdout_hash": None})["config"])


@pytest.mark.parametrize("checked", [check_config, record_id])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fraction": 1.5}, "config.fraction must be a float in (0, 1], got 1.5"),
        ({"fraction": 1}, "config.fraction must be a float in (0, 1], got 1"),
        ({"restart": -1}, "config.restart must be a whole number in [0, 10000), got -1"),
        ({"restart": True}, "config.restart must be a whole number in [0, 10000), got True"),
        (
            {"task": ""},
            "config.task must be a text of 1 to 500 characters that does not start with =, +, - or @, got ''",
        ),
        ({"task": "=cmd()"}, "config.task must be a text of 1 to 500 characters that does not start with =, +, - or @"),
        ({"seeds": {"init": "1"}}, "config.seeds must be an object of whole numbers, got an object of 1"),
        ({"fisher": 3}, "config.fisher must be an object or null, got 3"),
        ({"size": {"examples": 0}}, 'config.size must be {"examples": n} or {"per_class": n}, got an object of 1'),
        ({"floor": {"name": "tfidf"}}, 'config.floor must be {"name": text, "c": number}, got an object of 1'),
        ({"size": 100}, 'config.size must be {"examples": n} or {"per_class": n}, got 100'),
        ({"tuning": {"family": "none"}}, "config.tuning must be an object of family, draw, axes, holdout, holdout_h"),
        ({"tuning": TUNING | {"times": 1}}, "config.tuning must be an object of family, draw, axes, holdout"),
        ({"tuning": TUNING | {"draw": -1}}, "config.tuning must be an object of family, draw, axes, holdout"),
        ({"tuning": TUNING | {"family": "=cmd()"}}, "config.tuning must be an object of family, draw, axes, holdout"),
        ({"tuning": TUNING | {"axes": {"lr": 1}}}, "config.tuning must be an object of family, draw, axes, holdout"),
        ({"tuning": TUNING | {"holdout": 2}}, "config.tuning must be an object of family, draw, axes, holdout"),
        ({"weights": ABSENT}, "config.weights is missing; it must be a text"),
        ({"protocol": {"selection": None}}, "config.protocol.selection must be a text of 1 to 500 characters"),
    ],
)
def test_a_wrong_config_is_refused_before_training(record, checked, change, message, refusal):
    config = {key: value for key, value in record(**change)["config"].items() if value is not ABSENT}
    assert message in refusal(checked, config)


@pytest.mark.parametrize("status", STATUSES)
def test_what_is_done_and_what_is_tried_again(record, status):
    entry = record(0.6 if status in ("ok", "failed") else None, status=status)
    assert is_done(entry) == (status in ("ok", "failed", "skipped"))
    assert is_result(entry) == (status in ("ok", "failed"))
