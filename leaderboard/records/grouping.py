"""Trials by which families are tuned: which of them belong together, and under which name a plan counts them.

`config.tuning` is `{"family", "draw", "axes", "holdout", "holdout_hash"}`. Configurations of one table have protocols
that differ in the shared axes alone; there the text of `axes` stands in place of the value. A control at equal compute
has `times`, too: it is trained so many times as long as the protocol of its table says.
"""

import functools
from collections.abc import Mapping
from typing import Any

from leaderboard.records.identity import dump

Config = Mapping[str, Any]
ADDED = ("steps", "evaluate")  # fields of a protocol that are left out of it at their default


def protocol_of(config: Config) -> str:
    """Return the canonical JSON of what the trials of one table share: the protocol, less what is tuned."""
    protocol, tuning = config["protocol"], config.get("tuning") or {"axes": {}}
    fields = dict(protocol)
    if times := tuning.get("times"):
        length = "steps" if protocol.get("steps") else "epochs"
        fields[length] = protocol.get(length, 0) // times
    fields |= {key: text for key, text in tuning["axes"].items() if key in protocol or key in ADDED}
    try:
        return _written(tuple(fields.items()), tuple(map(type, fields.values())))
    except TypeError:  # fields that are lists or objects, which no run writes
        return dump(fields)


@functools.lru_cache(maxsize=1000)
def _written(fields: tuple[tuple[str, Any], ...], types: tuple[type, ...]) -> str:
    """Return the canonical JSON of fields; their types tell 1, 1.0 and true apart, which are equal as keys."""
    return dump(dict(fields))


def run_name(config: Config) -> str:
    """Return what a plan counts restarts of: a strategy, or one configuration of a family."""
    if not (tuning := config.get("tuning")):
        return str(config["strategy"])
    return f"{tuning['family']} [{'default' if tuning['holdout'] is None else 'draw ' + str(tuning['draw'])}]"


def cell_of(config: Config) -> tuple[str, ...]:
    """Return what trials must agree on to be compared: model, weights, protocol, task, and how much of its data."""
    amount = dump(config["size"]) if config.get("size") else repr(float(config["fraction"]))
    return config["model"], config["weights"], protocol_of(config), config["task"], amount
